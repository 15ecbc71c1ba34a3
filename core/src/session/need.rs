//! Which kind of link a request needs.

use super::blocking::may_block;
use super::rules::Rules;
use super::state::State;
use crate::command::{Effect, Spec};
use crate::resp::{Request, integer};

/// Which kind of link a request needs. What Redoubt answers itself needs none, and says
/// [`Need::Shared`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any link of the session's database and protocol.
    Shared,
    /// A shared link of the session's database and protocol on which barriers keep sessions apart.
    Fenced,
    /// The same for scripts: while one overruns, Redis reads nothing more from its connection.
    Script,
    /// The shared link of another protocol, once nothing is due from this one.
    Moved,
    /// A link of the session's own, until what the request begins is over.
    Lease,
    /// The same, on which a harmless command goes first, so that Redis notes the replication offset
    /// that the session's earlier writes have reached.
    NotedLease,
}

impl Need {
    /// Whether a link that others use too will do.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::Fenced | Self::Script | Self::Moved)
    }
}

impl State {
    /// Which kind of link `request`, which is for `spec`, needs. `databases` are known to exist.
    ///
    /// What the table does not know may do anything, so it needs a lease.
    pub fn need(
        &self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
        databases: u32,
        rules: &Rules,
    ) -> Need {
        let speaks_hello = rules.speaks_hello();
        let Some(spec) = spec else { return Need::Lease };
        match spec.effect {
            Effect::Script => Need::Script,
            Effect::None => Need::Shared,
            Effect::Fenced => Need::Fenced,
            Effect::FencedOptions if request.declared() > spec.arity.unsigned_abs().into() => {
                Need::Fenced
            }
            Effect::FencedOptions => Need::Shared,
            // Redis will call it wrong; should it not, the harm stays on a lease.
            _ if !spec.arity_holds(request.declared()) => Need::Lease,
            Effect::Auth
            | Effect::Quit
            | Effect::Reset
            | Effect::ClientReply
            | Effect::Exec
            | Effect::Discard
            | Effect::Unwatch => Need::Shared,
            Effect::ClientName if spec.word() != "setinfo" || speaks_hello => Need::Shared,
            Effect::Hello if speaks_hello => Need::Moved,
            Effect::Select if chosen_database(request).is_some_and(|n| n < databases) => {
                Need::Shared
            }
            Effect::BlocksOnOption if !may_block(request) => Need::Fenced,
            Effect::Wait => Need::NotedLease,
            _ => Need::Lease,
        }
    }
}

/// The database that a well-formed `SELECT` asks for.
pub(super) fn chosen_database(request: &Request<'_>) -> Option<u32> {
    let argument = request.arg(1).filter(|_| request.declared() == 2)?;
    u32::try_from(integer::parse(argument)?).ok()
}
