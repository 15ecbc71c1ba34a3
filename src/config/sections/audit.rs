//! `[audit]` and `[learn]`: what is recorded of clients, and where.

use std::path::PathBuf;

use super::super::declare::{bytes, choice, file, flag, settings, whole};
use super::super::error::{ConfigError, Problem};
use super::super::read::Reader;

settings! {
    /// Where the audit log goes, and what is in it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AuditSettings in "audit" {
        /// Where the audit log goes: "stdout", "file", "syslog" or "off".
        output: AuditOutput = choice([
            ("stdout", AuditOutput::Stdout),
            ("file", AuditOutput::File),
            ("syslog", AuditOutput::Syslog),
            ("off", AuditOutput::Off),
        ])
        .default(AuditOutput::Stdout);

        /// The file, for the output "file".
        file: Option<PathBuf> = file().optional(r#""/var/log/redoubt/audit.log""#);

        /// The socket of the system log, for the output "syslog".
        syslog_socket: PathBuf = file().default("/dev/log".into());

        /// At this size, "64kb" to "1024gb", the file is renamed to audit.log.1, the file of that
        /// name to audit.log.2 and so on, and a new file is begun.
        max_size: u64 = bytes(64 << 10..=1 << 40).default(100 << 20);

        /// Most renamed files that are kept, up to 1000. The oldest is removed when there is one more.
        max_files: u32 = whole(0..=1000).default(5);

        /// How the keys of refused commands are logged: "none" leaves them out, "hashed" logs a
        /// hash of each, "plain" logs the keys. Values are never logged.
        keys: AuditKeys = choice([
            ("none", AuditKeys::None),
            ("hashed", AuditKeys::Hashed),
            ("plain", AuditKeys::Plain),
        ])
        .default(AuditKeys::None)
        .live();

        /// What happens when more than `queue` lines wait to be written: "drop" leaves lines out
        /// and counts them; "block" stops reading from clients until there is room.
        on_full: OnFull =
            choice([("drop", OnFull::Drop), ("block", OnFull::Block)]).default(OnFull::Drop);

        /// Most lines that wait to be written, 100 to 1000000.
        queue: usize = whole(100..=1_000_000).default(10_000);

        /// With true, each line holds the hash of the line before, so that `redoubt audit verify`
        /// finds where lines were changed or removed. The end of the log is recorded beside it, in
        /// a file with the same name and ".head".
        hash_chain: bool = flag().default(false);
    }
}

settings! {
    /// What is recorded of identities, so that `redoubt learn` can propose a rule.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LearnSettings in "learn" {
        /// Whose requests are recorded:
        /// - "observed": those of identities whose mode is "observe".
        /// - "all": those of all identities, so that `redoubt learn` also shows what of an `acl` in force is
        ///   never used, and what clients of `client` need. What Redis refuses is left out.
        record: Recording = choice([
            ("observed", Recording::Observed),
            ("all", Recording::All),
        ])
        .default(Recording::Observed)
        .live();

        /// A file that keeps what was learned over a restart. It is written once a minute and at a stop. It
        /// holds commands, patterns of keys and counts, and no values.
        file: Option<PathBuf> = file().optional(r#""/var/lib/redoubt/learned""#);
    }
}

impl AuditSettings {
    /// Reads the keys and checks that `file` is given if and only if the output is a file.
    pub(crate) fn find(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let settings = Self::read(reader)?;
        match (settings.output, reader.site("audit.output"), reader.site("audit.file")) {
            (AuditOutput::File, Some(site), None) => {
                Err(site.error(Problem::Needs("audit.file".to_owned())))
            }
            (AuditOutput::Stdout | AuditOutput::Syslog, _, Some(site)) => {
                Err(site.error(Problem::NotAFile))
            }
            _ => Ok(settings),
        }
    }
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
    /// The audit log is off.
    Off,
}

/// How keys of refused commands appear in the audit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AuditKeys {
    /// Keys are left out.
    #[default]
    None,
    /// A hash of each key.
    Hashed,
    /// The keys themselves.
    Plain,
}

/// What happens when events come faster than the audit log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnFull {
    /// Lines are left out, and counted.
    #[default]
    Drop,
    /// Clients wait.
    Block,
}

/// Whose requests are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Recording {
    /// Those of identities in the mode "observe".
    #[default]
    Observed,
    /// Those of all identities.
    All,
}
