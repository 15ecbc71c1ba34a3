//! Putting a changed configuration in force without a restart.

use tokio::sync::{mpsc, oneshot};

/// Asks for a reload; there is room for [`WAITING`] that wait.
pub type ReloadSender = mpsc::Sender<ReloadRequest>;

/// Requests that may wait while a reload runs; more are refused.
pub const WAITING: usize = 4;

/// Somebody wants the configuration to be read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Told how it went. The text says what is wrong, without secrets; nothing has changed then.
    pub reply: oneshot::Sender<Result<Reloaded, String>>,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Keys whose new values are in force, in the order of the documentation.
    pub changed: Vec<&'static str>,
    /// Keys that have changed but stay as they were until a restart.
    pub needs_restart: Vec<&'static str>,
    /// Sessions that were closed, since the new configuration does not allow them.
    pub closed_sessions: u64,
}
