//! Password files, and the log lines about them.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use support::{Redoubt, lines};

/// A directory of password files.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Replaces a file as a whole.
    pub(crate) fn put(&self, name: &str, password: &str) {
        fs::write(self.path("next"), format!("{password}\n")).expect("write a file");
        fs::rename(self.path("next"), self.path(name)).expect("rename a file");
    }
}

/// Returns true for lines with `message`.
pub(crate) fn logged(message: &str) -> impl Fn(&str) -> bool {
    move |line| lines::field(line, "message").is_some_and(|said| said.starts_with(message))
}

/// Returns how many lines have `message`.
pub(crate) fn count(redoubt: &Redoubt, message: &str) -> usize {
    redoubt.log().all().iter().filter(|line| logged(message)(line)).count()
}

/// Checks that no line of the log contains one of `secrets`.
pub(crate) fn assert_not_logged(redoubt: &Redoubt, secrets: &[&str]) {
    for line in redoubt.log().all() {
        assert!(secrets.iter().all(|secret| !line.contains(secret)), "a secret in {line}");
    }
}
