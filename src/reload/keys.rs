//! Finds which keys have changed: those that a reload puts in force, and those that need a restart.

use std::sync::LazyLock;

use crate::config::{self, Key, Reload, Settings};

/// The keys that a reload puts in force. A user or password in `upstream.url` counts as
/// `upstream.user` or `upstream.password`.
pub static LIVE: LazyLock<Vec<&'static Key>> = LazyLock::new(|| with(Reload::Live));

/// The keys that need a restart.
pub static RESTART: LazyLock<Vec<&'static Key>> = LazyLock::new(|| with(Reload::Restart));

fn with(reload: Reload) -> Vec<&'static Key> {
    let keys = config::fields().iter().map(|field| &field.key);
    keys.filter(|key| key.reload == reload).collect()
}

/// The keys that have changed, in the order of the documentation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keys that a reload puts in force.
    pub changed: Vec<&'static str>,
    /// Keys that need a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Difference {
    /// Compares `new` with `old`. Returns the difference, and the new settings with the old values
    /// of the keys that need a restart. Passwords are compared too; no value is shown.
    pub fn take(old: &Settings, mut new: Settings) -> (Self, Settings) {
        let mut found = Self::default();
        for field in config::fields().iter().filter(|field| field.differs(old, &new)) {
            match field.key.reload {
                Reload::Live => found.changed.push(field.key.name),
                Reload::Restart => found.needs_restart.push(field.key.name),
            }
        }
        config::fields().iter().for_each(|field| field.keep(&mut new, old));
        (found, new)
    }
}
