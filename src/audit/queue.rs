//! The events that wait to be written: how many may, and what happens when they are more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::Event;
use crate::config::OnFull;
use crate::telemetry::metrics::names;

/// Interval at which a full queue is logged, however often it fills.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Whether clients have to wait for the audit log.
static FULL: LazyLock<watch::Sender<bool>> = LazyLock::new(watch::Sender::default);

/// Tells whether clients have to wait for the audit log, as they do with `audit.on_full = "block"`
/// while the queue is full. It is false for good without that.
pub fn full() -> watch::Receiver<bool> {
    FULL.subscribe()
}

/// What waits to be written.
pub(super) enum Entry {
    Event { event: Event, time: SystemTime, uptime: Duration },
    Stop,
}

/// Where events are put. With `block`, those that come when it is full still go in: they are what
/// was read before clients were made to wait, and one for the end of each session.
pub(super) struct Queue {
    entries: Sender<Entry>,
    state: Arc<State>,
}

/// Where the writer takes them from.
pub(super) struct Inbox {
    entries: Receiver<Entry>,
    state: Arc<State>,
}

struct State {
    limit: usize,
    on_full: OnFull,
    /// Events that are not written yet.
    waiting: AtomicUsize,
    /// Events that found it full and have not been spoken of in the audit log.
    dropped: AtomicU64,
    /// Milliseconds of uptime before which it is not said again that it is full.
    silent_until: AtomicU64,
    /// Whether it was said that clients wait.
    said: AtomicBool,
}

/// A queue of at most `limit` events, but for what [`Queue`] says of `block`.
pub(super) fn queue(limit: usize, on_full: OnFull) -> (Queue, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let state = Arc::new(State {
        limit,
        on_full,
        waiting: AtomicUsize::new(0),
        dropped: AtomicU64::new(0),
        silent_until: AtomicU64::new(0),
        said: AtomicBool::new(false),
    });
    let inbox = Inbox { entries: receiver, state: Arc::clone(&state) };
    (Queue { entries: sender, state }, inbox)
}

impl Queue {
    /// Never waits.
    pub(super) fn put(&self, event: Event, time: SystemTime, uptime: Duration) {
        let state = &self.state;
        let is_over = state.waiting.fetch_add(1, Ordering::Relaxed) >= state.limit;
        // The last event comes once, and tells a stop from a crash.
        let is_full = is_over && !matches!(event, Event::Stopped);
        match state.on_full {
            OnFull::Drop if is_full => {
                state.waiting.fetch_sub(1, Ordering::Relaxed);
                let count = state.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                metrics::counter!(names::AUDIT_DROPPED).increment(1);
                if state.may_say(uptime) {
                    warn!(count, "audit queue is full; events are dropped");
                }
                return;
            }
            OnFull::Drop => self.tell_dropped(time, uptime),
            // Before the event goes in, so that the writer sees it after that.
            OnFull::Block if is_full => {
                let is_new = FULL.send_if_modified(|full| !std::mem::replace(full, true));
                if is_new && state.may_say(uptime) {
                    state.said.store(true, Ordering::Relaxed);
                    warn!("audit queue is full; clients wait");
                }
            }
            OnFull::Block => {}
        }
        let _ = self.entries.send(Entry::Event { event, time, uptime });
    }

    /// Has the writer end when it has written all.
    pub(super) fn end(&self, time: SystemTime, uptime: Duration) {
        self.tell_dropped(time, uptime);
        let _ = self.entries.send(Entry::Stop);
    }

    /// Events that are not written yet.
    pub(super) fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// A line of its own for events that were dropped, where they would have been.
    fn tell_dropped(&self, time: SystemTime, uptime: Duration) {
        if self.state.dropped.load(Ordering::Relaxed) == 0 {
            return;
        }
        let count = self.state.dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            self.state.waiting.fetch_add(1, Ordering::Relaxed);
            let event = Event::EventsDropped { count };
            let _ = self.entries.send(Entry::Event { event, time, uptime });
        }
    }
}

impl Inbox {
    /// Waits for the next one; `None` if none can come any more.
    pub(super) fn wait(&self) -> Option<Entry> {
        self.entries.recv().ok()
    }

    pub(super) fn next(&self) -> Option<Entry> {
        self.entries.try_recv().ok()
    }

    /// `count` events have been written. Clients go on when half of the queue is free.
    pub(super) fn written(&self, count: usize) {
        let before = self.state.waiting.fetch_sub(count, Ordering::Relaxed);
        if *FULL.borrow() && before.saturating_sub(count) <= self.state.limit / 2 {
            FULL.send_replace(false);
            if self.state.said.swap(false, Ordering::Relaxed) {
                info!("audit queue has room; clients go on");
            }
        }
    }
}

impl State {
    fn may_say(&self, uptime: Duration) -> bool {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, until) = (milliseconds(uptime), self.silent_until.load(Ordering::Relaxed));
        let next = now.saturating_add(milliseconds(SAID_EVERY));
        let set = |until| {
            self.silent_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        now >= until && set(until).is_ok()
    }
}
