//! All keys of the configuration file, in the order of the sample file.

use std::ffi::OsString;
use std::sync::LazyLock;

use secrecy::SecretString;

use super::declare::{Field, Key};
use super::read::{Environment, IDENTITY, Names};
use super::sections::{
    AuditSettings, ClientPasswords, ClientSettings, CompatSettings, IdentityGiven,
    IdentitySettings, LearnSettings, LimitSettings, LogSettings, PolicySettings, SentinelLogin,
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
pub const TABLES: [Table; 14] = [
    table("", ""),
    table("tls", "The certificate of tls:// listeners, and the certificates that clients need."),
    table(
        "client",
        "The user name and passwords of clients that may do all that policy does not refuse: the short form of \
         one identity called \"default\".",
    ),
    table(
        IDENTITY,
        "A further identity, called NAME: its password and what it may do. There may be up to 1000 of these \
         tables. With one of them, [client] is an identity only if a password is given for it. \
         docs/identities.md shows how to use them.",
    ),
    table("upstream", "The address of Redis, and how Redoubt connects to it."),
    table(
        "policy",
        "Commands that no client may run. The reply is Redis's own for an unknown command.",
    ),
    table(
        "policy.compat",
        "Refused commands that are answered all the same, so that programs which insist on them start. \
         docs/differences.md says what the answers are.",
    ),
    table("limits", "Bounds on sessions."),
    table(
        "throttle",
        "How addresses (IPv6: a /64) that send wrong passwords are slowed down and locked out; for unix:// \
         sockets, users of this machine.",
    ),
    table(
        "admin",
        "The port for operators: /livez, /readyz, /metrics, /sessions, /stats and POST /reload.",
    ),
    table("metrics", "Metrics for Prometheus, at /metrics of the admin port."),
    table(
        "audit",
        "The audit log: one JSON object per line for each session, login, refused command and change.",
    ),
    table(
        "learn",
        "What is recorded of identities, so that `redoubt learn` can propose an `acl`. docs/identities.md shows \
         how to use it.",
    ),
    table(
        "log",
        "Logs go to standard error. They never hold a password or the value of an argument.",
    ),
];

/// Generates the keys of a part of the settings, with access to their values in the whole.
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
    let client = client
        .map(|field| field.within_optional(|all: &Settings| &all.client, |all| &mut all.client));
    let upstream_tls = UpstreamTlsKeys::fields().into_iter().map(|field| {
        field.within_optional(|upstream: &UpstreamSettings| &upstream.tls, |new| &mut new.tls)
    });
    let upstream = [UpstreamLogin::fields(), SentinelLogin::fields(), UpstreamSettings::fields()]
        .into_iter()
        .flatten();
    let mut all = Settings::fields();
    all.extend(tls);
    all.extend(client);
    all.extend(
        identity_fields()
            .into_iter()
            .map(|field| field.within_each(|all: &Settings| &all.identities, same_name)),
    );
    all.extend(within!(upstream: upstream.chain(upstream_tls)));
    all.extend(within!(policy: PolicySettings::fields()));
    all.extend(within!(compat: CompatSettings::fields()));
    all.extend(within!(limits: LimitSettings::fields()));
    all.extend(within!(throttle: ThrottleSettings::fields()));
    all.extend(within!(audit: AuditSettings::fields()));
    all.extend(within!(learn: LearnSettings::fields()));
    all.extend(within!(log: LogSettings::fields()));
    // Some keys of other tables are fields of `Settings` itself.
    all.sort_by_key(|field| TABLES.iter().position(|table| table.name == field.key.table()));
    all
});

fn same_name(one: &IdentitySettings, other: &IdentitySettings) -> bool {
    one.name == other.name
}

/// Returns the keys of an identity, with access to their values.
pub(crate) fn identity_fields() -> Vec<Field<IdentitySettings>> {
    [IdentityGiven::fields(), IdentitySettings::fields()].into_iter().flatten().collect()
}

/// Returns all keys, in the order of the sample file, with access to their values.
pub fn fields() -> &'static [Field<Settings>] {
    &FIELDS
}

/// Returns the full names of all keys, in the order of the sample file.
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
    /// Returns the names of all environment variables that Redoubt reads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let all = fields().iter().filter_map(|field| field.key.variable);
        all.filter(|name| !name.contains('<'))
    }

    /// Returns the environment of this process.
    pub fn of_process() -> Self {
        let known = Self::from_lookup(|name| std::env::var_os(name));
        let all =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let others = all.filter(|(name, _)| {
            name.starts_with("REDOUBT_PASSWORD_") && !Self::names().any(|known| known == name)
        });
        others.fold(known, |all, (name, value)| all.with(name, value))
    }

    /// Adds a variable that is named after an identity, such as `REDOUBT_PASSWORD_WORKER`.
    #[must_use]
    pub fn with(mut self, name: String, value: OsString) -> Self {
        self.add(name.into(), value.into_string().ok().map(SecretString::from));
        self
    }

    /// Makes an environment of the values that `lookup` returns for [`Environment::names`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        Self::new(Self::names().filter_map(|name| {
            let value = lookup(name)?.into_string().ok().map(SecretString::from);
            Some((name.into(), value))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_and_misplaced_names_get_the_right_suggestion() {
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
    fn every_key_has_a_known_table_and_a_unique_name() {
        let mut names: Vec<_> = keys().collect();
        assert!(fields().iter().all(|field| TABLES.iter().any(|t| t.name == field.key.table())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), fields().len());
    }
}
