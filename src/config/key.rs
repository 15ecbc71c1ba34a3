//! Every key of the file, with what its value must be and an example to copy.

/// A key of the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its full name, `limits.auth_timeout`.
    pub(super) path: &'static str,
    /// What the value must be, as it follows "expected".
    pub(super) expects: &'static str,
    /// A right value, as written in TOML.
    pub(super) example: &'static str,
}

const fn key(path: &'static str, expects: &'static str, example: &'static str) -> Key {
    Key { path, expects, example }
}

const DURATION: &str = "a duration as a whole number and ms, s, m, h or d, at most 365d";
const SOME_TIME: &str = "a duration above zero as a whole number and ms, s, m, h or d";
const FLAG: &str = "true or false, without quotes";
const FILE: &str = "the path of a file in quotes";
const NETWORKS: &str = "a list of networks such as 10.0.0.0/8 or addresses, each in quotes";
const OR_NONE: &str = "a whole number up to 1000000, or 0 for no limit";
const KEEPALIVE: &str = "whole seconds from \"1s\" to \"32767s\", or \"0s\" for none";

/// All keys, in the order in which the file documents them.
pub(super) const KEYS: [Key; 75] = [
    key(
        "listen",
        "host:port, tls://host:port or unix:///path, or a list of such",
        "[\"127.0.0.1:6380\"]",
    ),
    key("unix_socket_mode", "three octal digits in quotes", "\"660\""),
    key("reuse_port", FLAG, "false"),
    key("allow", NETWORKS, "[\"10.0.0.0/8\"]"),
    key("proxy_protocol_from", NETWORKS, "[\"10.0.0.1\"]"),
    key("workers", "a whole number from 1 to 256", "1"),
    key("drain_delay", DURATION, "\"5s\""),
    key("shutdown_timeout", DURATION, "\"10s\""),
    key("allow_weak_passwords", FLAG, "false"),
    key("tls.certificate", FILE, "\"/etc/redoubt/tls.crt\""),
    key("tls.key", FILE, "\"/etc/redoubt/tls.key\""),
    key("tls.client_ca", FILE, "\"/etc/redoubt/client-ca.crt\""),
    key("tls.client_certificates", "\"required\" or \"optional\"", "\"required\""),
    key("tls.min_version", "\"1.2\" or \"1.3\"", "\"1.2\""),
    key("client.user", "a name of 1 to 256 characters without spaces", "\"app\""),
    key("client.password", "the password in quotes", "\"…\""),
    key("client.password_file", FILE, "\"/run/secrets/redoubt_password\""),
    key("client.previous_password", "the password in quotes", "\"…\""),
    key("client.previous_password_file", FILE, "\"/run/secrets/redoubt_previous_password\""),
    key(
        "client.previous_until",
        "a time in UTC such as 2030-01-31T12:00:00Z, in quotes",
        "\"2030-01-31T12:00:00Z\"",
    ),
    key("upstream.url", "a URL such as redis://host:port", "\"redis://127.0.0.1:6379\""),
    key("upstream.user", "a name of 1 to 256 characters without spaces", "\"redoubt\""),
    key("upstream.password", "the password in quotes", "\"…\""),
    key("upstream.password_file", FILE, "\"/run/secrets/redis_password\""),
    key("upstream.connect_timeout", SOME_TIME, "\"2s\""),
    key("upstream.dead_after", KEEPALIVE, "\"15s\""),
    key("upstream.max_link_age", DURATION, "\"1h\""),
    key("upstream.sharing", "\"auto\" or \"off\"", "\"auto\""),
    key("upstream.max_links", "a whole number from 8 to 1000000, or 0 for Redis's own bound", "0"),
    key("upstream.stall_timeout", DURATION, "\"10s\""),
    key("upstream.tls_ca", FILE, "\"/etc/redoubt/redis-ca.crt\""),
    key("upstream.tls_certificate", FILE, "\"/etc/redoubt/redis-client.crt\""),
    key("upstream.tls_key", FILE, "\"/etc/redoubt/redis-client.key\""),
    key("upstream.tls_name", "a host name or an address, in quotes", "\"redis.internal\""),
    key("upstream.tls_dangerously_accept_any_certificate", FLAG, "false"),
    key(
        "policy.blocked",
        "a list of COMMAND or COMMAND|SUBCOMMAND, each in quotes",
        "[\"FLUSHALL\", \"CONFIG|SET\"]",
    ),
    key("policy.escapes", "\"deny\" or \"allow\"", "\"deny\""),
    key("policy.guard", "\"auto\", \"require\", \"audit\" or \"off\"", "\"auto\""),
    key("policy.scripts", "\"guarded\", \"read-only\", \"pinned\" or \"deny\"", "\"guarded\""),
    key(
        "policy.pinned_scripts",
        "a list of up to 10000 SHA-1 digests, 40 hexadecimal digits each, in quotes",
        "[\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"]",
    ),
    key(
        "policy.pinned_libraries",
        "a list of up to 10000 names of function libraries, each in quotes",
        "[\"mylib\"]",
    ),
    key("limits.max_sessions", "a whole number from 1 to 1000000", "10000"),
    key("limits.sessions_per_address", OR_NONE, "100"),
    key("limits.sessions_per_identity", OR_NONE, "1000"),
    key("limits.unauthenticated_sessions", "a whole number from 1 to 1000000", "1000"),
    key("limits.unauthenticated_memory", "a size from \"1mb\" to \"1024gb\"", "\"16mb\""),
    key("limits.memory", "a size from \"8mb\" to \"1024gb\", or \"auto\"", "\"auto\""),
    key("limits.auth_timeout", SOME_TIME, "\"10s\""),
    key("limits.auth_attempts", "a whole number from 1 to 1000000", "10"),
    key("limits.idle_timeout", DURATION, "\"0s\""),
    key("limits.tcp_keepalive", KEEPALIVE, "\"300s\""),
    key("limits.request_size", "a size from \"1kb\" to \"1024gb\"", "\"1gb\""),
    key("limits.request_args", "a whole number from 1 to 2147483647", "1000000"),
    key("limits.in_flight", "a whole number from 1 to 1000000000", "1000000"),
    key("limits.output_buffer", "a size from \"1mb\" to \"1024gb\"", "\"32mb\""),
    key("limits.subscriptions", "a whole number from 1 to 100000000", "100000"),
    key("limits.commands_per_second", "a whole number up to 10000000, or 0 for no limit", "1000"),
    key("throttle.failures", "a whole number from 1 to 1000000", "10"),
    key("throttle.lockout", DURATION, "\"1s\""),
    key("throttle.max_lockout", DURATION, "\"15m\""),
    key("throttle.exempt", NETWORKS, "[\"127.0.0.0/8\"]"),
    key("throttle.shared", NETWORKS, "[\"127.0.0.0/8\"]"),
    key("admin.listen", "host:port, or \"off\"", "\"127.0.0.1:6390\""),
    key("metrics.enabled", FLAG, "true"),
    key("audit.output", "\"stdout\", \"file\", \"syslog\" or \"off\"", "\"stdout\""),
    key("audit.file", FILE, "\"/var/log/redoubt/audit.log\""),
    key("audit.syslog_socket", FILE, "\"/dev/log\""),
    key("audit.max_size", "a size from \"64kb\" to \"1024gb\"", "\"100mb\""),
    key("audit.max_files", "a whole number up to 1000", "5"),
    key("audit.keys", "\"none\", \"hashed\" or \"plain\"", "\"none\""),
    key("audit.on_full", "\"drop\" or \"block\"", "\"drop\""),
    key("audit.queue", "a whole number from 100 to 1000000", "10000"),
    key("audit.hash_chain", FLAG, "false"),
    key("log.format", "\"text\" or \"json\"", "\"text\""),
    key(
        "log.level",
        "a level (error, warn, info, debug, trace, off) or filter directives",
        "\"info\"",
    ),
];

