//! Finds which key a changed password belongs to: the key of the password itself, or the key of its
//! file.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::origin::Origin;

/// A password and where it was found; both `None` if there is none. A variable counts as the key
/// that it stands for.
#[derive(Clone, Copy)]
pub(crate) struct Secret<'a> {
    pub(crate) password: Option<&'a SecretString>,
    pub(crate) origin: Option<&'a Origin>,
}

/// Returns whether a password given as text was added, changed or removed.
pub(crate) fn is_in_text(old: Secret<'_>, new: Secret<'_>) -> bool {
    let is_text = |given: Secret<'_>| given.is_given() && given.file().is_none();
    is_text(old) != is_text(new) || (is_text(new) && !old.is_same(new))
}

/// Returns whether a password in a file was added, changed or removed, or its file has another
/// path.
pub(crate) fn is_in_file(old: Secret<'_>, new: Secret<'_>) -> bool {
    old.file() != new.file() || (new.file().is_some() && !old.is_same(new))
}

impl<'a> Secret<'a> {
    fn is_given(self) -> bool {
        self.origin.is_some_and(|origin| *origin != Origin::Upstream)
    }

    fn file(self) -> Option<&'a Path> {
        self.origin?.file()
    }

    fn is_same(self, other: Self) -> bool {
        self.password.map(ExposeSecret::expose_secret)
            == other.password.map(ExposeSecret::expose_secret)
    }
}
