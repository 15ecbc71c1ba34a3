//! The values of the environment variables that Redoubt reads.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::super::error::{ConfigError, Problem, Site};

/// The variables that Redoubt reads, as they were at one moment. They win over the file.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `None` for a value that is not UTF-8.
    values: BTreeMap<&'static str, Option<SecretString>>,
}

impl Environment {
    /// These names with these values; `None` for a value that is not UTF-8.
    pub(crate) fn new(
        values: impl IntoIterator<Item = (&'static str, Option<SecretString>)>,
    ) -> Self {
        Self { values: values.into_iter().collect() }
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
}
