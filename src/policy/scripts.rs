//! Which scripts and functions a client may run.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Which scripts and functions a client may run.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Scripts {
    /// All; what they may call is for Redis to hold.
    #[default]
    All,
    /// Those that cannot write.
    ReadOnly,
    /// Those that are listed.
    Pinned(Arc<Pins>),
    /// None.
    Deny,
}

/// The scripts and functions that are listed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// SHA-1 digests of scripts.
    pub scripts: HashSet<[u8; 20]>,
    /// Functions that the listed libraries have.
    pub functions: HashSet<Bytes>,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::ReadOnly => "ReadOnly",
            Self::Pinned(_) => "Pinned",
            Self::Deny => "Deny",
        })
    }
}
