//! What `FLUSHDB` deletes of a pipeline, several at once, and that it delays nobody else.

use std::cell::RefCell;

use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

use super::ask;
use super::flush::setup;

/// Enough keys that it takes thousands of steps to delete them.
const MANY: u32 = 400_000;

fn start(redis: &Redis) -> Redoubt {
    let redoubt = setup(redis, "cache:").set("workers", 2).start();
    redoubt.wait_until_it_serves();
    redoubt
}

/// Writes `count` keys below the prefix into a database.
pub(super) fn fill(redis: &Redis, database: &str, count: u32) {
    let script = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'cache:' .. i, i) end";
    let mut direct = redis.direct();
    direct.command(&["SELECT", database]);
    direct.command(&["EVAL", script, "0", &count.to_string()]);
    assert_eq!(direct.command(&["DBSIZE"]), format!(":{count}\r\n").as_bytes());
}

/// Makes Redis hold writes back, so that a flush stops at its first deletion.
pub(super) struct Held(RefCell<Wire>);

impl Held {
    pub(super) fn new(redis: &Redis) -> Self {
        let mut direct = redis.direct();
        assert_eq!(direct.command(&["CLIENT", "PAUSE", "600000", "WRITE"]), b"+OK\r\n");
        Self(RefCell::new(direct))
    }

    /// Waits until a deletion is held back.
    #[track_caller]
    pub(super) fn wait(&self) {
        let mut direct = self.0.borrow_mut();
        let is_held = || shown(&direct.command(&["CLIENT", "LIST"])).contains(" cmd=unlink ");
        assert!(Deadline::standard().poll(is_held), "a deletion");
    }

    pub(super) fn release(&self) {
        assert_eq!(self.0.borrow_mut().command(&["CLIENT", "UNPAUSE"]), b"+OK\r\n");
    }
}

