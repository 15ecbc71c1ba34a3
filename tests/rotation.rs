//! Passwords that change while Redoubt runs, on both sides.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use support::{Deadline, Redis, Redoubt, Wire, frame, lines, now, secret, since, target_is_redis};
use tempfile::TempDir;

/// Soon enough for a password that is withdrawn, in seconds.
const SOON: f64 = 1.0;

/// A directory of password files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Replaces a file as a whole.
    fn put(&self, name: &str, password: &str) {
        fs::write(self.path("next"), format!("{password}\n")).expect("write a file");
        fs::rename(self.path("next"), self.path(name)).expect("rename a file");
    }
}

/// The time of day, so many seconds from now.
#[allow(clippy::disallowed_methods, reason = "the end of a password is a date")]
fn time_in(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

fn logged(message: &str) -> impl Fn(&str) -> bool {
    move |line| lines::field(line, "message").is_some_and(|said| said.starts_with(message))
}

/// How many lines say `message`.
fn count(redoubt: &Redoubt, message: &str) -> usize {
    redoubt.log().all().iter().filter(|line| logged(message)(line)).count()
}

fn auth(redoubt: &Redoubt, password: &str) -> Vec<u8> {
    redoubt.connect().command(&["AUTH", password])
}

/// Waits until `password` is accepted.
fn wait_for(redoubt: &Redoubt, password: &str) {
    assert!(Deadline::patient().poll(|| auth(redoubt, password) == b"+OK\r\n"), "never accepted");
}

fn wait_until_blocked(redis: &Redis, clients: usize) {
    let mut direct = redis.direct();
    let wanted = format!("blocked_clients:{clients}\r\n");
    let blocked = Deadline::patient()
        .poll(|| String::from_utf8_lossy(&direct.command(&["INFO", "clients"])).contains(&wanted));
    assert!(blocked, "not {clients} clients are blocked");
}

#[track_caller]
fn pings(wire: &mut Wire) {
    assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
}

/// No line of the log holds one of `secrets`.
fn keeps_quiet(redoubt: &Redoubt, secrets: &[&str]) {
    for line in redoubt.log().all() {
        assert!(secrets.iter().all(|secret| !line.contains(secret)), "a secret in {line}");
    }
}

#[test]
fn the_previous_password_is_good_until_its_end() {
    if target_is_redis() {
        return;
    }
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
    keeps_quiet(&redoubt, &[&old, redoubt.password()]);
}

#[test]
fn a_previous_password_whose_end_has_passed_is_never_accepted() {
    if target_is_redis() {
        return;
    }
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
fn a_replaced_file_withdraws_the_password_that_it_held() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    files.put("client", &first);
    let redoubt = Redoubt::setup(&redis)
        .client_password(&first)
        .set_text("client.password_file", &files.text("client"))
        .start();
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
    keeps_quiet(&redoubt, &[&first, &second]);
}

#[test]
fn files_that_are_swapped_under_a_link_are_followed_and_previous_sessions_stay() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    // As Kubernetes lays secrets out: a link to a directory is replaced.
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

    // The previous one may be withdrawn sooner.
    files.put("v2/previous", &secret());
    assert_eq!(session.read_to_close(), b"");
    assert!(auth(&redoubt, &first).starts_with(b"-WRONGPASS"));
    keeps_quiet(&redoubt, &[&first, &second]);
}

#[test]
fn garbage_in_a_file_changes_nothing_and_is_spoken_of_once() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let files = Files::new();
    let (first, second) = (secret(), secret());
    files.put("client", &first);
    let redoubt = Redoubt::setup(&redis)
        .client_password(&first)
        .set_text("client.password_file", &files.text("client"))
        .start();
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
    keeps_quiet(&redoubt, &[&first, &second, "canary"]);
}

/// Redoubt before `redis`, whose password it has from the file `upstream`.
fn with_upstream_file(redis: &Redis, files: &Files) -> Redoubt {
    files.put("upstream", redis.password());
    Redoubt::setup(redis)
        .set_text("upstream.password_file", &files.text("upstream"))
        .set_text("log.level", "trace")
        .start()
}

/// A link that is opened now works.
fn opens_links(redoubt: &Redoubt) {
    let mut wires: Vec<_> = (0..3).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        assert_eq!(wire.command(&["WATCH", "k"]), b"+OK\r\n");
    }
}

