//! Where a password was found.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::super::error::Site;

/// Where a password was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Under this key of the configuration file.
    Key(Cow<'static, str>),
    /// In a file that this key names.
    KeyFile(Cow<'static, str>, PathBuf),
    /// In this environment variable.
    Variable(Cow<'static, str>),
    /// In a file that this environment variable names.
    VariableFile(Cow<'static, str>, PathBuf),
    /// The upstream's password is used, as clients have none of their own.
    Upstream,
}

impl Origin {
    /// A password at `site`, which gives the value of `key`.
    pub(super) fn of(site: &Site, key: Cow<'static, str>) -> Self {
        match site {
            Site::Variable(name) => Self::Variable(name.clone()),
            Site::File { .. } | Site::Whole => Self::Key(key),
        }
    }

    /// A password in the file `path`, named at `site`, which gives the value of `key`.
    pub(super) fn of_file(site: &Site, key: Cow<'static, str>, path: PathBuf) -> Self {
        match site {
            Site::Variable(name) => Self::VariableFile(name.clone(), path),
            Site::File { .. } | Site::Whole => Self::KeyFile(key, path),
        }
    }

    /// Returns the key or variable that gave the password.
    pub fn key(&self) -> &str {
        match self {
            Self::Key(name) | Self::KeyFile(name, _) => name,
            Self::Variable(name) | Self::VariableFile(name, _) => name,
            Self::Upstream => "upstream.password",
        }
    }

    /// Returns the file that holds the password, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::KeyFile(_, path) | Self::VariableFile(_, path) => Some(path),
            Self::Key(_) | Self::Variable(_) | Self::Upstream => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "from {key}"),
            Self::Variable(name) => write!(f, "from {name} in the environment"),
            Self::KeyFile(key, path) => write!(f, "from {key} ({path:?})"),
            Self::VariableFile(name, path) => {
                write!(f, "from {name} in the environment ({path:?})")
            }
            Self::Upstream => {
                f.write_str("the upstream's, since no password for clients is configured")
            }
        }
    }
}
