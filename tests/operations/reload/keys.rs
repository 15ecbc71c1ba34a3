//! Every key is live or needs a restart, and every change of a key is noticed.

use std::collections::BTreeMap;
use std::path::Path;

use redoubt::config::{Environment, Settings, keys};
use redoubt::reload::{Difference, LIVE, RESTART};
use tempfile::TempDir;

/// Keys with two values each. A key that requires another brings the first value of that key.
const VALUES: [(&str, &str, &str); 86] = [
    ("listen", "[\"127.0.0.1:1\"]", "[\"127.0.0.1:2\"]"),
    ("unix_socket_mode", "\"660\"", "\"600\""),
    ("reuse_port", "false", "true"),
    ("allow", "[]", "[\"10.0.0.0/8\"]"),
    ("proxy_protocol_from", "[]", "[\"10.0.0.1\"]"),
    ("workers", "1", "2"),
    ("drain_delay", "\"0s\"", "\"1s\""),
    ("shutdown_timeout", "\"10s\"", "\"1s\""),
    ("allow_weak_passwords", "true", "false"),
    ("tls.certificate", "\"a.crt\"", "\"b.crt\""),
    ("tls.key", "\"a.key\"", "\"b.key\""),
    ("tls.client_ca", "\"a.ca\"", "\"b.ca\""),
    ("tls.client_certificates", "\"required\"", "\"optional\""),
    ("tls.min_version", "\"1.2\"", "\"1.3\""),
    ("client.user", "\"one\"", "\"two\""),
    ("client.password", ONE, TWO),
    ("client.password_file", "\"DIR/one\"", "\"DIR/two\""),
    ("client.previous_password", ONE, TWO),
    ("client.previous_password_file", "\"DIR/one\"", "\"DIR/two\""),
    ("client.previous_until", "\"2990-01-01T00:00:00Z\"", "\"2991-01-01T00:00:00Z\""),
    ("upstream.url", "\"rediss-sentinel://one:1/name\"", "\"rediss-sentinel://one:2/name\""),
    ("upstream.user", "\"one\"", "\"two\""),
    ("upstream.password", ONE, TWO),
    ("upstream.password_file", "\"DIR/one\"", "\"DIR/two\""),
    ("upstream.sentinel_user", "\"one\"", "\"two\""),
    ("upstream.sentinel_password", ONE, TWO),
    ("upstream.sentinel_password_file", "\"DIR/one\"", "\"DIR/two\""),
    ("upstream.sentinel_tls", "true", "false"),
    ("upstream.connect_timeout", "\"2s\"", "\"3s\""),
    ("upstream.failover_timeout", "\"5s\"", "\"0s\""),
    ("upstream.dead_after", "\"15s\"", "\"0s\""),
    ("upstream.max_link_age", "\"1h\"", "\"0s\""),
    ("upstream.sharing", "\"auto\"", "\"off\""),
    ("upstream.max_links", "1000", "999"),
    ("upstream.stall_timeout", "\"10s\"", "\"9s\""),
    ("upstream.tls_ca", "\"a.ca\"", "\"b.ca\""),
    ("upstream.tls_certificate", "\"a.crt\"", "\"b.crt\""),
    ("upstream.tls_key", "\"a.key\"", "\"b.key\""),
    ("upstream.tls_name", "\"one\"", "\"two\""),
    ("upstream.tls_dangerously_accept_any_certificate", "false", "true"),
    ("policy.blocked", "[\"FLUSHDB\", \"FLUSHALL\"]", "[\"FLUSHDB\", \"FLUSHALL\", \"SET\"]"),
    ("policy.escapes", "\"deny\"", "\"allow\""),
    ("policy.allow", "[]", "[\"SAVE\"]"),
    ("policy.guard", "\"auto\"", "\"require\""),
    ("policy.scripts", "\"pinned\"", "\"deny\""),
    ("policy.pinned_scripts", "[]", "[\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"]"),
    ("policy.pinned_libraries", "[]", "[\"lib\"]"),
    ("policy.compat.config_get", "false", "true"),
    ("policy.compat.notify_keyspace_events", "false", "true"),
    ("policy.compat.flush", "{ prefix = \"a:\" }", "{ prefix = \"b:\" }"),
    ("limits.max_sessions", "10000", "9999"),
    ("limits.sessions_per_address", "0", "1"),
    ("limits.sessions_per_identity", "0", "1"),
    ("limits.unauthenticated_sessions", "2000", "1999"),
    ("limits.unauthenticated_memory", "\"16mb\"", "\"15mb\""),
    ("limits.memory", "\"auto\"", "\"64mb\""),
    ("limits.auth_timeout", "\"10s\"", "\"9s\""),
    ("limits.auth_attempts", "10", "9"),
    ("limits.idle_timeout", "\"0s\"", "\"1s\""),
    ("limits.tcp_keepalive", "\"300s\"", "\"0s\""),
    ("limits.request_size", "\"1gb\"", "\"1mb\""),
    ("limits.request_args", "1000", "999"),
    ("limits.in_flight", "1000", "999"),
    ("limits.output_buffer", "\"32mb\"", "\"31mb\""),
    ("limits.subscriptions", "1000", "999"),
    ("limits.commands_per_second", "0", "1"),
    ("throttle.failures", "10", "9"),
    ("throttle.lockout", "\"1s\"", "\"2s\""),
    ("throttle.max_lockout", "\"15m\"", "\"14m\""),
    ("throttle.exempt", "[]", "[\"10.0.0.0/8\"]"),
    ("throttle.shared", "[]", "[\"10.0.0.0/8\"]"),
    ("admin.listen", "\"127.0.0.1:3\"", "\"off\""),
    ("metrics.enabled", "true", "false"),
    ("audit.output", "\"file\"", "\"off\""),
    ("audit.file", "\"a.log\"", "\"b.log\""),
    ("audit.syslog_socket", "\"/dev/log\"", "\"/dev/other\""),
    ("audit.max_size", "\"100mb\"", "\"99mb\""),
    ("audit.max_files", "5", "4"),
    ("audit.keys", "\"none\"", "\"plain\""),
    ("audit.on_full", "\"drop\"", "\"block\""),
    ("audit.queue", "10000", "9999"),
    ("audit.hash_chain", "false", "true"),
    ("learn.record", "\"observed\"", "\"all\""),
    ("learn.file", "\"a.learned\"", "\"b.learned\""),
    ("log.format", "\"text\"", "\"json\""),
    ("log.level", "\"info\"", "\"debug\""),
];
const ONE: &str = "\"one-password-of-more-than-32-characters\"";
const TWO: &str = "\"two-password-of-more-than-32-characters\"";

