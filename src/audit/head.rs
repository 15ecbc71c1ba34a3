//! The record of where a chained file ends, in a file beside it: lines that are removed at the end of
//! the log leave a chain that is whole, and only this tells of them.
//!
//! Whoever may write in the directory can write this too; docs/audit.md says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What the name of the record ends with.
const SUFFIX: &str = ".head";
/// Longest record that is read.
const LONGEST: u64 = 512;

/// Where a file ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Bytes up to the end of the last line.
    pub(super) bytes: u64,
    /// Whole lines.
    pub(super) lines: u64,
    /// The hash of the last line.
    pub(super) hash: String,
}

impl Head {
    /// The record of the log at `path`; `None` if there is none that can be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = beside(path);
        let is_short =
            fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
        serde_json::from_slice(&fs::read(file).ok().filter(|_| is_short)?).ok()
    }
}

/// Writes the record of the log at one path.
pub(super) struct HeadFile(File);

impl HeadFile {
    /// Opens it, with mode 600 if it is not there. What it says is kept.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        options.open(beside(path)).map(Self)
    }

    /// Writes where the log ends now. All records are of one length and written at once, so that a
    /// kill leaves the one before or this one.
    pub(super) fn write(&self, head: &Head) -> io::Result<()> {
        let Head { bytes, lines, hash } = head;
        let text = format!("{{\"bytes\":{bytes:>20},\"lines\":{lines:>20},\"hash\":\"{hash}\"}}\n");
        self.0.write_all_at(text.as_bytes(), 0)
    }
}

/// The record goes where its log goes; `to` is `None` where the log is removed.
pub(super) fn follow(path: &Path, to: Option<&Path>) -> io::Result<()> {
    let moved = match to {
        Some(to) => fs::rename(beside(path), beside(to)),
        None => fs::remove_file(beside(path)),
    };
    match moved {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}
