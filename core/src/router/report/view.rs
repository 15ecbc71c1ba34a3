//! What a session is at one moment, for the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::resp::Protocol;
use crate::router::links::Usage;
use crate::router::{LinkId, Router, SessionId};

/// What is known of a session. It holds no value of a client's, but the name that the client gave
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Since it connected.
    pub age: Duration,
    /// Since bytes last went either way.
    pub idle: Duration,
    /// The user that it is; `None` before a right `AUTH`, and after `RESET`.
    pub user: Option<Arc<str>>,
    /// The selected database.
    pub database: u32,
    /// What the client is spoken to in.
    pub protocol: Protocol,
    /// What the client calls itself: escaped, [`SessionView::MAX_NAME`] bytes of it at most.
    pub name: Option<String>,
    /// The link that it uses.
    pub link: LinkView,
    /// Whether Redis queues what it sends.
    pub in_transaction: bool,
    /// Channels, patterns and shard channels.
    pub subscriptions: u32,
    /// Requests that it has made.
    pub commands: u64,
    /// Bytes read from it.
    pub bytes_in: u64,
    /// Bytes written to it.
    pub bytes_out: u64,
    /// Replies that it is owed.
    pub replies_due: usize,
    /// Bytes that wait for it to read them.
    pub bytes_waiting: usize,
}

/// The link that a session uses, by a number that no other open link of the worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// None yet, or none any more.
    None,
    /// It shares this one.
    Shared(u32),
    /// It alone uses this one.
    Lease(u32),
}

impl SessionView {
    /// Most bytes of a client's name that are shown.
    pub const MAX_NAME: usize = 64;
}

impl Router {
    /// All sessions.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.keys().map(SessionId)
    }

    /// Requests that the present sessions have made, bytes read from them and bytes written to them.
    pub fn session_sums(&self) -> (u64, u64, u64) {
        self.sessions.values().fold(
            (0, 0, 0),
            |(commands, read, written): (u64, u64, u64), session| {
                (
                    commands.saturating_add(session.commands),
                    read.saturating_add(session.bytes_in),
                    written.saturating_add(session.bytes_out),
                )
            },
        )
    }

    /// Returns what the session is now. `None` when it has ended.
    pub fn view(&self, id: SessionId, now: Instant) -> Option<SessionView> {
        let session = self.sessions.get(id.0)?;
        let state = &session.state;
        let name = state.name().map(|name| {
            let shown = name.get(..SessionView::MAX_NAME).unwrap_or(name);
            shown.escape_ascii().to_string()
        });
        Some(SessionView {
            age: now.saturating_duration_since(session.opened),
            idle: now.saturating_duration_since(session.active),
            user: state.user().cloned(),
            database: state.database(),
            protocol: state.protocol(),
            name,
            link: session.link.map_or(LinkView::None, |link| self.link_view(link)),
            in_transaction: state.is_in_transaction(),
            subscriptions: state.subscriptions(),
            commands: session.commands,
            bytes_in: session.bytes_in,
            bytes_out: session.bytes_out,
            replies_due: session.due.len(),
            bytes_waiting: session.output.len(),
        })
    }

    fn link_view(&self, id: LinkId) -> LinkView {
        // The upper half tells how often the number has been used before.
        let number = slotmap::Key::data(&id.0).as_ffi() as u32;
        match self.links.get(id).map(|held| &held.usage) {
            Some(Usage::Shared(_)) => LinkView::Shared(number),
            Some(Usage::Lease(_)) => LinkView::Lease(number),
            Some(Usage::Returned(_) | Usage::Idle | Usage::Closed) | None => LinkView::None,
        }
    }
}
