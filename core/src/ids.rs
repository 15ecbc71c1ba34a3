//! The ids of sessions and links.

use slotmap::DefaultKey;

/// The id of a session. No later session has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) DefaultKey);

/// The id of a link. No later link has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) DefaultKey);

impl SessionId {
    /// Returns the key under which the program stores its part of the session.
    pub fn key(self) -> DefaultKey {
        self.0
    }

    /// Returns the id whose [`SessionId::key`] is `key`.
    pub fn from_key(key: DefaultKey) -> Self {
        Self(key)
    }
}

impl LinkId {
    /// Returns the key under which the program stores its part of the link.
    pub fn key(self) -> DefaultKey {
        self.0
    }

    /// Returns the id whose [`LinkId::key`] is `key`.
    pub fn from_key(key: DefaultKey) -> Self {
        Self(key)
    }
}
