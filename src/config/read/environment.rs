//! Reads the environment variables of Redoubt.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::super::error::{ConfigError, Problem, Site};

/// The environment variables of Redoubt, as they were at one moment. They win over the file.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `None` for a value that is not UTF-8.
    values: BTreeMap<Cow<'static, str>, Option<SecretString>>,
}

impl Environment {
    /// Makes an environment of these names and values; `None` for a value that is not UTF-8.
    pub(crate) fn new(
        values: impl IntoIterator<Item = (Cow<'static, str>, Option<SecretString>)>,
    ) -> Self {
        Self { values: values.into_iter().collect() }
    }

    /// Adds a variable.
    pub(crate) fn add(&mut self, name: Cow<'static, str>, value: Option<SecretString>) {
        self.values.insert(name, value);
    }

    /// Returns the value of `name`. An empty value is an error, since the variable was more likely
    /// meant to hold something than to be empty; so is one that is not UTF-8.
    pub(super) fn value(&self, name: &str) -> Result<Option<SecretString>, ConfigError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(None) => Err(Site::Variable(name.to_owned().into()).error(Problem::NotUtf8)),
            Some(Some(value)) if value.expose_secret().is_empty() => {
                Err(Site::Variable(name.to_owned().into()).error(Problem::Empty))
            }
            Some(Some(value)) => Ok(Some(value.clone())),
        }
    }
}
