//! The queue of events that wait to be written: its bound, and what happens at the bound.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{info, warn};

use super::Event;
use crate::config::OnFull;
use crate::telemetry::metrics::names;

/// Shortest time between two log lines about a full queue.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// `true` while clients must wait for the audit log.
static FULL: LazyLock<watch::Sender<bool>> = LazyLock::new(watch::Sender::default);

/// Returns a receiver that is `true` while clients must wait for the audit log. That happens with
/// `audit.on_full = "block"` while the queue is full; otherwise it is always `false`.
pub fn full() -> watch::Receiver<bool> {
    FULL.subscribe()
}

/// An item of the queue: an event, or the request to stop.
pub(super) enum Entry {
    Event { event: Event, time: SystemTime, uptime: Duration },
    Stop,
}

/// The sending side of the queue. With `block`, further events are accepted when it is full: they
/// come from what was read before clients had to wait, and from the end of each session.
pub(super) struct Queue {
    entries: Sender<Entry>,
    state: Arc<State>,
}

/// The receiving side of the queue.
pub(super) struct Inbox {
    entries: Receiver<Entry>,
    state: Arc<State>,
}

struct State {
    limit: usize,
    on_full: OnFull,
    /// Events that are not written yet.
    waiting: AtomicUsize,
    /// Events that were dropped and are not reported in the audit log yet.
    dropped: AtomicU64,
    /// Uptime in milliseconds before which a full queue is not logged again.
    silent_until: AtomicU64,
    /// `true` if it was logged that clients wait.
    is_wait_logged: AtomicBool,
}

/// Makes a queue of at most `limit` events; see [`Queue`] for the exception with `block`.
pub(super) fn queue(limit: usize, on_full: OnFull) -> (Queue, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let state = Arc::new(State {
        limit,
        on_full,
        waiting: AtomicUsize::new(0),
        dropped: AtomicU64::new(0),
        silent_until: AtomicU64::new(0),
        is_wait_logged: AtomicBool::new(false),
    });
    let inbox = Inbox { entries: receiver, state: Arc::clone(&state) };
    (Queue { entries: sender, state }, inbox)
}

impl Queue {
    /// Adds an event. Never waits.
    pub(super) fn put(&self, event: Event, time: SystemTime, uptime: Duration) {
        let state = &self.state;
        let is_over = state.waiting.fetch_add(1, Ordering::Relaxed) >= state.limit;
        // The last event comes once, and distinguishes a stop from a crash, so it is never dropped.
        let is_full = is_over && !matches!(event, Event::Stopped);
        match state.on_full {
            OnFull::Drop if is_full => {
                state.waiting.fetch_sub(1, Ordering::Relaxed);
                let count = state.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                metrics::counter!(names::AUDIT_DROPPED).increment(1);
                if state.may_log(uptime) {
                    warn!(count, "audit queue is full; events are dropped");
                }
                return;
            }
            OnFull::Drop => self.report_dropped(time, uptime),
            // This is set before the event is queued, so that the writer resets it only after that.
            OnFull::Block if is_full => {
                let is_new = FULL.send_if_modified(|full| !std::mem::replace(full, true));
                if is_new && state.may_log(uptime) {
                    state.is_wait_logged.store(true, Ordering::Relaxed);
                    warn!("audit queue is full; clients wait");
                }
            }
            OnFull::Block => {}
        }
        let _ = self.entries.send(Entry::Event { event, time, uptime });
    }

    /// Makes the writer end when it has written all events.
    pub(super) fn end(&self, time: SystemTime, uptime: Duration) {
        self.report_dropped(time, uptime);
        let _ = self.entries.send(Entry::Stop);
    }

    /// Returns how many events are not written yet.
    pub(super) fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// Queues an event about dropped events, in the place where they would have been.
    fn report_dropped(&self, time: SystemTime, uptime: Duration) {
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
    /// Waits for the next entry; returns `None` if no more can come.
    pub(super) fn wait(&self) -> Option<Entry> {
        self.entries.recv().ok()
    }

    pub(super) fn next(&self) -> Option<Entry> {
        self.entries.try_recv().ok()
    }

    /// Notes that `count` events were written. Clients continue when half of the queue is free.
    pub(super) fn written(&self, count: usize) {
        let before = self.state.waiting.fetch_sub(count, Ordering::Relaxed);
        if *FULL.borrow() && before.saturating_sub(count) <= self.state.limit / 2 {
            FULL.send_replace(false);
            if self.state.is_wait_logged.swap(false, Ordering::Relaxed) {
                info!("audit queue has room; clients continue");
            }
        }
    }
}

impl State {
    fn may_log(&self, uptime: Duration) -> bool {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, until) = (milliseconds(uptime), self.silent_until.load(Ordering::Relaxed));
        let next = now.saturating_add(milliseconds(LOG_INTERVAL));
        let set = |until| {
            self.silent_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        now >= until && set(until).is_ok()
    }
}
