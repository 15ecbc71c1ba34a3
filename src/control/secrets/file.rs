//! A password file that may be rewritten at any time.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::LOOK;
use crate::config::{Origin, PasswordProblem, read_password};

type Found = Result<SecretString, PasswordProblem>;

/// A file that is looked at again and again. Its content is compared, not its times, since it may
/// be reached over symbolic links that are swapped.
pub(super) struct PasswordFile {
    origin: Origin,
    path: PathBuf,
    allow_weak: bool,
    /// What the last look found, if that does not count yet.
    seen: Option<Found>,
    /// What counts: the password in force, and what is wrong with the file since it was read.
    password: SecretString,
    problem: Option<PasswordProblem>,
    /// A look that is not over: the file's system may be slow.
    reading: Option<JoinHandle<Found>>,
}

impl PasswordFile {
    /// Watches the file that `password` was found in; `None` if it was in none, or in one that can
    /// be read only once, such as a pipe.
    pub(super) fn watch(
        origin: &Origin,
        password: &SecretString,
        allow_weak: bool,
    ) -> Option<Self> {
        let path = origin.file()?.to_owned();
        if !path.is_file() {
            warn!(source = %origin, "password file is not watched: it is no regular file");
            return None;
        }
        Some(Self {
            origin: origin.clone(),
            path,
            allow_weak,
            seen: None,
            password: password.clone(),
            problem: None,
            reading: None,
        })
    }

    /// Returns where the password is from, for the log.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Looks at the file. Returns its password when that is a new one.
    ///
    /// Waits no longer than [`LOOK`]; a look that takes longer is gone on with by the next call.
    pub(super) async fn look(&mut self) -> Option<SecretString> {
        let reading = self.reading.get_or_insert_with(|| {
            let (path, allow_weak) = (self.path.clone(), self.allow_weak);
            tokio::task::spawn_blocking(move || read_password(&path, allow_weak))
        });
        let found = timeout(LOOK, reading).await.ok()?;
        self.reading = None;
        self.found(found.ok()?)
    }

    /// Takes in what a look has found. It counts when two looks in a row have found it, so that a
    /// file that is just being written is not taken for a short one.
    fn found(&mut self, found: Found) -> Option<SecretString> {
        let settled = self.seen.as_ref().is_some_and(|seen| same(seen, &found));
        if !settled {
            self.seen = Some(found);
            return None;
        }
        match found {
            Ok(password) => {
                self.problem = None;
                let changed = password.expose_secret() != self.password.expose_secret();
                changed.then(|| self.password.clone_from(&password))?;
                Some(password)
            }
            Err(problem) => {
                if self.problem != Some(problem) {
                    warn!(
                        source = %self.origin, %problem,
                        "password file cannot be used; the password stays as it was"
                    );
                }
                self.problem = Some(problem);
                None
            }
        }
    }
}

fn same(one: &Found, other: &Found) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.expose_secret() == other.expose_secret(),
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> PasswordFile {
        let path = PathBuf::from("/run/secrets/p");
        PasswordFile {
            origin: Origin::KeyFile("client.password_file", path.clone()),
            path,
            allow_weak: true,
            seen: None,
            password: "first".into(),
            problem: None,
            reading: None,
        }
    }

    fn sees(file: &mut PasswordFile, text: &str) -> Option<String> {
        file.found(Ok(text.into())).map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn what_is_seen_twice_in_a_row_counts_and_once() {
        let mut file = file();
        for _ in 0..3 {
            assert_eq!(sees(&mut file, "first"), None);
        }
        assert_eq!(sees(&mut file, "sec"), None);
        assert_eq!(sees(&mut file, "second"), None);
        assert_eq!(sees(&mut file, "second").as_deref(), Some("second"));
        assert_eq!(sees(&mut file, "second"), None);
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(sees(&mut file, "second"), None);
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(sees(&mut file, "first").as_deref(), Some("first"), "and back again");
    }

    #[test]
    fn a_problem_changes_nothing() {
        let mut file = file();
        for _ in 0..3 {
            assert!(file.found(Err(PasswordProblem::EmptyFile)).is_none());
        }
        assert_eq!(file.problem, Some(PasswordProblem::EmptyFile));
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(file.problem, None, "the next one is spoken of again");
        assert!(file.found(Err(PasswordProblem::Weak)).is_none());
        assert_eq!(sees(&mut file, "second"), None);
        assert_eq!(sees(&mut file, "second").as_deref(), Some("second"));
    }
}
