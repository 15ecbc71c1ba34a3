//! Reloads: puts a changed configuration in force without a restart.
//!
//! Owns: the request for a reload and its reply, how the configuration is read again, and which
//! keys need a restart. Leaves to `control`: putting the configuration in force.
//!
//! Invariant: a key that needs a restart keeps its old value everywhere until the restart.

mod keys;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::config::{ConfigError, Settings};

pub use keys::{Difference, LIVE, RESTART};

/// Sends requests for a reload; up to [`WAITING`] requests may wait.
pub type ReloadSender = mpsc::Sender<ReloadRequest>;

/// Most requests that wait while a reload runs; further requests are refused.
pub const WAITING: usize = 4;

/// A request to read the configuration again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Receives the outcome. An error text says what is wrong, without secrets; nothing has changed
    /// then.
    pub reply: oneshot::Sender<Result<Reloaded, String>>,
}

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Keys whose new values are in force, in the order of the documentation.
    pub changed: Vec<String>,
    /// Keys that have changed and keep their old values until a restart.
    pub needs_restart: Vec<String>,
    /// Sessions that were closed, since the new configuration does not allow them.
    pub closed_sessions: u64,
}

/// Reads the configuration. It may wait for files.
type Load = dyn Fn() -> Result<Settings, ConfigError> + Send + Sync;

/// How a running server reads its configuration again.
#[derive(Clone, Default)]
pub struct Reloads {
    load: Option<Arc<Load>>,
    asked: Arc<Notify>,
}

impl Reloads {
    /// Reads the configuration by `load`.
    pub fn from(load: impl Fn() -> Result<Settings, ConfigError> + Send + Sync + 'static) -> Self {
        Self { load: Some(Arc::new(load)), asked: Arc::default() }
    }

    /// Requests a reload without a reply. All requests that come while a reload runs cause one more
    /// reload after it.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Returns when a reload was requested. Cancel safe.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Reads the configuration, on a thread of its own.
    ///
    /// # Errors
    /// The text says what is wrong with the configuration.
    pub(crate) async fn load(&self) -> Result<Settings, String> {
        let Some(load) = self.load.clone() else {
            return Err("this process has no configuration that can be read again".to_owned());
        };
        match tokio::task::spawn_blocking(move || load()).await {
            Ok(loaded) => loaded.map_err(|error| chain(&error)),
            Err(_) => {
                Err("internal error: reading the configuration panicked; please report it"
                    .to_owned())
            }
        }
    }
}

impl fmt::Debug for Reloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloads").finish_non_exhaustive()
    }
}

/// Returns an error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
