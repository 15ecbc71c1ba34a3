//! The format of `/refused`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The commands that the policy has refused, grouped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Refused {
    /// Seconds that the counts go back, rounded up to periods of five minutes; `None` if they go back to the start.
    pub since_seconds: Option<u64>,
    /// Refusals in groups that are no longer kept, since the start.
    pub forgotten: u64,
    /// Workers that did not answer in time, so that their refusals are missing.
    pub unanswered: Vec<usize>,
    /// The groups, the largest first.
    pub groups: Vec<RefusedGroup>,
}

impl Refused {
    /// How far back refusals can be counted: a day.
    pub const LONGEST: Duration = Duration::from_secs(86_400);
    /// The least time that they can be counted for.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// Refusals are counted by periods of this length.
    pub const PERIOD: Duration = Duration::from_secs(300);
}

/// Refusals of one command to one program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedGroup {
    /// How many there were.
    pub count: u64,
    /// The time of the first one since the start, in RFC 3339.
    pub first: String,
    /// The time of the last one.
    pub last: String,
    /// Seconds since the last one.
    pub last_seconds: u64,
    /// The number of the last one's session in the log.
    pub last_session: u64,
    /// The address of the last one's client.
    pub last_peer: String,
    /// The user name; `None` if the sessions had not authenticated.
    pub user: Option<String>,
    /// The name that the clients have set, escaped and shortened.
    pub name: Option<String>,
    /// The clients' library and its version, as they say, escaped and shortened.
    pub library: Option<String>,
    /// The command.
    pub command: String,
    /// The rule that refused it.
    pub rule: String,
    /// The key of the configuration by which it can be opened; `None` if there is none.
    pub opened_by: Option<String>,
}
