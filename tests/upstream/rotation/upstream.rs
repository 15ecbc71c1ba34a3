//! Rotation of the upstream's password.

use super::files::{Files, assert_not_logged, count, logged};
use super::load::Load;
use support::{Redis, Redoubt, Wire, lines, secret};

/// Returns a Redoubt that reads the password of `redis` from the file `upstream`.
fn with_upstream_file(redis: &Redis, files: &Files) -> Redoubt {
    files.put("upstream", redis.password());
    Redoubt::setup(redis)
        .set_text("upstream.password_file", &files.text("upstream"))
        .set_text("log.level", "trace")
        .start()
}

/// Checks that a link that is opened now works.
fn assert_links_open(redoubt: &Redoubt) {
    let mut wires: Vec<_> = (0..3).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        assert_eq!(wire.command(&["WATCH", "k"]), b"+OK\r\n");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_new_upstream_password_is_used_once_redis_accepts_it() {
    let redis = Redis::start();
    let files = Files::new();
    let redoubt = with_upstream_file(&redis, &files);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    let mut watching = redoubt.session();
    assert_eq!(watching.command(&["WATCH", "k"]), b"+OK\r\n");
    let mut admin = redis.direct();
    let next = secret();
    files.put("upstream", &next);
    let refused = logged("upstream does not accept the new password yet");
    assert!(redoubt.log().wait(refused).is_some());
    assert_links_open(&redoubt);
    assert_eq!(admin.command(&["CONFIG", "SET", "requirepass", &next]), b"+OK\r\n");
    assert!(redoubt.log().wait(logged("upstream password changed")).is_some());
    assert_links_open(&redoubt);
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    // Its lease stays as it was: the watched keys are still watched.
    assert_eq!(admin.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(watching.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(watching.command(&["GET", "k"]), b"+QUEUED\r\n");
    assert_eq!(watching.command(&["EXEC"]), b"*-1\r\n");
    // The stand-in for a client's AUTH inside a transaction has the new password too.
    assert_eq!(watching.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(watching.command(&["AUTH", redoubt.password()]), b"+QUEUED\r\n");
    assert_eq!(watching.command(&["EXEC"]), b"*1\r\n+OK\r\n");
    assert_eq!(count(&redoubt, "upstream does not accept the new password yet"), 1);
    assert_not_logged(&redoubt, &[redis.password(), &next, redoubt.password()]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn rotating_the_upstream_password_under_load_closes_no_session() {
    let redis = Redis::start();
    let files = Files::new();
    let redoubt = with_upstream_file(&redis, &files);
    let mut admin = redis.direct();
    let load = Load::new(&redoubt);
    let mut passwords = vec![redis.password().to_owned()];
    let wires: Vec<Wire> = std::thread::scope(|scope| {
        let load = &load;
        let stop = load.until_dropped();
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
            load.wait_for_progress();
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
        load.wait_for_progress();
        assert_links_open(&redoubt);
        drop(stop);
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
    assert_not_logged(&redoubt, &passwords.iter().map(String::as_str).collect::<Vec<_>>());
}
