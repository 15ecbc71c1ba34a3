//! The file of the audit log: opened, locked, rotated, and opened again when it was moved away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::head::{self, Head, HeadFile};
use super::{AuditError, line};
use crate::config::AuditSettings;

/// Most bytes at the file's end that are read at the start; a line is much shorter.
const TAIL: u64 = 64 << 10;

/// The widest permissions that the file keeps: the owner may write, its group may read.
const MOST_MODE: u32 = 0o640;

/// An audit log in a file that only this process writes.
pub(super) struct LogFile {
    path: PathBuf,
    pub(super) file: File,
    max_size: u64,
    max_files: u32,
    /// The record of where the file ends; present if lines are chained and it is a regular file.
    head: Option<Recorded>,
}

/// The record of where a file ends, and the counts written to it.
struct Recorded {
    file: HeadFile,
    /// Complete lines in the file.
    lines: u64,
}

/// The state of the file's end when it was opened.
#[derive(Default)]
pub(super) struct End {
    /// The hash of the last line, if it is correct.
    pub(super) hash: Option<String>,
    /// Bytes after the last newline: an incomplete line, as a crash leaves it.
    pub(super) cut: u64,
    /// `true` if the file was renamed, because a chain could not continue from it.
    pub(super) is_set_aside: bool,
    /// Lines that were recorded as written and are missing.
    pub(super) missing: u64,
}

