//! Writes log lines to standard error.

use std::io::{self, IsTerminal, Write as _};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tracing::Dispatch;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, LogSettings};

/// The reason why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is not a filter. Validated settings never cause this.
    #[error("log.level holds no valid filter directives")]
    Level,
    /// This process has a log already.
    #[error("logging is set up already")]
    Twice,
}

/// Most lines that wait to be written. Further lines are lost: a reader of standard error that has
/// stopped must not stop the sessions.
pub const MAX_WAITING_LINES: usize = 16_384;

/// Replaces the filter of this process's log; returns `false` if the log is gone.
type Refilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static REFILTER: OnceLock<Refilter> = OnceLock::new();

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Returns the number of log lines of this process that were lost.
pub(super) fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Writes the waiting lines when it is dropped, for at most 2 seconds.
#[must_use = "waiting lines are lost without it"]
pub struct Flush(Option<WorkerGuard>);

/// How long the end of the process waits for readers of its output.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Drop for Flush {
    fn drop(&mut self) {
        // If the queue is full, the guard itself writes to standard output, which blocks for ever
        // if nothing reads it.
        let guard = self.0.take();
        within_last_words(move || drop(guard));
    }
}

/// Writes a line to standard error. If nothing reads it within 2 seconds, the line is lost.
pub fn say(line: String) {
    within_last_words(move || {
        let _ = writeln!(io::stderr(), "{line}");
    });
}

/// Runs `what` on a thread of its own, and waits for it for at most [`LAST_WORDS`].
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

/// Sends this process's log to standard error, in the format and at the level of `log`. Colours are
/// used on a terminal only, and not if `NO_COLOR` is set. A thread of its own writes.
///
/// # Errors
/// A log was set up before.
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

/// Replaces the level of this process's log by `level`. Does nothing if the process has no log.
///
/// # Errors
/// `level` is not a filter.
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level).map_err(|_| LogError::Level)?;
    match REFILTER.get() {
        Some(refilter) if !refilter(filter) => Err(LogError::Level),
        _ => Ok(()),
    }
}

/// Returns a log that goes to `writer`; `colour` has an effect on the text format only.
///
/// # Errors
/// `log.level` is not a filter.
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
    // A line that cannot be written is lost. Reporting that on standard error would end the process
    // if standard error is what is closed.
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
