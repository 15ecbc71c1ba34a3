//! The record of where a chained file ends, in a file beside it. If lines are removed at the end of
//! the log, the rest is still a valid chain, and only this record reveals it.
//!
//! An attacker who may write in the directory can change this record too; docs/audit.md says so.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The end of the record's file name.
const SUFFIX: &str = ".head";
/// Longest record that is read.
const LONGEST: u64 = 512;

/// The end of a log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Bytes up to the end of the last line.
    pub(super) bytes: u64,
    /// Number of complete lines.
    pub(super) lines: u64,
    /// The hash of the last line.
    pub(super) hash: String,
}

impl Head {
    /// Reads the record of the log at `path`; `None` if there is none or it is invalid.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = beside(path);
        let is_short =
            fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
        serde_json::from_slice(&fs::read(file).ok().filter(|_| is_short)?).ok()
    }
}

/// Writes the record of a log.
pub(super) struct HeadFile(File);

impl HeadFile {
    /// Opens the record, or creates it with mode 600. Its content is kept.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        options.open(beside(path)).map(Self)
    }

    /// Writes where the log ends now. All records have the same length and are written in one call,
    /// so that a kill leaves either the previous record or this one.
    pub(super) fn write(&self, head: &Head) -> io::Result<()> {
        let Head { bytes, lines, hash } = head;
        let text = format!("{{\"bytes\":{bytes:>20},\"lines\":{lines:>20},\"hash\":\"{hash}\"}}\n");
        self.0.write_all_at(text.as_bytes(), 0)
    }
}

/// Moves the record with its log to `to`; removes it if `to` is `None`.
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
