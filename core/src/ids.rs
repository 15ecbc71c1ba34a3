//! The names of sessions and links.

use slotmap::DefaultKey;

/// Names a session; no later session has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) DefaultKey);

/// Names a link; no later link has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) DefaultKey);

impl SessionId {
    /// The key under which the program keeps what belongs to the session.
    pub fn key(self) -> DefaultKey {
        self.0
    }

    /// The session whose [`SessionId::key`] is `key`.
    pub fn from_key(key: DefaultKey) -> Self {
        Self(key)
    }
}

impl LinkId {
    /// The key under which the program keeps what belongs to the link.
    pub fn key(self) -> DefaultKey {
        self.0
    }

    /// The link whose [`LinkId::key`] is `key`.
    pub fn from_key(key: DefaultKey) -> Self {
        Self(key)
    }
}
