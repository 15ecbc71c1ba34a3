//! Rotation of the clients' password.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use super::files::{Files, assert_not_logged, count, logged};
use support::{Deadline, Redis, Redoubt, Wire, frame, lines, now, secret, since};

/// Seconds within which a withdrawn password must be rejected.
const SOON: f64 = 1.0;

/// Returns the time of day this many seconds from now.
#[allow(clippy::disallowed_methods, reason = "the end of a password is a wall-clock time")]
fn time_in(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

fn auth(redoubt: &Redoubt, password: &str) -> Vec<u8> {
    redoubt.connect().command(&["AUTH", password])
}

/// Waits until `password` is accepted.
fn wait_for(redoubt: &Redoubt, password: &str) {
    assert!(Deadline::standard().poll(|| auth(redoubt, password) == b"+OK\r\n"), "never accepted");
}

fn wait_until_blocked(redis: &Redis, clients: usize) {
    let mut direct = redis.direct();
    let wanted = format!("blocked_clients:{clients}\r\n");
    let blocked = Deadline::standard()
        .poll(|| String::from_utf8_lossy(&direct.command(&["INFO", "clients"])).contains(&wanted));
    assert!(blocked, "not {clients} clients are blocked");
}

#[track_caller]
fn pings(wire: &mut Wire) {
    assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
}

/// Starts a Redoubt with the clients' password in a file.
fn following(redis: &Redis, files: &Files, password: &str) -> Redoubt {
    files.put("client", password);
    Redoubt::setup(redis)
        .client_password(password)
        .set_text("client.password_file", &files.text("client"))
        .start()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_previous_password_is_accepted_until_its_end() {
    let redis = Redis::start();
    let old = secret();
    let until = time_in(5);
    let redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password", &old)
        .set_text("client.previous_until", &humantime::format_rfc3339(until).to_string())
        .start();
    let mut sessions: Vec<_> =
        (0..3).map(|_| Wire::authenticated(redoubt.address(), &old)).collect();
    let mut moved = Wire::authenticated(redoubt.address(), &old);
    assert_eq!(moved.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    let mut new = redoubt.session();
    pings(&mut sessions[0]);
    sessions[1].send(&frame::request(&["BLPOP", "k", "0"]));
    let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    assert_eq!(sessions[2].command(&["SUBSCRIBE", "a"]), subscribed);
    wait_until_blocked(&redis, 1);

    for session in &mut sessions {
        assert_eq!(session.read_to_close(), b"");
    }
    let late = time_in(0).duration_since(until).expect("not before its end").as_secs_f64();
    assert!(late < SOON, "closed only after {late} s");
    pings(&mut new);
    pings(&mut moved);
    assert!(auth(&redoubt, &old).starts_with(b"-WRONGPASS"));
    wait_until_blocked(&redis, 0);
    assert!(redoubt.log().wait(logged("previous client password is over")).is_some());
    let closed = |line: &str| lines::field(line, "reason") == Some("credential_withdrawn");
    assert!(redoubt.log().wait(closed).is_some());
    assert_not_logged(&redoubt, &[&old, redoubt.password()]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn an_expired_previous_password_is_never_accepted() {
    let redis = Redis::start();
    let old = secret();
    let redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password", &old)
        .set_text("client.previous_until", "2001-09-09T01:46:40Z")
        .start();
    assert!(auth(&redoubt, &old).starts_with(b"-WRONGPASS"));
    assert!(redoubt.log().wait(|line| line.contains("client.previous_until has passed")).is_some());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn replacing_a_password_file_withdraws_its_old_password() {
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    let redoubt = following(&redis, &files, &first);
    let mut session = redoubt.session();
    pings(&mut session);
    files.put("client", &second);
    let replaced = now();
    assert_eq!(session.read_to_close(), b"");
    assert!(since(replaced) < SOON, "closed only after {} s", since(replaced));
    assert_eq!(auth(&redoubt, &second), b"+OK\r\n");
    assert!(auth(&redoubt, &first).starts_with(b"-WRONGPASS"));
    let line = redoubt.log().wait(logged("client password changed")).expect("a line");
    let source = lines::field(&line, "source").expect("a source");
    assert!(source.starts_with("from client.password_file"), "{source}");
    assert_not_logged(&redoubt, &[&first, &second]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_swapped_symlink_of_password_files_is_followed_and_sessions_stay() {
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    // Kubernetes publishes secrets so: it replaces a link to a directory.
    for (version, client) in [("v1", &first), ("v2", &second)] {
        fs::create_dir(files.path(version)).unwrap();
        files.put(&format!("{version}/client"), client);
        files.put(&format!("{version}/previous"), &first);
    }
    symlink("v1", files.path("data")).unwrap();
    let redoubt = Redoubt::setup(&redis)
        .client_password(&first)
        .set_text("client.password_file", &files.text("data/client"))
        .set_text("client.previous_password_file", &files.text("data/previous"))
        .set_text("client.previous_until", "9999-12-31T23:59:59Z")
        .start();
    let mut session = redoubt.session();
    pings(&mut session);
    symlink("v2", files.path("next")).unwrap();
    fs::rename(files.path("next"), files.path("data")).unwrap();
    wait_for(&redoubt, &second);
    pings(&mut session);
    assert_eq!(auth(&redoubt, &first), b"+OK\r\n", "until its end");

    // The previous password may be withdrawn sooner.
    files.put("v2/previous", &secret());
    assert_eq!(session.read_to_close(), b"");
    assert!(auth(&redoubt, &first).starts_with(b"-WRONGPASS"));
    assert_not_logged(&redoubt, &[&first, &second]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn garbage_in_a_password_file_changes_nothing_and_is_logged_once() {
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    let redoubt = following(&redis, &files, &first);
    let mut session = redoubt.session();
    let path = files.path("client");
    let garbage: [(&str, &dyn Fn()); 5] = [
        ("is empty", &|| fs::write(&path, "\n").unwrap()),
        ("shorter than 32", &|| fs::write(&path, "canary").unwrap()),
        ("not UTF-8", &|| fs::write(&path, b"canary-\xff".repeat(10)).unwrap()),
        ("longer than 4096", &|| fs::write(&path, "canary".repeat(1000)).unwrap()),
        ("not found", &|| fs::remove_file(&path).unwrap()),
    ];
    for (number, (problem, make)) in garbage.into_iter().enumerate() {
        make();
        let said = |line: &str| {
            logged("password file cannot be used")(line)
                && lines::field(line, "problem").is_some_and(|text| text.contains(problem))
        };
        assert!(redoubt.log().wait(said).is_some(), "nothing says {problem:?}");
        pings(&mut session);
        assert_eq!(auth(&redoubt, &first), b"+OK\r\n");
        assert_eq!(count(&redoubt, "password file cannot be used"), number + 1);
    }
    files.put("client", &second);
    wait_for(&redoubt, &second);
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(count(&redoubt, "password file cannot be used"), 5);
    assert_not_logged(&redoubt, &[&first, &second, "canary"]);
}
