//! What a link is for.

use crate::resp::Protocol;
use crate::session::State;

/// A server that links go to. There is one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// The one server that there is.
    pub const ONLY: Self = Self(0);
}

/// On whose behalf a link is logged in. There is one identity so far. Two never share a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentityId(u16);

impl IdentityId {
    /// The one identity that there is.
    pub const ONLY: Self = Self(0);
}

/// Which requests go over a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Of many sessions: those whose replies cannot be taken for several, and nothing else.
    Plain,
    /// Of many sessions: those whose replies may repeat a client's text; barriers keep the sessions apart.
    Fenced,
    /// Of many sessions: scripts and functions, fenced too. While one overruns, Redis reads no more from
    /// the link.
    Scripts,
    /// Of one session at a time, in any state.
    Lease,
}

/// What a link is for: sessions use a link only if its key is the one that they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The server at its other end.
    pub node: NodeId,
    /// On whose behalf it is logged in.
    pub identity: IdentityId,
    /// The database that is selected on it; on a lease, when it is lent.
    pub database: u32,
    /// The version of RESP that is spoken on it; on a lease, when it is lent.
    pub protocol: Protocol,
    /// Which requests go over it.
    pub lane: Lane,
}

impl LinkKey {
    /// The key of a link for a session in `state`.
    #[inline]
    pub fn of(state: &State, lane: Lane) -> Self {
        Self {
            node: NodeId::ONLY,
            identity: IdentityId::ONLY,
            database: state.database(),
            protocol: state.protocol(),
            lane,
        }
    }
}