/// Returns settings with the first value of each key except those in `others`. Passwords are in the
/// text unless `files` is true.
fn settings(dir: &Path, files: bool, others: &[(&str, &str)]) -> Settings {
    let mut tables: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, value, _) in VALUES {
        let is_password = path.ends_with("password") || path.ends_with("password_file");
        if is_password && path.ends_with("_file") != files {
            continue;
        }
        let other = others.iter().find(|(key, _)| *key == path);
        let value = other.map_or(value, |(_, value)| value);
        let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
        tables.entry(table).or_default().push(format!("{key} = {value}"));
    }
    let mut text = String::new();
    for (table, lines) in tables {
        if !table.is_empty() {
            text += &format!("[{table}]\n");
        }
        text += &(lines.join("\n") + "\n");
    }
    let text = text.replace("DIR", dir.to_str().unwrap());
    let environment = Environment::from_lookup(|_| None);
    Settings::parse("test".as_ref(), &text, &environment).unwrap_or_else(|error| panic!("{error}"))
}

fn dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("one"), ONE).unwrap();
    std::fs::write(dir.path().join("two"), TWO).unwrap();
    dir
}

#[test]
fn every_key_is_either_live_or_needs_a_restart() {
    let mut listed: Vec<_> = LIVE.iter().map(|key| key.name).collect();
    listed.extend(RESTART.iter().map(|key| key.name));
    listed.sort_unstable();
    let mut all: Vec<_> = keys().collect();
    all.sort_unstable();
    assert_eq!(listed, all, "each key of the file belongs into LIVE or RESTART");
}

