//! The thread that writes the audit log.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tracing::{error, info};

use super::line::Lines;
use super::pause;
use super::queue::{Entry, Inbox};
use super::sink::Sink;
use crate::telemetry::metrics::names;

/// Most lines written at once.
const BATCH: usize = 256;
/// First wait after a failed write; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Writer {
    sink: Sink,
    lines: Lines,
    inbox: Inbox,
    /// Notified when all lines are written.
    ended: Sender<()>,
    is_failing: bool,
    /// `true` while the record of where the log ends cannot be written.
    is_head_failing: bool,
}

impl Writer {
    pub(super) fn new(sink: Sink, lines: Lines, inbox: Inbox, ended: Sender<()>) -> Self {
        Self { sink, lines, inbox, ended, is_failing: false, is_head_failing: false }
    }

    /// Writes events until the request to stop.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        let mut stops = false;
        while !stops {
            let Some(first) = self.inbox.wait() else { break };
            batch.clear();
            let mut count = 0;
            let mut next = Some(first);
            while let Some(entry) = next {
                let Entry::Event { event, time, uptime } = entry else {
                    stops = true;
                    break;
                };
                self.lines.push(&event, time, uptime, &mut batch);
                count += 1;
                next = if count < BATCH { self.inbox.next() } else { None };
            }
            self.write(&batch);
            self.note(count as u64);
            self.inbox.written(count);
            metrics::counter!(names::AUDIT_EVENTS).increment(count as u64);
        }
        let _ = self.ended.send(());
    }

    /// Records where the log ends now. If that fails, the log itself is still complete.
    fn note(&mut self, lines: u64) {
        let noted = match self.lines.last_hash() {
            Some(hash) if lines > 0 => self.sink.note(lines, hash),
            _ => return,
        };
        if let Err(error) = &noted {
            metrics::counter!(names::AUDIT_WRITE_ERRORS).increment(1);
            if !self.is_head_failing {
                error!(%error, "the record of where the audit log ends cannot be written");
            }
        }
        self.is_head_failing = noted.is_err();
    }

    /// Writes all of `batch`, with as many attempts as that takes; written bytes are not repeated.
    fn write(&mut self, batch: &[u8]) {
        let mut wait = FIRST_WAIT;
        let mut left = batch;
        while !left.is_empty() {
            let is_whole = left.len() == batch.len();
            let ready = if is_whole { self.sink.prepare(batch.len()) } else { Ok(()) };
            let written = ready.and_then(|()| match self.sink.write(left) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written,
            });
            match written {
                Ok(count) => {
                    left = left.get(count..).unwrap_or_default();
                    if self.is_failing {
                        self.is_failing = false;
                        info!("audit log is written again");
                    }
                    wait = FIRST_WAIT;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    metrics::counter!(names::AUDIT_WRITE_ERRORS).increment(1);
                    if !self.is_failing {
                        self.is_failing = true;
                        error!(%error, "audit log cannot be written; events wait");
                    }
                    pause(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}
