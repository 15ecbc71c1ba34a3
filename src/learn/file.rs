//! The state file: what has been learned, over a restart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redoubt_core::observe::Profile;

use super::Store;

/// The first line.
const HEAD: &str = "redoubt learn 1\n";
/// What is before the name of an identity.
const IDENTITY: &str = "identity ";
/// Most bytes of the file.
const MOST: u64 = 512 << 20;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("cannot read it")]
    Read(#[source] io::Error),
    #[error("line {0} is not what Redoubt has written there")]
    Line(usize),
}

impl Store {
    /// Reads the state file, if there is one, in the place of what is known.
    ///
    /// # Errors
    /// A [`StateError`]; nothing has changed then.
    pub(crate) fn load(&mut self, path: &Path) -> Result<(), StateError> {
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => file.take(MOST).read_to_string(&mut text).map_err(StateError::Read)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StateError::Read(error)),
        };
        let body = text.strip_prefix(HEAD).ok_or(StateError::Line(1))?;
        let mut profiles = std::collections::BTreeMap::new();
        let mut line = 2;
        for part in body
            .split_inclusive('\n')
            .collect::<Vec<_>>()
            .chunk_by(|_, next| !next.starts_with(IDENTITY))
        {
            let wrong = StateError::Line(line);
            line += part.len();
            let Some((head, rest)) = part.split_first() else { continue };
            let name = head.strip_prefix(IDENTITY).map(str::trim_end);
            let profile = Profile::read(&rest.concat());
            let (Some(name), Some(profile)) = (name, profile) else { return Err(wrong) };
            if profiles.len() >= Self::MOST {
                return Err(wrong);
            }
            profiles.insert(name.to_owned(), profile);
        }
        self.profiles = profiles;
        Ok(())
    }

    /// Returns the content of the state file if it has changed since this was last called.
    pub(crate) fn take_text(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        let mut text = HEAD.to_owned();
        for (name, profile) in &self.profiles {
            text.push_str(&format!("{IDENTITY}{name}\n"));
            text.push_str(&profile.write());
        }
        Some(text)
    }

    /// Notes that the last content could not be written.
    pub(crate) fn not_written(&mut self) {
        self.is_new = true;
    }
}

/// Writes the file whole, or leaves it as it is. Only its owner can read it.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_a_broken_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut store = Store::default();
        store.load(&path).unwrap();
        for name in ["one", "two"] {
            store.profiles.insert(name.to_owned(), Profile::new(7));
        }
        assert!(store.take_text().is_none());
        store.not_written();
        let text = store.take_text().unwrap();
        write(&path, &text).unwrap();
        let mut again = Store::default();
        again.load(&path).unwrap();
        again.not_written();
        assert_eq!(again.take_text().as_ref(), Some(&text));
        for broken in [
            "",
            "something else\n",
            "redoubt learn 1\nsince 1 2\n",
            "redoubt learn 1\nidentity a\nx\n",
        ] {
            fs::write(&path, broken).unwrap();
            assert!(again.load(&path).is_err(), "{broken}");
        }
        assert_eq!(again.profiles.len(), 2);
    }
}
