//! Which key a changed password is under: that for the password itself, or that for its file.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{Origin, Settings};

/// A password and where it is from. A variable counts as the key that it stands for.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    password: Option<&'a SecretString>,
    origin: Option<&'a Origin>,
}

/// The clients'.
pub(super) fn client(settings: &Settings) -> Given<'_> {
    let client = &settings.client;
    Given { password: Some(&client.password), origin: Some(&client.password_origin) }
}

/// The one that clients may use besides.
pub(super) fn previous(settings: &Settings) -> Given<'_> {
    let previous = settings.client.previous.as_ref();
    Given {
        password: previous.map(|given| &given.password),
        origin: previous.map(|given| &given.origin),
    }
}

/// The upstream's.
pub(super) fn upstream(settings: &Settings) -> Given<'_> {
    let upstream = &settings.upstream;
    Given { password: upstream.password.as_ref(), origin: upstream.password_origin.as_ref() }
}

/// Whether a password that is not in a file is new, other or gone.
pub(super) fn is_in_text(old: &Given<'_>, new: &Given<'_>) -> bool {
    let is_text = |given: &Given<'_>| given.is_given() && given.file().is_none();
    is_text(old) != is_text(new) || (is_text(new) && !old.is_same(new))
}

/// Whether a password in a file is new, other or gone, or another file's.
pub(super) fn is_in_file(old: &Given<'_>, new: &Given<'_>) -> bool {
    old.file() != new.file() || (new.file().is_some() && !old.is_same(new))
}

impl Given<'_> {
    fn is_given(&self) -> bool {
        self.origin.is_some_and(|origin| *origin != Origin::Upstream)
    }

    fn file(&self) -> Option<&Path> {
        self.origin?.file()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.password.map(ExposeSecret::expose_secret)
            == other.password.map(ExposeSecret::expose_secret)
    }
}
