//! The destinations of audit lines: standard output, a file or syslog.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::file::LogFile;
use super::syslog::Syslog;

/// A destination of audit lines.
pub(super) enum Sink {
    Stdout(File),
    File(LogFile),
    Syslog(Syslog),
}

impl Sink {
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// Prepares for writing `more` bytes of complete lines.
    pub(super) fn prepare(&mut self, more: usize) -> io::Result<()> {
        match self {
            Self::Stdout(_) | Self::Syslog(_) => Ok(()),
            Self::File(file) => file.prepare(more as u64),
        }
    }

    /// Records that `lines` more lines are written, and that the last has this hash.
    pub(super) fn note(&mut self, lines: u64, hash: &str) -> io::Result<()> {
        match self {
            Self::Stdout(_) | Self::Syslog(_) => Ok(()),
            Self::File(file) => file.note(lines, hash),
        }
    }

    /// Writes some of `bytes`; returns how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(file) => {
                // The lock keeps lines complete: other threads may write to standard output too.
                let _held = io::stdout().lock();
                file.write(bytes)
            }
            Self::File(file) => file.file.write(bytes),
            Self::Syslog(syslog) => syslog.send(bytes),
        }
    }
}
