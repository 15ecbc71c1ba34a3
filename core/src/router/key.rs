//! The keys of links: which requests may use a link.

use crate::auth::IdentityId;
use crate::resp::Protocol;
use crate::session::State;

/// A server that links connect to. There is one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// The only server.
    pub const ONLY: Self = Self(0);
}

/// Which requests go over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Requests of many sessions whose replies cannot be mistaken for several replies, and nothing else.
    Plain,
    /// Requests of many sessions whose replies may repeat a client's text; barriers keep the sessions apart.
    Fenced,
    /// Scripts and functions of many sessions, fenced too. While a script overruns, Redis reads no more from the
    /// link.
    Scripts,
    /// Requests of one session at a time, in any state.
    Lease,
}

/// Identifies which requests may use a link: sessions use a link only if its key is the key that they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The server that the link connects to.
    pub node: NodeId,
    /// The identity on whose behalf the link is logged in. Two identities never share a link.
    pub identity: IdentityId,
    /// The database that is selected on the link; on a lease, when it is lent.
    pub database: u32,
    /// The version of RESP on the link; on a lease, when it is lent.
    pub protocol: Protocol,
    /// The kind of requests that use the link.
    pub lane: Lane,
}

impl LinkKey {
    /// Returns the key of a link for a session in `state`.
    #[inline]
    pub fn of(state: &State, lane: Lane) -> Self {
        Self {
            node: NodeId::ONLY,
            identity: state.identity(),
            database: state.database(),
            protocol: state.protocol(),
            lane,
        }
    }
}
