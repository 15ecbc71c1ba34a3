//! The file of the audit log: opened, locked, rotated, and opened anew when it was moved away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{AuditError, line};

/// Most bytes of the file's end that are read at start; a line is much shorter.
const TAIL: u64 = 64 << 10;

/// An audit log in a file that only this process writes.
pub(super) struct LogFile {
    path: PathBuf,
    pub(super) file: File,
    max_size: u64,
    max_files: u32,
}

/// How the file ended when it was opened.
#[derive(Default)]
pub(super) struct End {
    /// The hash of its last line, if that is right.
    pub(super) hash: Option<String>,
    /// Bytes of a half line that were cut off.
    pub(super) cut: u64,
}

impl LogFile {
    pub(super) fn open(
        path: &Path,
        max_size: u64,
        max_files: u32,
    ) -> Result<(Self, End), AuditError> {
        let failed = |error| AuditError::File(path.to_owned(), error);
        let mut file = open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => AuditError::Locked(path.to_owned()),
            _ => failed(error),
        })?;
        let is_file = file.metadata().map_err(failed)?.is_file();
        let end = if is_file { mend(&mut file).map_err(failed)? } else { End::default() };
        Ok((Self { path: path.to_owned(), file, max_size, max_files }, end))
    }

    /// Makes ready for `more` bytes: the file is the one of that name, and has room.
    pub(super) fn prepare(&mut self, more: u64) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if !mine.is_file() {
            return Ok(());
        }
        let is_there = fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino()));
        if !is_there {
            self.file = open(&self.path)?;
        } else if mine.len() > 0 && mine.len().saturating_add(more) > self.max_size {
            self.set_aside()?;
            self.file = open(&self.path)?;
        }
        Ok(())
    }

    /// `audit.log` becomes `audit.log.1`, that `audit.log.2`, and so on; the last one goes.
    fn set_aside(&self) -> io::Result<()> {
        for number in (0..self.max_files).rev() {
            match fs::rename(self.name(number), self.name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.max_files == 0 { fs::remove_file(&self.path) } else { Ok(()) }
    }

    fn name(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Cuts off a half last line, as a crash leaves it.
fn mend(file: &mut File) -> io::Result<End> {
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let cut = (tail.len() - whole) as u64;
    if whole == 0 && size > TAIL {
        return Err(io::Error::other("it is not an audit log: its end has no line"));
    }
    if cut > 0 {
        file.set_len(size - cut)?;
    }
    tail.truncate(whole);
    let text = String::from_utf8_lossy(&tail);
    Ok(End { hash: text.lines().last().and_then(line::hash).map(str::to_owned), cut })
}
