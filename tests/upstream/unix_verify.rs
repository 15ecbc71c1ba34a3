//! `redoubt verify` and `redoubt check` with addresses of Unix sockets.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use support::{Redis, Redoubt};

fn url(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// Runs the program, without root's right to override permissions. Returns its exit code and both outputs.
fn run(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = env!("CARGO_BIN_EXE_redoubt");
    let mut command = Command::new(if is_root { "setpriv" } else { program });
    if is_root {
        command.args(["--bounding-set=-all", program]);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.args(args).env_clear().env("PATH", path).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).unwrap())
}

fn verify(url: &str, password: &str, args: &[&str]) -> (Option<i32>, String) {
    run(&[&["verify", url], args].concat(), &[("REDOUBT_PASSWORD", password)])
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_checks_unix_sockets_of_redoubt_and_of_redis() {
    let redis = Redis::setup().without_port().start();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redoubt.sock");
    let redoubt = Redoubt::setup(&redis).set_text("listen", &url(&socket)).start();
    redoubt.wait_until_ready();
    let (own, direct) = (url(&socket), url(redis.socket()));
    let (code, text) = verify(&own, redoubt.password(), &["--direct", &direct]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with(&format!("{own}\n")), "{text}");
    assert!(text.contains(&format!("Redis at {direct}")), "{text}");
    assert!(text.contains("a Unix socket\n") && !text.contains("loopback"), "{text}");
    assert!(text.contains("requires a password of its own"), "{text}");
    let (code, text) = verify(&own, redoubt.password(), &["--json", "--direct", &direct]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("\"address\":\"{own}\"")), "{text}");
    // In the deployment that is described, only Redoubt's group may open Redis's socket, or see it at all.
    fs::set_permissions(redis.socket(), fs::Permissions::from_mode(0o000)).unwrap();
    for (path, found) in
        [(redis.socket(), "permission denied"), (&dir.path().join("none"), "no such socket here")]
    {
        let (code, text) = verify(&own, redoubt.password(), &["--direct", &url(path)]);
        assert_eq!(code, Some(0), "{text}");
        let line = text.lines().find(|line| line.contains("Redis at")).unwrap();
        assert!(line.contains(found), "{line}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_finds_a_redis_whose_socket_clients_can_use() {
    let redis = Redis::setup().without_port().start();
    let redoubt = Redoubt::setup(&redis).client_password(redis.password()).start();
    redoubt.wait_until_ready();
    let direct = url(redis.socket());
    // It is Redis itself, which refuses nothing.
    let (code, text) = verify(&direct, redis.password(), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\u{2717} fails    FLUSHALL"), "{text}");
    let address = format!("redis://{}", redoubt.address());
    let (code, text) = verify(&address, redis.password(), &["--direct", &direct]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("accepts the clients' password"), "{text}");
}

#[test]
fn verify_says_why_a_socket_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let none = url(&dir.path().join("none"));
    let (code, text) = verify(&none, "p", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("{none} cannot be reached")), "{text}");
    assert!(text.contains("No such file"), "{text}");
    for (address, args, problem) in [
        ("unix://relative/path", &[][..], "write unix:///path"),
        ("unix:///a,unix:///b", &[], "the checks are for one address"),
        (&none, &["--direct", "unix://app:canary@/s"], "(with a login)"),
        (&none, &["--direct", "unix:///s?password=canary"], "(with a login)"),
        (&none, &["--direct", "redis:6379/0"], "of the form host:port or unix:///path"),
        (&none, &["--ca", "ca.crt"], "are for rediss:// addresses"),
    ] {
        let (code, text) = verify(address, "p", args);
        assert_eq!(code, Some(2), "{address} {args:?}: {text}");
        assert!(text.contains(problem) && !text.contains("canary"), "{address} {args:?}: {text}");
    }
}

#[test]
fn check_prints_the_socket_without_its_login() {
    const PASSWORD: &str = "canary-of-clients-0123456789abcdef";
    let clients = ("REDOUBT_PASSWORD", PASSWORD);
    for (written, shown) in [
        ("unix:///run/redis/redis.sock", "unix:///run/redis/redis.sock"),
        (
            "redis+unix:///run/r.sock?db=0&user=app&pass=canary-0123456789abcdef-0123456789",
            "unix:///run/r.sock",
        ),
        (
            "unix://app:canary-0123456789abcdef-0123456789@/run/a%20%2525b.sock",
            "unix:///run/a%20%2525b.sock",
        ),
        ("redis://one:7000,unix:///run/r.sock", "redis://one:7000,unix:///run/r.sock"),
    ] {
        let (code, text) = run(&["check"], &[("REDOUBT_UPSTREAM", written), clients]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&format!("\nurl = \"{shown}\"\n")), "{written}: {text}");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(text.contains("\nuser = \"app\"\n"), written.contains("app"), "{text}");
        // What is printed is read as the same.
        let (_, again) = run(&["check"], &[("REDOUBT_UPSTREAM", shown), clients]);
        assert!(again.contains(&format!("\nurl = \"{shown}\"\n")), "{again}");
    }
}
