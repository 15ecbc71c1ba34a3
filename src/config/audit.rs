//! `[audit]`: where the audit log goes, and what is in it.

use std::fmt::{self, Write};
use std::path::PathBuf;

use super::error::{ConfigError, Problem};
use super::print::{named, path};
use super::source::Source;
use super::tls::file;
use super::{schema, size};

/// Where the audit log goes, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Where it goes.
    pub output: AuditOutput,
    /// The file; present if it goes there.
    pub file: Option<PathBuf>,
    /// The socket of the system's log.
    pub syslog_socket: PathBuf,
    /// Bytes at which the file is set aside and a new one begun.
    pub max_size: u64,
    /// Most files that are set aside; the oldest goes when there is one more.
    pub max_files: u32,
    /// Whether keys of refused commands are in it.
    pub keys: AuditKeys,
    /// What happens when it is not written as fast as things happen.
    pub on_full: OnFull,
    /// Most lines that wait to be written.
    pub queue: usize,
    /// Whether each line holds the hash of the one before.
    pub hash_chain: bool,
}

/// Where the audit log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AuditOutput {
    /// Standard output.
    #[default]
    Stdout,
    /// A file.
    File,
    /// The system's log.
    Syslog,
    /// Nowhere.
    Off,
}

/// Whether keys of refused commands are in the audit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AuditKeys {
    /// They are not.
    #[default]
    None,
    /// A hash of each.
    Hashed,
    /// As they are.
    Plain,
}

/// What happens when the audit log is not written as fast as things happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnFull {
    /// Lines are left out, and counted.
    #[default]
    Drop,
    /// Clients wait.
    Block,
}

const OUTPUTS: [(&str, AuditOutput); 4] = [
    ("stdout", AuditOutput::Stdout),
    ("file", AuditOutput::File),
    ("syslog", AuditOutput::Syslog),
    ("off", AuditOutput::Off),
];
const KEYS: [(&str, AuditKeys); 3] =
    [("none", AuditKeys::None), ("hashed", AuditKeys::Hashed), ("plain", AuditKeys::Plain)];
const ON_FULL: [(&str, OnFull); 2] = [("drop", OnFull::Drop), ("block", OnFull::Block)];

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            output: AuditOutput::default(),
            file: None,
            syslog_socket: "/dev/log".into(),
            max_size: 100 << 20,
            max_files: 5,
            keys: AuditKeys::default(),
            on_full: OnFull::default(),
            queue: 10_000,
            hash_chain: false,
        }
    }
}

impl AuditSettings {
    pub(super) fn find(source: &Source<'_>, given: schema::Audit) -> Result<Self, ConfigError> {
        let default = Self::default();
        let site = given.output.as_ref().map(|output| source.site("audit.output", output.span()));
        let output = source.one_of("audit.output", given.output, &OUTPUTS)?.unwrap_or_default();
        let file_site = given.file.as_ref().map(|file| source.site("audit.file", file.span()));
        let found = file(source, "audit.file", given.file)?;
        match (output, site, file_site) {
            (AuditOutput::File, Some(site), None) => {
                return Err(site.error(Problem::Needs("audit.file")));
            }
            (AuditOutput::Stdout | AuditOutput::Syslog, _, Some(site)) => {
                return Err(site.error(Problem::NotAFile));
            }
            _ => {}
        }
        let syslog_socket = file(source, "audit.syslog_socket", given.syslog_socket)?;
        Ok(Self {
            output,
            file: found,
            syslog_socket: syslog_socket.unwrap_or(default.syslog_socket),
            max_size: source.size(
                "audit.max_size",
                given.max_size,
                default.max_size,
                64 << 10..=1 << 40,
            )?,
            max_files: source.number(
                "audit.max_files",
                given.max_files,
                default.max_files,
                0..=1000,
            )?,
            keys: source.one_of("audit.keys", given.keys, &KEYS)?.unwrap_or_default(),
            on_full: source.one_of("audit.on_full", given.on_full, &ON_FULL)?.unwrap_or_default(),
            queue: source.number("audit.queue", given.queue, default.queue, 100..=1_000_000)?,
            hash_chain: given.hash_chain.is_some_and(|chained| chained.into_inner()),
        })
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\n[audit]")?;
        writeln!(out, "output = {}", named(&OUTPUTS, self.output))?;
        if let Some(file) = &self.file {
            writeln!(out, "file = {}", path(file))?;
        }
        writeln!(out, "syslog_socket = {}", path(&self.syslog_socket))?;
        writeln!(out, "max_size = \"{}\"", size::format(self.max_size))?;
        writeln!(out, "max_files = {}", self.max_files)?;
        writeln!(out, "keys = {}", named(&KEYS, self.keys))?;
        writeln!(out, "on_full = {}", named(&ON_FULL, self.on_full))?;
        writeln!(out, "queue = {}", self.queue)?;
        writeln!(out, "hash_chain = {}", self.hash_chain)
    }
}