#[test]
fn the_reload_page_names_the_keys_that_need_a_restart() {
    let page = include_str!("../../../docs/reload.md");
    let (_, restart) = page.split_once("These keys need a restart").unwrap();
    let (restart, _) = restart.split_once("\n\n").unwrap();
    let named: Vec<_> = restart.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, RESTART.iter().map(|key| key.name).collect::<Vec<_>>());
}

#[test]
fn changes_of_all_keys_are_noticed_and_undone_for_keys_that_need_a_restart() {
    let dir = dir();
    let all = keys().filter(|key| !key.starts_with("identities."));
    assert_eq!(VALUES.map(|(key, ..)| key).to_vec(), all.collect::<Vec<_>>());
    for (key, _, value) in VALUES {
        let files = key.ends_with("_file");
        let old = settings(dir.path(), files, &[]);
        let new = settings(dir.path(), files, &[(key, value)]);
        let (found, kept) = Difference::take(&old, new);
        let is_live = LIVE.iter().any(|live| live.name == key);
        let (changed, needs_restart) =
            if is_live { (vec![key.to_owned()], vec![]) } else { (vec![], vec![key.to_owned()]) };
        assert_eq!(found, Difference { changed, needs_restart });
        let (again, _) = Difference::take(&old, kept);
        assert_eq!(again.needs_restart, [""; 0], "{key} is kept");
        assert_eq!(again.changed.is_empty(), !is_live, "{key}");
    }
}

#[test]
fn equal_configurations_have_no_difference() {
    let dir = dir();
    for files in [false, true] {
        let (old, new) = (settings(dir.path(), files, &[]), settings(dir.path(), files, &[]));
        assert_eq!(Difference::take(&old, new).0, Difference::default());
    }
}

#[test]
fn a_changed_password_file_is_a_difference() {
    let dir = dir();
    let old = settings(dir.path(), true, &[]);
    std::fs::write(dir.path().join("one"), TWO).unwrap();
    let (found, _) = Difference::take(&old, settings(dir.path(), true, &[]));
    let files = ["client.password_file", "client.previous_password_file", "upstream.password_file"];
    assert_eq!(found.changed, files);
}

#[test]
fn a_changed_user_or_password_in_the_url_is_no_change_of_the_url() {
    let environment = Environment::from_lookup(|_| None);
    let parse = |url: &str| {
        let text = format!("[client]\npassword = {ONE}\n[upstream]\nurl = \"redis://{url}\"\n");
        Settings::parse("test".as_ref(), &text, &environment).unwrap()
    };
    let (one, two) = (ONE.trim_matches('"'), TWO.trim_matches('"'));
    let old = parse(&format!("a:{one}@redis"));
    let (found, _) = Difference::take(&old, parse(&format!("a:{two}@redis")));
    assert_eq!(
        (found.changed, found.needs_restart),
        (vec!["upstream.password".to_owned()], vec![])
    );
    let (found, new) = Difference::take(&old, parse(&format!("b:{one}@other")));
    assert_eq!(
        (found.changed, found.needs_restart),
        (vec!["upstream.user".to_owned()], vec!["upstream.url".to_owned()])
    );
    assert_eq!(new.upstream.servers.hosts().collect::<Vec<_>>(), ["redis"]);
    assert_eq!(new.upstream.user.as_deref(), Some("b"));
}

#[test]
fn a_reload_test_changes_every_live_key() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operations/reload");
    let files = ["guard", "limits", "live", "passwords", "throttle", "upstream"];
    let tests = files.map(|file| std::fs::read_to_string(here.join(format!("{file}.rs"))).unwrap());
    let tests = tests.concat();
    let identities = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identities");
    let more = ["certificate", "lifecycle", "limits"];
    let more = more.map(|file| identities.join(format!("{file}.rs")));
    let tests = tests + &more.map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let is_tested = |key: &str| {
        let names = ["one", "worker"];
        names.iter().any(|name| tests.contains(&format!("\"{}\"", key.replace("NAME", name))))
    };
    let untested = LIVE.iter().map(|key| key.name).filter(|key| !is_tested(key));
    assert_eq!(untested.collect::<Vec<_>>(), [""; 0], "each needs a test that sees its effect");
}
