//! Where log lines go and how they look.

use std::io::{self, IsTerminal, Write as _};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tracing::Dispatch;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, LogSettings};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is not a filter. Settings that were validated never give this.
    #[error("log.level holds no valid filter directives")]
    Level,
    /// Something else in this process logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Lines that may wait to be written. Beyond that new ones are lost: a reader of standard error that
/// has stopped must not stop the sessions.
pub const MAX_WAITING_LINES: usize = 16_384;

/// Has the log of this process take another filter; false if it has gone.
type Refilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static REFILTER: OnceLock<Refilter> = OnceLock::new();

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines of this process's log that have been lost.
pub(super) fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Writes what is left when it is dropped, for at most 2 seconds.
#[must_use = "lines that wait are lost without it"]
pub struct Flush(Option<WorkerGuard>);

/// How long an end of the process waits for those who read its output.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Drop for Flush {
    fn drop(&mut self) {
        // When the queue is full the guard itself writes to standard output, which waits for ever if
        // nobody reads that.
        let guard = self.0.take();
        within_last_words(move || drop(guard));
    }
}

/// Writes a line to standard error. When nobody reads that, the line is lost after a while.
pub fn say(line: String) {
    within_last_words(move || {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Does `what` on a thread of its own, and waits for it, but not for ever.
fn within_last_words(what: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let spawned = thread::Builder::new().name("last-words".to_owned()).spawn(move || {
        what();
        let _ = done.send(());
    });
    if spawned.is_ok() {
        let _ = is_done.recv_timeout(LAST_WORDS);
    }
}

/// Sends this process's log to standard error, as `log` says, coloured on a terminal only and not
/// if `NO_COLOR` is set. A thread of its own writes it.
///
/// # Errors
/// If it was called before.
pub fn init(log: &LogSettings) -> Result<Flush, LogError> {
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let _ = DROPPED.set(writer.error_counter());
    let (dispatch, refilter) = build(log, writer, colour)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| LogError::Twice)?;
    let _ = REFILTER.set(refilter);
    Ok(Flush(Some(guard)))
}

/// Has this process's log hold what `level` says from here on. Does nothing where there is none.
///
/// # Errors
/// If it is not a filter.
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level).map_err(|_| LogError::Level)?;
    match REFILTER.get() {
        Some(refilter) if !refilter(filter) => Err(LogError::Level),
        _ => Ok(()),
    }
}

/// A log that goes to `writer`; colour is for text only.
///
/// # Errors
/// If `log.level` is not a filter.
pub fn dispatch<W>(log: &LogSettings, writer: W, colour: bool) -> Result<Dispatch, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    build(log, writer, colour).map(|(dispatch, _)| dispatch)
}

fn build<W>(log: &LogSettings, writer: W, colour: bool) -> Result<(Dispatch, Refilter), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&log.level).map_err(|_| LogError::Level)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A line that cannot be written is lost. To say so on standard error would end the process when
    // that is what is closed.
    let lines = lines.log_internal_errors(false);
    Ok(match log.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(colour).with_filter_reloading();
            let handle = lines.reload_handle();
            let refilter = move |filter| handle.reload(filter).is_ok();
            (Dispatch::new(lines.finish()), Box::new(refilter))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            let lines = lines.with_span_list(false).with_filter_reloading();
            let handle = lines.reload_handle();
            let refilter = move |filter| handle.reload(filter).is_ok();
            (Dispatch::new(lines.finish()), Box::new(refilter))
        }
    })
}