pub(super) fn size(direct: &mut Wire) -> u32 {
    let reply = String::from_utf8(direct.command(&["DBSIZE"])).unwrap();
    reply.trim_start_matches(':').trim_end().parse().unwrap()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_pipeline_has_the_outcome_that_it_has_in_redis() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    for hello in ["2", "3"] {
        let mut wire = redoubt.session();
        wire.command(&["HELLO", hello]);
        let words: [&[&str]; 12] = [
            &["SET", "cache:a", "1"],
            &["SET", "kept", "1"],
            &["FLUSHDB"],
            &["SET", "cache:b", "1"],
            &["GET", "cache:a"],
            &["GET", "cache:b"],
            &["EVAL", "return redis.call('SET', 'cache:c', 1)", "0"],
            &["BLPOP", "cache:list", "0.01"],
            &["FLUSHALL", "ASYNC"],
            &["EXISTS", "cache:b", "cache:c", "kept"],
            &["SET", "cache:d", "1"],
            &["EXISTS", "cache:d"],
        ];
        wire.send(&words.map(frame::request).concat());
        let (nil, none) = if hello == "2" { ("$-1", "*-1") } else { ("_", "_") };
        let expected = format!(
            "+OK\r\n+OK\r\n+OK\r\n+OK\r\n{nil}\r\n$1\r\n1\r\n+OK\r\n{none}\r\n+OK\r\n:1\r\n+OK\r\n:1\r\n"
        );
        wire.expect(expected.as_bytes());
        wire.command(&["FLUSHDB"]);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn what_a_client_without_replies_has_written_is_deleted() {
    let redis = Redis::start();
    let redoubt = start(&redis);
    let mut wire = redoubt.session();
    let words: [&[&str]; 5] = [
        &["CLIENT", "REPLY", "OFF"],
        &["SET", "cache:a", "1"],
        &["FLUSHDB"],
        &["CLIENT", "REPLY", "ON"],
        &["EXISTS", "cache:a"],
    ];
    wire.send(&words.map(frame::request).concat());
    wire.expect(b"+OK\r\n:0\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn others_are_served_in_the_middle_of_a_flush_and_the_sessions_own_requests_wait() {
    let redis = Redis::start();
    fill(&redis, "0", 1000);
    let redoubt = start(&redis);
    let (mut wire, mut other) = (redoubt.session(), redoubt.session());
    let held = Held::new(&redis);
    wire.send(&[frame::request(&["FLUSHDB"]), frame::request(&["GET", "cache:1"])].concat());
    held.wait();
    for _ in 0..100 {
        assert_eq!(other.command(&["GET", "none"]), b"$-1\r\n");
        assert_eq!(other.command(&["PING"]), b"+PONG\r\n");
    }
    assert_eq!(redoubt.session().command(&["GET", "none"]), b"$-1\r\n");
    assert_eq!(wire.received(), b"");
    held.release();
    wire.expect(b"+OK\r\n$-1\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_flush_of_many_keys_goes_on_beside_other_sessions() {
    let redis = Redis::start();
    fill(&redis, "0", MANY);
    let redoubt = start(&redis);
    let (mut flushing, mut other, mut direct) =
        (redoubt.session(), redoubt.session(), redis.direct());
    flushing.send(&frame::request(&["FLUSHDB"]));
    let (mut served, mut last) = (0, MANY);
    // Each round sees the flush go on, and has other requests answered meanwhile.
    let ended = Deadline::standard().poll(|| {
        assert_eq!(other.command(&["SET", "other", "1"]), b"+OK\r\n");
        assert_eq!(other.command(&["GET", "other"]), b"$1\r\n1\r\n");
        let now = size(&mut direct);
        served += u32::from(now > 1 && now < last);
        last = now;
        now <= 1
    });
    assert!(ended);
    assert!(served > 5, "{served}");
    flushing.expect(b"+OK\r\n");
    assert_eq!(size(&mut direct), 1);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn several_flushes_at_once_all_end() {
    let redis = Redis::start();
    for database in ["0", "1", "2"] {
        fill(&redis, database, 2000);
    }
    let redoubt = start(&redis);
    let mut sessions: Vec<_> = (0..30).map(|_| redoubt.session()).collect();
    for (number, wire) in sessions.iter_mut().enumerate() {
        let (database, own) = ((number % 3).to_string(), format!("cache:own-{number}"));
        let words: [&[&str]; 4] = [
            &["SELECT", &database],
            &["SET", &own, "1"],
            if number % 10 == 9 { &["FLUSHALL"] } else { &["FLUSHDB"] },
            &["EXISTS", &own],
        ];
        wire.send(&words.map(frame::request).concat());
    }
    for wire in &mut sessions {
        wire.expect(b"+OK\r\n+OK\r\n+OK\r\n:0\r\n");
    }
    let mut direct = redis.direct();
    for database in ["0", "1", "2"] {
        direct.command(&["SELECT", database]);
        assert_eq!(size(&mut direct), 0);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_flush_that_comes_in_the_middle_of_another_deletes_what_the_other_has_passed() {
    let redis = Redis::start();
    fill(&redis, "0", 1000);
    let redoubt = start(&redis);
    let (mut wire, mut late) = (redoubt.session(), redoubt.session());
    let held = Held::new(&redis);
    wire.send(&frame::request(&["FLUSHDB"]));
    held.wait();
    late.send(&[frame::request(&["FLUSHDB"]), frame::request(&["DBSIZE"])].concat());
    held.release();
    wire.expect(b"+OK\r\n");
    late.expect(b"+OK\r\n:0\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_client_that_leaves_does_not_end_the_flush() {
    let redis = Redis::start();
    fill(&redis, "0", 1000);
    let redoubt = start(&redis);
    let mut wire = redoubt.session();
    let held = Held::new(&redis);
    wire.send(&frame::request(&["FLUSHDB"]));
    held.wait();
    drop(wire);
    held.release();
    let mut direct = redis.direct();
    assert!(Deadline::standard().poll(|| size(&mut direct) == 0));
    let reported =
        |line: &str| line.contains("keys deleted in place") && line.contains("\"keys\":1000");
    assert!(redoubt.log().wait(reported).is_some());
    assert_eq!(ask(&mut redoubt.session(), &["FLUSHDB"]), "+OK\\r\\n");
}
