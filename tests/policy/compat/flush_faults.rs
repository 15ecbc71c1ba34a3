//! `FLUSHDB` and `FLUSHALL` below a prefix while the server is killed, stopped, busy, or refuses.

use support::servers::{MAIN, on_each};
use support::{Deadline, Redis, frame, shown, signal};

use super::ask;
use super::flush::{FLUSH, setup};
use super::flush_order::{Held, fill, size};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_server_that_dies_in_the_middle_gives_an_error_and_the_session_goes_on() {
    let mut redis = Redis::start();
    fill(&redis, "0", 1000);
    let redoubt = setup(&redis, "cache:").start();
    redoubt.wait_until_it_serves();
    let mut wire = redoubt.session();
    let held = Held::new(&redis);
    wire.send(&frame::request(&["FLUSHDB"]));
    held.wait();
    redis.kill();
    let reply = shown(&wire.frame());
    assert!(reply.starts_with("-ERR Redoubt ") && reply.contains("Redis"), "{reply}");
    assert!(!reply.contains("127.0.0.1"), "{reply}");
    redis.restart();
    redoubt.wait_until_it_serves();
    assert_eq!(ask(&mut wire, &["SET", "cache:1", "1"]), "+OK\\r\\n");
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
    assert_eq!(ask(&mut wire, &["EXISTS", "cache:1"]), ":0\\r\\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_server_that_is_stopped_in_the_middle_gives_an_error() {
    let redis = Redis::start();
    fill(&redis, "0", 1000);
    let redoubt = setup(&redis, "cache:").start();
    redoubt.wait_until_it_serves();
    let (mut wire, mut next) = (redoubt.session(), redoubt.session());
    let held = Held::new(&redis);
    wire.send(&frame::request(&["FLUSHDB"]));
    held.wait();
    signal(redis.pid(), "STOP");
    // It needs no server to begin to wait.
    next.send(&frame::request(&["FLUSHALL"]));
    let replies = [&mut wire, &mut next].map(|wire| shown(&wire.frame()));
    signal(redis.pid(), "CONT");
    held.release();
    for reply in replies {
        assert!(
            reply.starts_with("-ERR Redis has not answered") || reply.contains("cannot connect")
        );
    }
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
    assert_eq!(size(&mut redis.direct()), 0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn errors_of_the_server_say_what_is_wrong() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup()
            .server(server)
            .config("user limited on >limited-password ~* &* +@all -unlink")
            .start();
        let mut direct = redis.direct();
        direct.command(&["SET", "cache:1", "1"]);
        let limited = setup(&redis, "cache:")
            .set_text("upstream.user", "limited")
            .set_text("upstream.password", "limited-password")
            .set("allow_weak_passwords", true)
            .start();
        limited.wait_until_it_serves();
        for name in ["FLUSHDB", "FLUSHALL"] {
            let reply = ask(&mut limited.session(), &[name]);
            assert!(reply.starts_with("-NOPERM the user that Redoubt logs in as"), "{reply}");
            assert!(!reply.contains("limited"), "{reply}");
        }
        let redoubt = setup(&redis, "cache:").start();
        redoubt.wait_until_it_serves();
        let mut wire = redoubt.session();
        let own = |words: &[&str]| shown(&redis.direct().command(words));
        direct.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        let reply = ask(&mut wire, &["FLUSHALL"]);
        assert_eq!(reply, own(&["UNLINK", "cache:1"]));
        assert!(reply.starts_with("-NOREPLICAS"), "{reply}");
        direct.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        direct.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let reply = ask(&mut wire, &["FLUSHDB"]);
        assert_eq!(reply, own(&["UNLINK", "cache:1"]));
        assert!(reply.starts_with("-READONLY"), "{reply}");
        direct.command(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
        assert_eq!(size(&mut direct), 0);
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_server_that_is_busy_with_a_script_gives_its_error() {
    let redis = Redis::setup().config("lua-time-limit 10").start();
    let redoubt = setup(&redis, "cache:").start();
    redoubt.wait_until_it_serves();
    let (mut wire, mut direct) = (redoubt.session(), redis.direct());
    let mut looping = redis.direct();
    looping.send(&frame::request(&["EVAL", "while true do end", "0"]));
    assert!(Deadline::standard().poll(|| direct.command(&["PING"]).starts_with(b"-BUSY")));
    let reply = ask(&mut wire, &["FLUSHDB"]);
    assert_eq!(reply, ask(&mut direct, &["PING"]));
    direct.command(&["SCRIPT", "KILL"]);
    looping.frame();
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_in_the_middle_ends_a_flush_with_another_prefix() {
    let redis = Redis::start();
    fill(&redis, "0", 1000);
    let mut redoubt = setup(&redis, "c").set_text("upstream.connect_timeout", "30s").start();
    redoubt.wait_until_it_serves();
    let (mut wire, mut direct) = (redoubt.session(), redis.direct());
    let held = Held::new(&redis);
    wire.send(&frame::request(&["FLUSHDB"]));
    held.wait();
    redoubt.write(FLUSH, Some("{ prefix = \"d\" }"));
    redoubt.reload();
    held.release();
    let reply = shown(&wire.frame());
    assert!(reply.starts_with("-ERR policy.compat.flush has changed"), "{reply}");
    let left = size(&mut direct);
    assert!((1..1000).contains(&left), "{left}");
    assert_eq!(ask(&mut wire, &["FLUSHDB"]), "+OK\\r\\n");
    assert_eq!(size(&mut direct), left);
}
