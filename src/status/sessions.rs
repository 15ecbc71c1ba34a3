//! The form of `/sessions`.

use serde::{Deserialize, Serialize};

/// All sessions, or as many as are listed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sessions {
    /// Whether there are more sessions than are listed.
    pub truncated: bool,
    /// Workers that did not answer in time, so that their sessions are missing.
    pub unanswered: Vec<usize>,
    /// The oldest first.
    pub sessions: Vec<Session>,
}

/// One session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// What the log calls it.
    pub session: u64,
    /// The worker that it belongs to.
    pub worker: usize,
    /// Where its client connects from.
    pub peer: String,
    /// What it connected over: `tcp`, `tls` or `unix`.
    pub listener: String,
    /// Whom the certificate is for that the client has shown.
    pub certificate: Option<String>,
    /// Who it is, while it has authenticated.
    pub user: Option<String>,
    /// When it connected, in RFC 3339.
    pub opened: String,
    /// Seconds since then.
    pub age_seconds: u64,
    /// Seconds since bytes last went either way.
    pub idle_seconds: u64,
    /// The selected database.
    pub database: u32,
    /// The version of RESP, 2 or 3.
    pub protocol: u8,
    /// What the client calls itself, escaped and cut short.
    pub name: Option<String>,
    /// The connection to Redis that it uses: `none`, `shared` or `lease`.
    pub link: String,
    /// A number of that connection, which no other open one of the worker has.
    pub link_number: Option<u32>,
    /// Whether it is inside a `MULTI`.
    pub in_transaction: bool,
    /// Channels and patterns that it is subscribed to.
    pub subscriptions: u32,
    /// Requests that it has made.
    pub commands: u64,
    /// Of those, refused by the policy.
    pub refused: u64,
    /// The rule that refused the last of them.
    pub last_refused_by: Option<String>,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes written to the client.
    pub bytes_out: u64,
    /// Replies that it is owed.
    pub replies_due: u64,
    /// Bytes that wait for the client to read them.
    pub bytes_waiting: u64,
}
