//! What holds for every session of a worker: policy, identity and the stand-ins.

use super::stand_in::StandIn;
use crate::auth::Identity;
use crate::command::Version;
use crate::policy::Policy;

/// Shared by all sessions of a worker and swapped whole.
#[derive(Clone)]
pub struct Rules {
    /// Which commands exist for clients.
    pub policy: Policy,
    /// Who may log in.
    pub identity: Identity,
    /// Requests sent in the place of a client's.
    pub stand_in: StandIn,
    /// The upstream's version, once a link has told it. Before authentication, commands newer than
    /// it do not exist.
    pub upstream_version: Option<Version>,
    /// Refused commands after which a session that is not authenticated is closed.
    pub auth_attempts: u32,
}