impl LogFile {
    /// Opens the file at `path`, and removes an incomplete line at its end. If a chain cannot
    /// continue there, the file is renamed like at a rotation, so that the new chain begins with a
    /// new file.
    pub(super) fn open(path: &Path, settings: &AuditSettings) -> Result<(Self, End), AuditError> {
        let failed = |error| AuditError::File(path.to_owned(), error);
        let mut file = open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => AuditError::Locked(path.to_owned()),
            _ => failed(error),
        })?;
        let mut end = end(&mut file).map_err(failed)?;
        let whole = file.metadata().map_err(failed)?.len().saturating_sub(end.cut);
        if end.cut > 0 {
            file.set_len(whole).map_err(failed)?;
        }
        let AuditSettings { max_size, max_files, hash_chain, .. } = *settings;
        let mut log = Self { path: path.to_owned(), file, max_size, max_files, head: None };
        if hash_chain {
            end.missing = log.missing(whole, end.hash.as_deref()).map_err(failed)?;
        }
        if hash_chain && whole == 0 {
            end.hash = log.hash_before();
        } else if hash_chain && end.hash.is_none() {
            if max_files == 0 {
                return Err(AuditError::Unchained(path.to_owned()));
            }
            log.set_aside().map_err(failed)?;
            log.file = open(path).map_err(failed)?;
            end.is_set_aside = true;
        }
        if hash_chain {
            log.record().map_err(failed)?;
        }
        Ok((log, end))
    }

    /// Returns how many recorded lines are missing from the file, which has `whole` bytes of
    /// complete lines and ends with the hash `last`, if that is correct. The file may hold more
    /// lines than are recorded, if the process was killed in between.
    fn missing(&mut self, whole: u64, last: Option<&str>) -> io::Result<u64> {
        let Some(head) = Head::of(&self.path) else { return Ok(0) };
        let lines = count_lines(&mut self.file, head.bytes.min(whole))?;
        if whole >= head.bytes && lines == head.lines && self.ends_line(head.bytes, &head.hash)? {
            return Ok(0);
        }
        if whole == 0 && self.hash_before().as_ref() == Some(&head.hash) {
            // The process was killed between renaming the file and moving its record.
            head::follow(&self.path, Some(&self.name(1)))?;
            return Ok(0);
        }
        let missing = head.lines.saturating_sub(count_lines(&mut self.file, whole)?);
        // If the last line is in no chain, the caller reports that instead.
        Ok(if last.is_some() || whole == 0 { missing.max(1) } else { missing })
    }

    /// Returns whether the line that ends at byte `at` has this hash.
    fn ends_line(&mut self, at: u64, hash: &str) -> io::Result<bool> {
        let start = at.saturating_sub(TAIL);
        self.file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        Read::by_ref(&mut self.file).take(at - start).read_to_end(&mut tail)?;
        let Some(lines) = tail.strip_suffix(b"\n") else { return Ok(at == 0) };
        let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(std::str::from_utf8(last).ok().and_then(line::hash) == Some(hash))
    }

    /// Starts to record where the file ends.
    fn record(&mut self) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            let lines = count_lines(&mut self.file, u64::MAX)?;
            self.head = Some(Recorded { file: HeadFile::open(&self.path)?, lines });
        }
        Ok(())
    }

    /// Records that `lines` more lines are in the file, and that the last has this hash.
    pub(super) fn note(&mut self, lines: u64, hash: &str) -> io::Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        head.lines += lines;
        let bytes = self.file.metadata()?.len();
        head.file.write(&Head { bytes, lines: head.lines, hash: hash.to_owned() })
    }

    /// Returns the hash of the last line of the file that was renamed last, from which the chain
    /// continues.
    fn hash_before(&self) -> Option<String> {
        end(&mut File::open(self.name(1)).ok()?).ok().filter(|end| end.cut == 0)?.hash
    }

    /// Prepares for writing `more` bytes: opens the file again if it was moved away, and rotates it
    /// if it has no room.
    pub(super) fn prepare(&mut self, more: u64) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if !mine.is_file() {
            return Ok(());
        }
        let is_there = fs::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino()));
        if !is_there {
            let mut file = open(&self.path)?;
            if end(&mut file)?.cut > 0 {
                return Err(io::Error::other(
                    "the file at this path now ends in an incomplete line",
                ));
            }
            self.file = file;
            self.record_again()?;
        } else if mine.len() > 0 && mine.len().saturating_add(more) > self.max_size {
            self.set_aside()?;
            self.file = open(&self.path)?;
            self.record_again()?;
        }
        Ok(())
    }

    /// Like [`LogFile::record`], for a newly opened file.
    fn record_again(&mut self) -> io::Result<()> {
        if self.head.is_some() { self.record() } else { Ok(()) }
    }

    /// Renames `audit.log` to `audit.log.1`, that to `audit.log.2`, and so on; removes the last
    /// file.
    fn set_aside(&self) -> io::Result<()> {
        for number in (0..self.max_files).rev() {
            match fs::rename(self.name(number), self.name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => head::follow(&self.name(number), Some(&self.name(number + 1)))?,
            }
        }
        if self.max_files > 0 {
            return Ok(());
        }
        fs::remove_file(&self.path)?;
        head::follow(&self.path, None)
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
    let about = file.metadata()?;
    let mode = about.mode() & 0o7777;
    if about.is_file() && mode & !MOST_MODE != 0 {
        // The file was created with wider permissions than an audit log should have.
        file.set_permissions(fs::Permissions::from_mode(mode & MOST_MODE))?;
    }
    Ok(file)
}

/// Returns how many lines end in the first `most` bytes. Reads all of these bytes.
fn count_lines(file: &mut File, most: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(TAIL as usize, file.take(most));
    let mut lines = 0;
    loop {
        let read = reader.fill_buf()?;
        if read.is_empty() {
            return Ok(lines);
        }
        let len = read.len();
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        reader.consume(len);
    }
}

/// Reads the end of `file`, and changes nothing.
///
/// # Errors
/// The file cannot be read, or is not an audit log: the bytes after the last newline are not the
/// beginning of a line, or the text before it is not a line.
fn end(file: &mut File) -> io::Result<End> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Ok(End::default());
    }
    file.seek(SeekFrom::Start(about.len().saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (lines, half) = tail.split_at(whole);
    let last = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|b| *b == b'\n').next());
    if !line::may_begin(half) || !last.is_none_or(line::is_one) {
        return Err(io::Error::other(
            "it does not end as an audit log does; move it away or name another file",
        ));
    }
    let hash = last.and_then(|last| std::str::from_utf8(last).ok()).and_then(line::hash);
    Ok(End { hash: hash.map(str::to_owned), cut: half.len() as u64, ..End::default() })
}