impl Key {
    /// The key named `path`.
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }

    /// The name within its table.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

/// The full names of all keys, in the order in which the file documents them.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.path)
}

/// The tables of the file.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    KEYS.iter().filter_map(|key| key.path.split_once('.')).filter_map(move |(table, _)| {
        let new = table != last;
        last = table;
        new.then_some(table)
    })
}

/// Whether `path` is a table of the file.
pub(super) fn is_table(path: &str) -> bool {
    tables().any(|table| table == path)
}

/// The key or table that was probably meant by `path`, which is neither.
///
/// A name that stands in another table comes first, as a forgotten `[table]` line is the likeliest
/// mistake; then the name with the fewest letters changed, up to a third of it.
pub(super) fn suggest(path: &str) -> Option<&'static str> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let moved = KEYS.iter().find(|key| key.name() == name);
    if let Some(key) = moved {
        return Some(key.path);
    }
    KEYS.iter()
        .map(|key| (key.path, key.name()))
        .chain(tables().map(|table| (table, table)))
        .flat_map(|(path, name)| [(path, path), (path, name)])
        .map(|(meant, spelling)| {
            let given = if spelling.contains('.') { path } else { name };
            (meant, distance(given, spelling), spelling.len() / 3)
        })
        .filter(|(_, changes, most)| changes <= most)
        .min_by_key(|(_, changes, _)| *changes)
        .map(|(meant, _, _)| meant)
}

/// How many letters must be added, dropped or changed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let here = (diagonal + usize::from(from != *to)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_or_misplaced_name_finds_the_right_one() {
        assert_eq!(suggest("limit"), Some("limits"));
        assert_eq!(suggest("limits.auth_timout"), Some("limits.auth_timeout"));
        assert_eq!(suggest("upstream.conect_timeout"), Some("upstream.connect_timeout"));
        assert_eq!(suggest("auth_timeout"), Some("limits.auth_timeout"));
        assert_eq!(suggest("client.listen"), Some("listen"));
        assert_eq!(suggest("logs"), Some("log"));
        assert_eq!(suggest("zzz"), None);
        assert_eq!(suggest("wholly.different"), None);
    }

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn tables_are_named_once() {
        let names: Vec<_> = tables().collect();
        assert_eq!(
            names,
            [
                "tls", "client", "upstream", "policy", "limits", "throttle", "admin", "metrics",
                "audit", "log",
            ]
        );
    }
}
