//! `config/redis.conf` and the script that starts Redis with it, tested with a real Redis.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::hardened::{Hardened, Secrets, script};
use super::mutation::{Rule, broken, each_change_counts, each_line_counts};
use super::text;
use support::{Lines, Redoubt, Wire, redis, secret, shown};

const CONF: &str = "config/redis.conf";

type Conf = BTreeMap<String, String>;

/// Returns the directives, with their values as `CONFIG GET` returns them.
fn parse(text: &str) -> Conf {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap();
        let value = value.trim_matches('"');
        let bytes = value.strip_suffix("mb").and_then(|number| number.parse::<u64>().ok());
        let value = bytes.map_or(value.to_owned(), |mebibytes| (mebibytes << 20).to_string());
        (name.to_owned(), value)
    };
    lines.map(pair).collect()
}

fn is(conf: &Conf, name: &str, value: &str) -> bool {
    conf.get(name).is_some_and(|is| is == value)
}

fn number(conf: &Conf, name: &str) -> Option<u64> {
    conf.get(name)?.parse().ok()
}

const RULES: &[Rule<Conf>] = &[
    ("maxmemory is 256 MB", |conf| is(conf, "maxmemory", "268435456")),
    ("the least recently used keys are evicted", |conf| {
        is(conf, "maxmemory-policy", "allkeys-lru")
    }),
    ("silent clients are closed", |conf| {
        // Redoubt itself closes links that were unused for a minute.
        number(conf, "timeout").is_some_and(|seconds| (120..=900).contains(&seconds))
    }),
    ("dead connections are detected", |conf| {
        number(conf, "tcp-keepalive").is_some_and(|seconds| (1..=300).contains(&seconds))
    }),
    ("protected mode is on", |conf| is(conf, "protected-mode", "yes")),
    ("clients are bounded, with room for all leases", |conf| {
        number(conf, "maxclients").is_some_and(|most| (1_100..=10_000).contains(&most))
    }),
    ("nothing is written to disk", |conf| is(conf, "save", "") && is(conf, "appendonly", "no")),
    ("no module, debug or config command is enabled", |conf| {
        let closed = ["enable-protected-configs", "enable-debug-command", "enable-module-command"];
        closed.iter().all(|name| is(conf, name, "no"))
    }),
    ("payloads are checked", |conf| is(conf, "sanitize-dump-payload", "yes")),
    ("failed logins are kept", |conf| number(conf, "acllog-max-len") >= Some(128)),
    ("the log goes to standard output", |conf| {
        is(conf, "logfile", "") && is(conf, "loglevel", "notice")
    }),
    ("other containers can reach it", |conf| {
        is(conf, "bind", "* -::*") && is(conf, "port", "6379")
    }),
    ("the file contains no password", |conf| {
        !["requirepass", "user", "masterauth"].iter().any(|name| conf.contains_key(*name))
    }),
];

/// Useful directives that no requirement is about.
const FREE: [&str; 4] = ["lazyfree-", "slowlog-log-", "slowlog-max", "latency-"];

#[test]
fn redis_conf_meets_its_requirements() {
    let findings = |text: &str| broken(RULES, &parse(text));
    let changes = [
        ("maxmemory 256mb", "maxmemory 0"),
        ("allkeys-lru", "noeviction"),
        ("timeout 300", "timeout 0"),
        ("protected-mode yes", "protected-mode no"),
        ("port 6379", "port 6379\nrequirepass hunter2"),
        ("enable-debug-command no", "enable-debug-command yes"),
        ("sanitize-dump-payload yes", "sanitize-dump-payload clients"),
    ];
    each_line_counts(&text(CONF), &FREE, findings);
    each_change_counts(&text(CONF), &changes, findings);
}

