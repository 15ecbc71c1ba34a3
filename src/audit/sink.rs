//! Where the lines of the audit log go.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::file::LogFile;
use super::syslog::Syslog;

/// Where lines go.
pub(super) enum Sink {
    Stdout(File),
    File(LogFile),
    Syslog(Syslog),
}

impl Sink {
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// Makes ready for `more` bytes of whole lines.
    pub(super) fn prepare(&mut self, more: usize) -> io::Result<()> {
        match self {
            Self::Stdout(_) | Self::Syslog(_) => Ok(()),
            Self::File(file) => file.prepare(more as u64),
        }
    }

    /// Notes that `lines` more lines are written, of which the last has this hash.
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
                // The log may go there too, and its lines stay whole.
                let _held = io::stdout().lock();
                file.write(bytes)
            }
            Self::File(file) => file.file.write(bytes),
            Self::Syslog(syslog) => syslog.send(bytes),
        }
    }
}
