//! Which kind of link a request needs.

use crate::resp::Protocol;

/// Which kind of link a request needs. What Redoubt answers itself needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any link of the session's database and protocol.
    Shared,
    /// A shared link of the session's database and protocol on which barriers keep sessions apart.
    Fenced,
    /// The same for scripts: while one overruns, Redis reads nothing more from its connection.
    Script,
    /// The shared link of this protocol, once nothing is due from the one of another.
    Moved(Protocol),
    /// A link of the session's own, until what the request begins is over.
    Lease,
    /// The same, on which a harmless command goes first, so that Redis notes the replication offset
    /// that the session's earlier writes have reached.
    NotedLease,
}

impl Need {
    /// Returns whether a link that others use too will do.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::Fenced | Self::Script | Self::Moved(_))
    }
}
