//! `redoubt audit verify`: checks that a chained log is complete and unchanged.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::head::Head;
use super::line::{NO_HASH, hash};

/// Longest line that is read; Redoubt writes shorter lines.
const LONGEST: u64 = 64 << 10;

/// The result of checking a log.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Complete lines up to the first broken line.
    pub lines: u64,
    /// `true` if the first line starts a chain; `false` if the chain continues from a file that was
    /// not given.
    pub from_start: bool,
    /// `true` if a record says where the last file ends; without it, lines removed at the end
    /// cannot be noticed.
    pub end_recorded: bool,
    /// The file, the line number in it and the problem; `None` if the log is complete.
    pub broken: Option<(String, u64, String)>,
}

/// Checks the chain through `files`, the oldest first, and that each file reaches to the end that
/// its record states.
///
/// # Errors
/// A file cannot be read.
pub fn verify<P: AsRef<Path>>(files: &[P]) -> io::Result<Report> {
    let mut report = Report::default();
    let mut chain = Chain::default();
    for path in files {
        let path = path.as_ref();
        let mut reader = BufReader::new(File::open(path)?);
        // The record is read after the log was opened, so that lines written meanwhile do not count
        // as missing.
        let head = Head::of(path);
        report.end_recorded = head.is_some();
        let mut end = head.filter(|head| head.lines > 0);
        let broken = |line, problem: String| Some((path.display().to_string(), line, problem));
        let mut bytes = 0;
        for number in 1.. {
            let mut line = Vec::new();
            let len = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if len == 0 {
                if let Some(head) = end {
                    let missing = head.lines.saturating_sub(number - 1).max(1);
                    let problem = format!("{missing} lines are missing at the end of this file");
                    report.broken = broken(number, problem);
                    return Ok(report);
                }
                break;
            }
            if let Err(problem) = chain.follow(&line) {
                report.broken = broken(number, problem.to_owned());
                return Ok(report);
            }
            bytes += len as u64;
            if let Some(head) = end.take_if(|head| head.bytes == bytes) {
                if head.lines > number {
                    let missing = head.lines - number;
                    report.broken = broken(1, format!("{missing} lines before it are missing"));
                    return Ok(report);
                }
                if chain.hash.as_ref() != Some(&head.hash) {
                    let problem = "this is not the line that was written here";
                    report.broken = broken(number, problem.to_owned());
                    return Ok(report);
                }
            }
            report.from_start |= report.lines == 0 && chain.from_start;
            report.lines += 1;
        }
    }
    Ok(report)
}

#[derive(Default)]
struct Chain {
    hash: Option<String>,
    instance: String,
    seq: u64,
    from_start: bool,
}

impl Chain {
    fn follow(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let text = line.strip_suffix(b"\n").ok_or("the line is incomplete")?;
        let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8")?;
        let found = hash(text).ok_or("its hash is missing or wrong")?;
        let fields: Value = serde_json::from_str(text).map_err(|_| "the line is not JSON")?;
        let prev = fields.get("prev").and_then(Value::as_str).ok_or("it has no prev")?;
        let instance =
            fields.get("instance").and_then(Value::as_str).ok_or("it has no instance")?;
        let seq = fields.get("seq").and_then(Value::as_u64).ok_or("it has no seq")?;
        if fields.get("event").is_some_and(|event| event == "log_truncated") {
            return Err("Redoubt found lines missing here when it started");
        }
        match &self.hash {
            None => self.from_start = prev == NO_HASH,
            Some(before) if before == prev => {
                let expected =
                    if instance == self.instance { self.seq.saturating_add(1) } else { 1 };
                if seq != expected {
                    return Err("seq has a gap");
                }
            }
            Some(_) if prev == NO_HASH => return Err("a new chain starts here"),
            Some(_) => {
                return Err("it does not follow the line before: lines are missing or moved");
            }
        }
        self.hash = Some(found.to_owned());
        instance.clone_into(&mut self.instance);
        self.seq = seq;
        Ok(())
    }
}
