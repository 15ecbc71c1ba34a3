//! All keys of the configuration file, in the order in which it documents them.

use std::ffi::OsString;
use std::sync::LazyLock;

use secrecy::SecretString;

use super::declare::{Field, Key};
use super::read::{Environment, Names};
use super::sections::{
    AuditSettings, ClientPasswords, ClientSettings, LimitSettings, LogSettings, PolicySettings,
    ThrottleSettings, TlsFiles, TlsSettings, UpstreamLogin, UpstreamSettings, UpstreamTlsKeys,
};
use super::settings::Settings;

/// A table of the file.
#[derive(Debug)]
pub struct Table {
    /// Its name; empty for the top of the file.
    pub name: &'static str,
    /// Its documentation.
    pub docs: &'static str,
}

const fn table(name: &'static str, docs: &'static str) -> Table {
    Table { name, docs }
}

/// The tables in their order.
pub const TABLES: [Table; 11] = [
    table("", ""),
    table("tls", "What clients of tls:// listeners are shown, and what they must show."),
    table("client", "Who may connect."),
    table("upstream", "The Redis that Redoubt stands before, and how Redoubt connects to it."),
    table(
        "policy",
        "What nobody may run. A client that tries gets Redis's own answer to an unknown command.",
    ),
    table("limits", "Bounds on sessions."),
    table(
        "throttle",
        "What happens to an address (IPv6: a /64) from which wrong passwords come; for unix:// \
         sockets, to a user of this machine.",
    ),
    table(
        "admin",
        "The port for operators: /livez, /readyz, /metrics, /sessions, /stats and POST /reload.",
    ),
    table("metrics", "Numbers for Prometheus, under /metrics of the admin port."),
    table(
        "audit",
        "The audit log: one JSON object a line for each session, login, refused command and change.",
    ),
    table(
        "log",
        "Logs go to standard error. They never hold a password or the value of an argument.",
    ),
];

/// The keys of a part of the settings, and how their values are found in the whole.
macro_rules! within {
    ($part:ident: $fields:expr) => {
        $fields
            .into_iter()
            .map(|field| field.within(|all: &Settings| &all.$part, |all| &mut all.$part))
    };
}

static FIELDS: LazyLock<Vec<Field<Settings>>> = LazyLock::new(|| {
    let tls = [TlsFiles::fields(), TlsSettings::fields()].into_iter().flatten();
    let tls = tls.map(|field| field.within_optional(|all: &Settings| &all.tls, |all| &mut all.tls));
    let client = [ClientSettings::fields(), ClientPasswords::fields()].into_iter().flatten();
    let upstream_tls = UpstreamTlsKeys::fields().into_iter().map(|field| {
        field.within_optional(|upstream: &UpstreamSettings| &upstream.tls, |new| &mut new.tls)
    });
    let upstream = [UpstreamLogin::fields(), UpstreamSettings::fields()].into_iter().flatten();
    let mut all = Settings::fields();
    all.extend(tls);
    all.extend(within!(client: client));
    all.extend(within!(upstream: upstream.chain(upstream_tls)));
    all.extend(within!(policy: PolicySettings::fields()));
    all.extend(within!(limits: LimitSettings::fields()));
    all.extend(within!(throttle: ThrottleSettings::fields()));
    all.extend(within!(audit: AuditSettings::fields()));
    all.extend(within!(log: LogSettings::fields()));
    // Some keys of other tables are fields of the whole.
    all.sort_by_key(|field| TABLES.iter().position(|table| table.name == field.key.table()));
    all
});

/// All keys, in the order in which the file documents them, and how their values are found.
pub fn fields() -> &'static [Field<Settings>] {
    &FIELDS
}

/// The full names of all keys, in the order in which the file documents them.
pub fn keys() -> impl Iterator<Item = &'static str> {
    fields().iter().map(|field| field.key.name)
}

/// Calls `with` with the names that a file may hold.
pub(super) fn with_names<T>(with: impl FnOnce(Names<'_>) -> T) -> T {
    let keys: Vec<&Key> = fields().iter().map(|field| &field.key).collect();
    let tables = TABLES.each_ref().map(|table| table.name);
    with(Names { keys: &keys, tables: tables.get(1..).unwrap_or_default() })
}

impl Environment {
    /// The names of all variables that are read.
    pub fn names() -> impl Iterator<Item = &'static str> {
        fields().iter().filter_map(|field| field.key.variable)
    }

    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// Returns what `lookup` gives for each of [`Environment::names`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        Self::new(Self::names().filter_map(|name| {
            let value = lookup(name)?.into_string().ok().map(SecretString::from);
            Some((name, value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_or_misplaced_name_finds_the_right_one() {
        for (wrong, meant) in [
            ("limit", Some("limits")),
            ("limits.auth_timout", Some("limits.auth_timeout")),
            ("upstream.conect_timeout", Some("upstream.connect_timeout")),
            ("auth_timeout", Some("limits.auth_timeout")),
            ("client.listen", Some("listen")),
            ("logs", Some("log")),
            ("zzz", None),
            ("wholly.different", None),
        ] {
            assert_eq!(with_names(|names| names.meant(wrong).map(str::to_owned)).as_deref(), meant);
        }
    }

    #[test]
    fn every_key_belongs_to_a_table_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = keys().collect();
        assert!(fields().iter().all(|field| TABLES.iter().any(|t| t.name == field.key.table())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), fields().len());
    }
}
