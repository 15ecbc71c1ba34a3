//! Grants: a command that an identity may run for a while, although the policy or its rights refuse it.
//!
//! Owns: what a grant is, and the requests for grants. Leaves to `control`: opening and closing what is granted.
//!
//! Invariants: a grant ends by itself, also if Redoubt is started anew; it has a reason, and both its beginning and
//! its end are in the audit log.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// Sends requests about grants; up to [`WAITING`] may wait.
pub type GrantSender = mpsc::Sender<GrantRequest>;

/// Most requests that wait; further ones are refused.
pub const WAITING: usize = 4;
/// Most grants at one time.
pub const MOST: usize = 64;
/// The shortest and the longest time of a grant.
pub const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
/// Most characters of a reason.
pub const MOST_REASON: usize = 500;

/// A request about grants, and where its outcome goes.
#[derive(Debug)]
pub struct GrantRequest {
    /// What is asked for.
    pub ask: Ask,
    /// Who asks: the user of the calling process, where the system tells it.
    pub by: Option<String>,
    /// Receives the grants after that, or the reason why nothing has changed.
    pub reply: oneshot::Sender<Result<Grants, String>>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The grants in force.
    List,
    /// One more grant.
    Give(NewGrant),
    /// The end of the grant with this number.
    Revoke(u64),
}

/// A grant that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The name of the identity.
    pub identity: String,
    /// `COMMAND` or `COMMAND|SUBCOMMAND`, in upper or lower case.
    pub command: String,
    /// How long it lasts; within [`TIMES`].
    pub lasts: Duration,
    /// Why it is given; not empty.
    pub reason: String,
}

/// The grants in force, the oldest first: the format of `/grants`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Each grant.
    pub grants: Vec<Grant>,
    /// The number of the grant that was just given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<u64>,
}

/// A grant in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its number, by which it is revoked. No two have the same while the process lives.
    pub number: u64,
    /// The name of the identity.
    pub identity: String,
    /// The command, in lower case.
    pub command: String,
    /// Why it was given.
    pub reason: String,
    /// The user who gave it, where the system told it.
    pub by: Option<String>,
    /// When it ends, in RFC 3339.
    pub until: String,
    /// Seconds until then.
    pub left_seconds: u64,
}
