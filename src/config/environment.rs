//! The environment variables that Redoubt reads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::error::{ConfigError, Problem, Site};

/// The upstream's password.
pub(super) const REDIS_PASSWORD: &str = "REDIS_PASSWORD";
/// A file that holds the upstream's password.
pub(super) const REDIS_PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";
/// The clients' password.
pub(super) const REDOUBT_PASSWORD: &str = "REDOUBT_PASSWORD";
/// A file that holds the clients' password.
pub(super) const REDOUBT_PASSWORD_FILE: &str = "REDOUBT_PASSWORD_FILE";
/// A password that clients may still use for a while.
pub(super) const REDOUBT_PREVIOUS_PASSWORD: &str = "REDOUBT_PREVIOUS_PASSWORD";
/// A file that holds it.
pub(super) const REDOUBT_PREVIOUS_PASSWORD_FILE: &str = "REDOUBT_PREVIOUS_PASSWORD_FILE";
/// Until when they may.
pub(super) const REDOUBT_PREVIOUS_UNTIL: &str = "REDOUBT_PREVIOUS_UNTIL";
/// Where clients connect: host:port, or several with commas between.
pub(super) const REDOUBT_LISTEN: &str = "REDOUBT_LISTEN";
/// The upstream as a redis:// URL.
pub(super) const REDOUBT_UPSTREAM: &str = "REDOUBT_UPSTREAM";
/// Where the admin port is: host:port, or off.
pub(super) const REDOUBT_ADMIN_LISTEN: &str = "REDOUBT_ADMIN_LISTEN";

/// The variables that Redoubt reads, as they were at one moment. They win over the file.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `None` for a value that is not UTF-8.
    values: BTreeMap<&'static str, Option<SecretString>>,
}

impl Environment {
    /// All the names that are read.
    pub const NAMES: [&str; 10] = [
        REDIS_PASSWORD,
        REDIS_PASSWORD_FILE,
        REDOUBT_PASSWORD,
        REDOUBT_PASSWORD_FILE,
        REDOUBT_PREVIOUS_PASSWORD,
        REDOUBT_PREVIOUS_PASSWORD_FILE,
        REDOUBT_PREVIOUS_UNTIL,
        REDOUBT_LISTEN,
        REDOUBT_UPSTREAM,
        REDOUBT_ADMIN_LISTEN,
    ];

    /// This process's own.
    pub fn of_process() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// What `lookup` gives for each of [`Environment::NAMES`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let values = Self::NAMES.into_iter().filter_map(|name| {
            let value = lookup(name)?.into_string().ok().map(SecretString::from);
            Some((name, value))
        });
        Self { values: values.collect() }
    }

    /// The value of `name`; an error when it is empty or not UTF-8, since a variable that was meant
    /// to hold something is a likelier explanation than one that was meant to be empty.
    pub(super) fn value(&self, name: &'static str) -> Result<Option<SecretString>, ConfigError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(None) => Err(Site::Variable(name).error(Problem::NotUtf8)),
            Some(Some(value)) if value.expose_secret().is_empty() => {
                Err(Site::Variable(name).error(Problem::Empty))
            }
            Some(Some(value)) => Ok(Some(value.clone())),
        }
    }

    /// The value of `name`, which is no secret.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        Ok(self.value(name)?.map(|text| text.expose_secret().to_owned()))
    }

    /// The path that `name` holds.
    pub(super) fn path(&self, name: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.value(name)?.map(|path| PathBuf::from(path.expose_secret())))
    }
}