#[test]
fn a_new_upstream_password_is_used_once_redis_takes_it() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let files = Files::new();
    let redoubt = with_upstream_file(&redis, &files);
    let mut session = redoubt.session();
    pings(&mut session);
    let mut watching = redoubt.session();
    assert_eq!(watching.command(&["WATCH", "k"]), b"+OK\r\n");
    let mut admin = redis.direct();
    let next = secret();
    files.put("upstream", &next);
    let refused = logged("upstream does not take the new password yet");
    assert!(redoubt.log().wait(refused).is_some());
    opens_links(&redoubt);
    assert_eq!(admin.command(&["CONFIG", "SET", "requirepass", &next]), b"+OK\r\n");
    assert!(redoubt.log().wait(logged("upstream password changed")).is_some());
    opens_links(&redoubt);
    pings(&mut session);
    // Its lease stays as it was: what it watches is still watched.
    assert_eq!(admin.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(watching.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(watching.command(&["GET", "k"]), b"+QUEUED\r\n");
    assert_eq!(watching.command(&["EXEC"]), b"*-1\r\n");
    // What stands for a client's own AUTH inside a transaction is the new one too.
    assert_eq!(watching.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(watching.command(&["AUTH", redoubt.password()]), b"+QUEUED\r\n");
    assert_eq!(watching.command(&["EXEC"]), b"*1\r\n+OK\r\n");
    assert_eq!(count(&redoubt, "upstream does not take the new password yet"), 1);
    keeps_quiet(&redoubt, &[redis.password(), &next, redoubt.password()]);
}

/// Sessions of all kinds that ask and check without a pause, until they are told to stop. Each gives
/// its connections back, so that none is closed before the end.
struct Load<'a> {
    redoubt: &'a Redoubt,
    stop: AtomicBool,
    turns: AtomicUsize,
}

impl Load<'_> {
    fn run(&self, mut turn: impl FnMut(usize)) {
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            turn(number);
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until much has happened from here on.
    fn goes_on(&self) {
        let from = self.turns.load(Ordering::Relaxed);
        let went = Deadline::patient().poll(|| self.turns.load(Ordering::Relaxed) >= from + 200);
        assert!(went, "the load stands still");
    }

    fn pipelines(&self, key: &str) -> Vec<Wire> {
        let mut wire = self.redoubt.session();
        let requests = frame::request(&["INCR", key]).repeat(10);
        self.run(|number| {
            wire.send(&requests);
            for count in number * 10 - 9..=number * 10 {
                wire.expect(format!(":{count}\r\n").as_bytes());
            }
        });
        vec![wire]
    }

    fn transactions(&self, key: &str) -> Vec<Wire> {
        let mut wire = self.redoubt.session();
        self.run(|number| {
            assert_eq!(wire.command(&["WATCH", key]), b"+OK\r\n");
            assert_eq!(wire.command(&["MULTI"]), b"+OK\r\n");
            assert_eq!(wire.command(&["INCR", key]), b"+QUEUED\r\n");
            let wanted = format!("*1\r\n:{number}\r\n");
            assert_eq!(wire.command(&["EXEC"]), wanted.as_bytes());
        });
        vec![wire]
    }

    fn blocked(&self, key: &str) -> Vec<Wire> {
        let (mut wire, mut other) = (self.redoubt.session(), self.redoubt.session());
        self.run(|_| {
            wire.send(&frame::request(&["BLPOP", key, "0"]));
            let pushed = other.command(&["RPUSH", key, "v"]);
            assert!(pushed.starts_with(b":"), "{}", support::shown(&pushed));
            wire.expect(&[b"*2\r\n", &*frame::bulk(key.as_bytes()), b"$1\r\nv\r\n"].concat());
        });
        vec![wire, other]
    }

    /// With `HELLO 3` an open subscription lets other commands through.
    fn messages(&self, protocol: &str) -> Vec<Wire> {
        let (mut wire, mut other) = (self.redoubt.session(), self.redoubt.session());
        wire.command(&["HELLO", protocol]);
        let channel = format!("channel:{protocol}");
        wire.command(&["SUBSCRIBE", &channel]);
        self.run(|number| {
            let number = number.to_string();
            assert_eq!(other.command(&["PUBLISH", &channel, &number]), b":1\r\n");
            let message = wire.frame();
            assert!(message.ends_with(&frame::bulk(number.as_bytes())));
            if protocol == "3" {
                assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
            }
        });
        vec![wire, other]
    }
}

#[test]
fn rotating_the_upstream_password_under_load_closes_no_session_and_fails_no_command() {
    if target_is_redis() {
        return;
    }
    let redis = Redis::start();
    let files = Files::new();
    let redoubt = with_upstream_file(&redis, &files);
    let mut admin = redis.direct();
    let load = Load { redoubt: &redoubt, stop: AtomicBool::new(false), turns: 0.into() };
    let mut passwords = vec![redis.password().to_owned()];
    let wires: Vec<Wire> = std::thread::scope(|scope| {
        let load = &load;
        let running = [
            scope.spawn(|| load.pipelines("a")),
            scope.spawn(|| load.pipelines("b")),
            scope.spawn(|| load.transactions("c")),
            scope.spawn(|| load.transactions("d")),
            scope.spawn(|| load.blocked("e")),
            scope.spawn(|| load.messages("2")),
            scope.spawn(|| load.messages("3")),
        ];
        for _ in 0..3 {
            load.goes_on();
            let (old, new) = (passwords.last().cloned().unwrap_or_default(), secret());
            assert_eq!(
                admin.command(&["ACL", "SETUSER", "default", &format!(">{new}")]),
                b"+OK\r\n"
            );
            let said = redoubt.log().count();
            files.put("upstream", &new);
            let changed = logged("upstream password changed");
            assert!(redoubt.log().wait_from(said, changed).is_some());
            assert_eq!(
                admin.command(&["ACL", "SETUSER", "default", &format!("<{old}")]),
                b"+OK\r\n"
            );
            passwords.push(new);
        }
        load.goes_on();
        opens_links(&redoubt);
        load.stop.store(true, Ordering::Relaxed);
        running.into_iter().flat_map(|thread| thread.join().expect("no command failed")).collect()
    });
    let closed: Vec<_> = redoubt
        .log()
        .all()
        .into_iter()
        .filter(|line| logged("session closed")(line))
        .filter(|line| lines::field(line, "reason") != Some("client_closed"))
        .collect();
    assert!(closed.is_empty(), "{}", closed.join("\n"));
    assert_eq!(count(&redoubt, "upstream password changed"), 3);
    drop(wires);
    passwords.push(redoubt.password().to_owned());
    keeps_quiet(&redoubt, &passwords.iter().map(String::as_str).collect::<Vec<_>>());
}
