//! The state of a session at one moment, for the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::resp::Protocol;
use crate::router::session::Session;
use crate::session::{ClientLine, Program};

/// The state of a session. It holds no value that the client sent, except the name that the client gave
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Time since the client connected.
    pub age: Duration,
    /// Time since bytes were last read from the client or written to it.
    pub idle: Duration,
    /// The user as which it authenticated; `None` before that, and after `RESET`.
    pub user: Option<Arc<str>>,
    /// The selected database.
    pub database: u32,
    /// The version of RESP of its replies.
    pub protocol: Protocol,
    /// What the client says of itself.
    pub program: Program,
    /// The link that it uses.
    pub link: LinkView,
    /// True if Redis queues its commands.
    pub in_transaction: bool,
    /// Number of its channels, patterns and shard channels.
    pub subscriptions: u32,
    /// Number of requests that it has made.
    pub commands: u64,
    /// Bytes read from it.
    pub bytes_in: u64,
    /// Bytes written to it.
    pub bytes_out: u64,
    /// Number of replies that are pending.
    pub replies_due: usize,
    /// Bytes that wait for the client to read them.
    pub bytes_waiting: usize,
}

/// The link that a session uses, by a number that no other open link of the worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// The session has no link.
    None,
    /// The session shares this link.
    Shared(u32),
    /// The session alone uses this link.
    Lease(u32),
}

/// Returns what `CLIENT LIST` says of a session, without its addresses.
pub(in crate::router) fn line_of(session: &Session, now: Instant) -> Option<ClientLine> {
    let state = &session.state;
    Some(ClientLine {
        id: state.client_id(),
        address: String::new(),
        local_address: String::new(),
        name: state.name().cloned().unwrap_or_default(),
        age: now.saturating_duration_since(session.opened).as_secs(),
        idle: now.saturating_duration_since(session.active).as_secs(),
        user: state.user()?.clone(),
        database: state.database(),
        subscriptions: state.subscribed(),
        in_transaction: state.is_in_transaction(),
        is_blocked: session.pending.blocks(),
        is_stream: state.is_opaque(),
        tracked: state.tracked(),
        redirects_to: state.redirects_to(),
        command: session.last_command(),
        protocol: state.protocol(),
        library: state.library(),
        input: session.input.len(),
        output: session.output.len(),
        bytes_in: session.bytes_in,
        bytes_out: session.bytes_out,
        commands: session.commands,
    })
}

impl SessionView {
    /// Returns the view of a session that uses `link`.
    pub(in crate::router) fn of(session: &Session, link: LinkView, now: Instant) -> Self {
        let state = &session.state;
        Self {
            age: now.saturating_duration_since(session.opened),
            idle: now.saturating_duration_since(session.active),
            user: state.user().cloned(),
            database: state.database(),
            protocol: state.protocol(),
            program: Program::of(state),
            link,
            in_transaction: state.is_in_transaction(),
            subscriptions: state.subscriptions(),
            commands: session.commands,
            bytes_in: session.bytes_in,
            bytes_out: session.bytes_out,
            replies_due: session.pending.len(),
            bytes_waiting: session.output.len(),
        }
    }
}
