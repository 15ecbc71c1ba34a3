//! The format of `/sessions`.

use serde::{Deserialize, Serialize};

/// The open sessions, up to a bound.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sessions {
    /// `true` if there are more sessions than are listed.
    pub truncated: bool,
    /// Workers that did not answer in time, so that their sessions are missing.
    pub unanswered: Vec<usize>,
    /// The sessions, the oldest first.
    pub sessions: Vec<Session>,
}

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// The session's number in the log.
    pub session: u64,
    /// The worker that it belongs to.
    pub worker: usize,
    /// The address of its client.
    pub peer: String,
    /// The kind of listener: `tcp`, `tls` or `unix`.
    pub listener: String,
    /// The name in the client's certificate; `None` without a certificate.
    pub certificate: Option<String>,
    /// The user name; `None` if the session has not authenticated.
    pub user: Option<String>,
    /// When it connected, in RFC 3339.
    pub opened: String,
    /// Seconds since it connected.
    pub age_seconds: u64,
    /// Seconds since the last byte in either direction.
    pub idle_seconds: u64,
    /// The selected database.
    pub database: u32,
    /// The version of RESP, 2 or 3.
    pub protocol: u8,
    /// The name that the client has set, escaped and shortened.
    pub name: Option<String>,
    /// The client's library and its version, as it says, escaped and shortened.
    pub library: Option<String>,
    /// The connection to Redis that it uses: `none`, `shared` or `lease`.
    pub link: String,
    /// A number of that link, unique among the open links of the worker.
    pub link_number: Option<u32>,
    /// `true` inside a `MULTI`.
    pub in_transaction: bool,
    /// Channels and patterns that it is subscribed to.
    pub subscriptions: u32,
    /// Requests of the session.
    pub commands: u64,
    /// Requests that the policy refused.
    pub refused: u64,
    /// The command of the last refused request.
    pub last_refused: Option<String>,
    /// The rule that refused it.
    pub last_refused_by: Option<String>,
    /// The key of the configuration by which it can be opened; `None` if there is none.
    pub opened_by: Option<String>,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes written to the client.
    pub bytes_out: u64,
    /// Replies that are pending.
    pub replies_due: u64,
    /// Bytes that wait for the client to read them.
    pub bytes_waiting: u64,
}
