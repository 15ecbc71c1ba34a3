//! Watches a password file that may be rewritten at any time.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::LOOK;
use crate::config::{Origin, PasswordProblem, read_password};

type Found = Result<SecretString, PasswordProblem>;

/// A file that is read at intervals. Its content is compared, not its times, since the path may
/// contain symbolic links that are exchanged.
pub(super) struct PasswordFile {
    origin: Origin,
    path: PathBuf,
    allow_weak: bool,
    /// What the last read found, if it is not in force yet.
    candidate: Option<Found>,
    /// The password in force; the next field is the problem with the file, if it cannot be used
    /// now.
    password: SecretString,
    problem: Option<PasswordProblem>,
    /// A read that has not finished: the file system may be slow.
    reading: Option<JoinHandle<Found>>,
}

impl PasswordFile {
    /// Watches the file that holds `password`. Returns `None` if it is in no file, or in a file
    /// that can be read only once, such as a pipe.
    pub(super) fn watch(
        origin: &Origin,
        password: &SecretString,
        allow_weak: bool,
    ) -> Option<Self> {
        let path = origin.file()?.to_owned();
        if !path.is_file() {
            warn!(source = %origin, "password file is not watched: it is not a regular file");
            return None;
        }
        Some(Self {
            origin: origin.clone(),
            path,
            allow_weak,
            candidate: None,
            password: password.clone(),
            problem: None,
            reading: None,
        })
    }

    /// Returns where the password comes from, for the log.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Reads the file. Returns its password if that is new.
    ///
    /// Waits at most [`LOOK`]; a read that takes longer is continued by the next call.
    pub(super) async fn look(&mut self) -> Option<SecretString> {
        let reading = self.reading.get_or_insert_with(|| {
            let (path, allow_weak) = (self.path.clone(), self.allow_weak);
            tokio::task::spawn_blocking(move || read_password(&path, allow_weak))
        });
        let found = timeout(LOOK, reading).await.ok()?;
        self.reading = None;
        self.found(found.ok()?)
    }

    /// Takes what a read has found. It is put in force when two reads in a row have found it, so
    /// that a file which is just being written is not mistaken for a short password.
    fn found(&mut self, found: Found) -> Option<SecretString> {
        let is_stable = self.candidate.as_ref().is_some_and(|seen| same(seen, &found));
        if !is_stable {
            self.candidate = Some(found);
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
            origin: Origin::KeyFile("client.password_file".into(), path.clone()),
            path,
            allow_weak: true,
            candidate: None,
            password: "first".into(),
            problem: None,
            reading: None,
        }
    }

    fn sees(file: &mut PasswordFile, text: &str) -> Option<String> {
        file.found(Ok(text.into())).map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn password_takes_effect_once_after_two_equal_reads() {
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
        assert_eq!(sees(&mut file, "first").as_deref(), Some("first"), "the old password returns");
    }

    #[test]
    fn unusable_file_keeps_the_password() {
        let mut file = file();
        for _ in 0..3 {
            assert!(file.found(Err(PasswordProblem::EmptyFile)).is_none());
        }
        assert_eq!(file.problem, Some(PasswordProblem::EmptyFile));
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(sees(&mut file, "first"), None);
        assert_eq!(file.problem, None, "the next problem is logged again");
        assert!(file.found(Err(PasswordProblem::Weak)).is_none());
        assert_eq!(sees(&mut file, "second"), None);
        assert_eq!(sees(&mut file, "second").as_deref(), Some("second"));
    }
}
