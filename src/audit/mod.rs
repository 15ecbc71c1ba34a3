//! The audit log: sessions, logins, refused commands and changes, as JSON lines.
//!
//! Owns: the format of the lines (`docs/audit.md`), their queue, the thread that writes them, the
//! file and its rotation, and the hash chain. Leaves to others: deciding what happened.
//!
//! Invariants: no line holds a password or a value, nor a key unless `audit.keys` asks for keys;
//! the queue is bounded, and events that do not fit are counted and reported; no incomplete line
//! stays while the process lives; a request that is served and not refused has no cost here.

mod event;
mod file;
mod head;
mod line;
mod queue;
mod sink;
mod syslog;
mod verify;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use tracing::error;

pub use self::event::{Event, KeysDeleted, Session, WouldRefuse, report};
use self::file::LogFile;
use self::line::Lines;
use self::queue::Queue;
pub use self::queue::full;
use self::sink::Sink;
use self::syslog::Syslog;
pub use self::verify::{Report, verify};
use self::writer::Writer;
use crate::config::{AuditOutput, AuditSettings};

/// How long a stop waits at least for the remaining lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

static LOG: OnceLock<Log> = OnceLock::new();
/// When the process must have stopped; set when it begins to stop.
static STOP_BY: OnceLock<Instant> = OnceLock::new();

struct Log {
    queue: Queue,
    start: Instant,
}

/// The reason why the audit log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened, read or locked.
    #[error("audit.file: cannot use {0}")]
    File(PathBuf, #[source] io::Error),
    /// Another process uses the file as its audit log.
    #[error(
        "audit.file: {0} is in use by another process; each needs a file of its own, also where \
         they share an address with reuse_port"
    )]
    Locked(PathBuf),
    /// The file's last line has no hash or a wrong one, and the file cannot be renamed.
    #[error(
        "audit.hash_chain: the last line of {0} is in no chain; move the file away or allow \
         audit.max_files"
    )]
    Unchained(PathBuf),
    /// The system's log cannot be reached.
    #[error("audit.syslog_socket: cannot use {0}")]
    Syslog(PathBuf, #[source] io::Error),
    /// The system provided no thread, no random bytes or no standard output.
    #[error("the audit log cannot start")]
    Start(#[source] io::Error),
}

/// Keep this value while the audit log is in use. Its drop waits until all lines are written: at
/// most for what is left of `shutdown_timeout`, and at least for a second.
#[must_use]
#[derive(Debug)]
pub struct Flush(Option<Receiver<()>>);

/// Starts the audit log of this process, once.
///
/// # Errors
/// Returns an [`AuditError`] if the configured log cannot be written; then no client should be
/// served.
pub fn init(settings: &AuditSettings) -> Result<Flush, AuditError> {
    if settings.output == AuditOutput::Off {
        return Ok(Flush(None));
    }
    let (sink, end) = open(settings)?;
    let lines = Lines::new(settings.hash_chain.then(|| end.hash.clone()))
        .map_err(|error| AuditError::Start(io::Error::other(error)))?;
    let (queue, inbox) = queue::queue(settings.queue, settings.on_full);
    let (ended, end_seen) = mpsc::channel();
    let writer = Writer::new(sink, lines, inbox, ended);
    std::thread::Builder::new()
        .name("audit".into())
        .spawn(move || writer.run())
        .map_err(AuditError::Start)?;
    let _ = LOG.set(Log { queue, start: now() });
    if end.missing > 0 {
        error!(
            lines = end.missing,
            "lines are missing at the end of the audit log: they were removed, or the system \
             lost them in a crash"
        );
        record(Event::LogTruncated { lines: end.missing });
    }
    if end.cut > 0 {
        record(Event::LogRepaired { bytes: end.cut });
    }
    if end.is_set_aside {
        record(Event::ChainStarted);
    }
    Ok(Flush(Some(end_seen)))
}

fn open(settings: &AuditSettings) -> Result<(Sink, file::End), AuditError> {
    let sink = match (settings.output, &settings.file) {
        (AuditOutput::File, Some(path)) => {
            let (file, end) = LogFile::open(path, settings)?;
            return Ok((Sink::File(file), end));
        }
        (AuditOutput::Syslog, _) => {
            let path = &settings.syslog_socket;
            let failed = |error| AuditError::Syslog(path.clone(), error);
            Sink::Syslog(Syslog::open(path).map_err(failed)?)
        }
        _ => Sink::stdout().map_err(AuditError::Start)?,
    };
    Ok((sink, file::End::default()))
}

/// Queues `event`. Never waits: if the queue is full, the event is dropped and counted, or clients
/// wait from then on (see [`full`]).
pub fn record(event: Event) {
    if let Some(log) = LOG.get() {
        log.queue.put(event, wall_clock(), log.uptime());
    }
}

/// Notes that the process is stopping, and how long that may take.
pub fn stopping(timeout: Duration) {
    let _ = STOP_BY.set(now() + timeout);
}

/// Returns whether there is an audit log, so that callers need not make events for nothing.
pub fn is_on() -> bool {
    LOG.get().is_some()
}

impl Log {
    fn uptime(&self) -> Duration {
        now().duration_since(self.start)
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (Some(ended), Some(log)) = (self.0.take(), LOG.get()) else { return };
        log.queue.end(wall_clock(), log.uptime());
        let left = STOP_BY.get().map(|by| by.saturating_duration_since(now())).unwrap_or_default();
        if ended.recv_timeout(left.max(LAST_WORDS)).is_err() {
            error!(events = log.queue.waiting(), "stopped before the whole audit log was written");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the audit log holds real time")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "the audit log holds real time")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[allow(clippy::disallowed_methods, reason = "runs on no worker's thread")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