#[test]
fn redis_starts_with_redis_conf() {
    let password = secret();
    let port = redis::free_port();
    let mut server = Command::new("redis-server")
        .args([CONF, "--port", &port.to_string(), "--bind", "127.0.0.1", "-"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-server is missing: apt-get install -y redis-server");
    let output = Lines::default();
    output.collect(server.stdout.take().unwrap());
    writeln!(server.stdin.take().unwrap(), "requirepass {password}").unwrap();
    assert!(output.wait(|line| line.contains("Ready to accept")).is_some(), "{:?}", output.all());

    let mut wire = Wire::authenticated(([127, 0, 0, 1], port).into(), &password);
    let mut conf = parse(&text(CONF));
    conf.retain(|name, _| !["port", "bind"].contains(&&**name));
    conf.insert("requirepass".into(), password);
    for (name, value) in &conf {
        let reply = wire.command(&["CONFIG", "GET", name]);
        let wanted = format!("*2\r\n${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len());
        assert_eq!(shown(&reply), shown(wanted.as_bytes()));
    }
    drop(server.kill());
    server.wait().unwrap();
}

#[test]
fn the_redis_password_is_not_readable_by_others() {
    let redis = Hardened::start();
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", redis.pid())).unwrap();
        let password = redis.secrets.redis.as_bytes();
        assert!(!bytes.windows(password.len()).any(|bytes| bytes == password), "in {file}");
    }
    let mut unauthenticated = Wire::connect(([127, 0, 0, 1], redis.port).into());
    assert!(unauthenticated.command(&["PING"]).starts_with(b"-NOAUTH"));
}

#[test]
fn the_start_script_rejects_bad_passwords() {
    let secrets = Secrets::new();
    let file = secrets.file("redis_password");
    let no_end = "a".repeat(40) + " on nopass";
    for password in ["", "short", &"a".repeat(31), &no_end, &("a".repeat(40) + "\nsave 1 1")] {
        fs::write(&file, password).unwrap();
        let output = script(&file).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{password:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("the password in"),
            "{password:?}"
        );
    }
    fs::remove_file(&file).unwrap();
    assert!(!script(&file).stdin(Stdio::null()).output().unwrap().status.success());
}

#[test]
fn the_default_redis_user_has_only_the_needed_rights() {
    let redis = Hardened::start();
    let mut login = redis.login();
    let refused: [&[&str]; 15] = [
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["CONFIG", "REWRITE"],
        &["DEBUG", "SLEEP", "0"],
        &["SHUTDOWN", "NOSAVE"],
        &["MODULE", "LIST"],
        &["REPLICAOF", "NO", "ONE"],
        &["MIGRATE", "h", "1", "k", "0", "1"],
        &["MONITOR"],
        &["SAVE"],
        &["SWAPDB", "0", "1"],
        &["ACL", "LOAD"],
        &["ACL", "GETUSER", "default"],
        &["ACL", "LOG"],
    ];
    for command in refused {
        let reply = login.command(command);
        // The configuration refuses DEBUG before Redis checks the user's rights.
        let is_refused = reply.starts_with(b"-NOPERM") || reply.starts_with(b"-ERR DEBUG");
        assert!(is_refused, "{command:?}: {}", shown(&reply));
    }
    let payloads = ["CONFIG", "GET", "sanitize-dump-payload"];
    for command in
        [&["SET", "key", "value"][..], &["ACL", "WHOAMI"], &["CLIENT", "LIST"], &payloads]
    {
        let reply = login.command(command);
        assert!(!reply.starts_with(b"-"), "{command:?}: {}", shown(&reply));
    }

    // With this password, Redoubt can create its guard.
    let redoubt = Redoubt::setup_for(redis.port, &redis.secrets.redis);
    let redoubt = redoubt.set_text("policy.guard", "require").start();
    assert!(redoubt.log().wait(|line| line.contains("guard made")).is_some());
    let mut session = redoubt.session();
    assert_eq!(shown(&session.command(&["GET", "key"])), "$5\\r\\nvalue\\r\\n");
    // Redis checks payloads of RESTORE, and Redoubt knows it.
    let arity = session.command(&["RESTORE", "key"]);
    assert!(arity.starts_with(b"-ERR wrong number of arguments"), "{}", shown(&arity));
    assert!(session.command(&["CONFIG", "GET", "maxmemory"]).starts_with(b"-ERR unknown command"));
    let script = "return redis.call('FLUSHALL')";
    assert!(session.command(&["EVAL", script, "0"]).starts_with(b"-ERR The user executing"));
    assert_eq!(shown(&session.command(&["EVAL", "return 7", "0"])), ":7\\r\\n");
}

#[test]
fn redoubt_makes_its_guard_over_the_socket_of_the_examples() {
    use std::os::unix::fs::PermissionsExt as _;

    let (redis, socket) = Hardened::start_on_socket();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o770);
    let redoubt = Redoubt::setup_for(redis.port, &redis.secrets.redis)
        .set_text("upstream.url", &format!("unix://{}", socket.display()))
        .set_text("policy.guard", "require")
        .start();
    assert!(redoubt.log().wait(|line| line.contains("guard made")).is_some());
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "key", "value"]), b"+OK\r\n");
    let script = "return redis.call('FLUSHALL')";
    assert!(session.command(&["EVAL", script, "0"]).starts_with(b"-ERR The user executing"));
}
