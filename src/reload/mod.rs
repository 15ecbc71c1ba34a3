//! Putting a changed configuration in force without a restart.
//!
//! Owns: what a reload is asked and answers, how the configuration is read again, and which keys need
//! a restart. Leaves to `control`: putting it in force.
//!
//! Invariant: of a key that needs a restart the old value stays in force wholly, until that restart.

mod keys;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::config::{ConfigError, Settings};

pub use keys::{Difference, LIVE, RESTART};

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

/// Reads the configuration. It may wait for files.
type Load = dyn Fn() -> Result<Settings, ConfigError> + Send + Sync;

/// How a running server comes by a changed configuration.
#[derive(Clone, Default)]
pub struct Reloads {
    load: Option<Arc<Load>>,
    asked: Arc<Notify>,
}

impl Reloads {
    /// The configuration is what `load` returns.
    pub fn from(load: impl Fn() -> Result<Settings, ConfigError> + Send + Sync + 'static) -> Self {
        Self { load: Some(Arc::new(load)), asked: Arc::default() }
    }

    /// Asks for a reload, without an answer. While one runs, this and all that follow ask for one more
    /// after it.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Returns when somebody has asked. Cancel safe.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Reads it, in a thread of its own.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn load(&self) -> Result<Settings, String> {
        let Some(load) = self.load.clone() else {
            return Err("this process has no configuration that can be read again".to_owned());
        };
        match tokio::task::spawn_blocking(move || load()).await {
            Ok(loaded) => loaded.map_err(|error| chain(&error)),
            Err(_) => Err("the configuration could not be read: a defect".to_owned()),
        }
    }
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads").finish_non_exhaustive()
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
