//! The kinds of links that requests need.

use crate::resp::Protocol;

/// The kind of link that a request needs. Requests that Redoubt answers need none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any link with the session's database and protocol.
    Shared,
    /// A shared link with the session's database and protocol on which barriers separate the sessions.
    Fenced,
    /// A fenced link that carries only scripts: while a script overruns, Redis reads nothing more from
    /// its connection.
    Script,
    /// The shared link of this protocol, once no reply is pending on the link of the other protocol.
    Moved(Protocol),
    /// A link of the session's own, until the state that the request begins has ended.
    Lease,
    /// A lease on which Redoubt sends a harmless command first, so that Redis records the replication
    /// offset of the session's earlier writes.
    NotedLease,
}

impl Need {
    /// Returns true if the link may be one that other sessions use too.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::Fenced | Self::Script | Self::Moved(_))
    }
}
