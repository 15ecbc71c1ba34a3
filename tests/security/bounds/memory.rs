//! The memory of the process while clients make it buffer much.

use support::{Deadline, Redis, Redoubt, Wire, frame, lines};

const MIB: usize = 1 << 20;
/// The limit on all sessions.
const MEMORY: u64 = 64 << 20;
/// Bytes that may come on top: one more step of the largest buffer, which doubles when it grows, and
/// what the allocator keeps.
const SLACK: u64 = 48 << 20;

fn start(redis: &Redis) -> (Redoubt, u64) {
    let redoubt =
        Redoubt::setup(redis).set_text("limits.memory", &format!("{}mb", MEMORY >> 20)).start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    let idle = redoubt.rss();
    (redoubt, idle)
}

#[track_caller]
fn check(redoubt: &Redoubt, idle: u64) {
    let grown = redoubt.peak_rss().saturating_sub(idle);
    assert!(grown < MEMORY + SLACK, "{} MiB above idle", grown >> 20);
}

/// Waits until a session was closed for the memory that it held, and checks that none was closed for
/// another reason.
#[track_caller]
fn assert_largest_closed(redoubt: &Redoubt) {
    let closed = |line: &str| lines::field(line, "reason") == Some("memory");
    assert!(redoubt.log().wait(closed).is_some(), "no session was closed for its memory");
    redoubt.wait_for_metric("redoubt_sessions_closed_total{reason=\"memory\"}", 1.0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn memory_of_all_unread_replies_is_bounded() {
    let redis = Redis::start();
    redis.direct().command(&["SETRANGE", "big", &(30 * MIB).to_string(), "x"]);
    let (redoubt, idle) = start(&redis);
    let mut honest = redoubt.session();
    assert_eq!(honest.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut slow: Vec<Wire> = (0..12).map(|_| redoubt.session()).collect();
    for wire in &mut slow {
        wire.command(&["PING"]);
    }
    for wire in &mut slow {
        wire.send(&frame::request(&["GET", "big"]));
    }
    assert_largest_closed(&redoubt);
    for _ in 0..200 {
        assert_eq!(honest.command(&["GET", "k"]), frame::bulk(b"v"));
    }
    check(&redoubt, idle);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn memory_of_all_pipelines_behind_blocking_commands_is_bounded() {
    let redis = Redis::start();
    let (redoubt, idle) = start(&redis);
    let mut honest = redoubt.session();
    assert_eq!(honest.command(&["SET", "k", "v"]), b"+OK\r\n");
    // Two commands alternate, because a run of the same command takes little memory.
    let two = [frame::request(&["GET", "a"]), frame::request(&["SET", "a", "1"])].concat();
    let pipeline = two.repeat(50_000);
    let waiting: Vec<_> = (0..60)
        .map(|_| {
            let mut wire = redoubt.session();
            wire.send(&frame::request(&["BLPOP", "nothing", "0"]));
            wire.stream().set_nonblocking(true).unwrap();
            // The write ends when Redoubt stops reading.
            let _ = std::io::Write::write(&mut wire.stream(), &pipeline);
            wire
        })
        .collect();
    for _ in 0..200 {
        assert_eq!(honest.command(&["GET", "k"]), frame::bulk(b"v"));
    }
    redoubt.wait_for_metric("redoubt_session_pauses_total{limit=\"memory\"}", 1.0);
    check(&redoubt, idle);
    // Sessions that still wait get their replies when the element arrives.
    let mut direct = redis.direct();
    let all = waiting.len();
    let served = Deadline::standard().poll(|| {
        direct.command(&["RPUSH", "nothing", "x"]);
        redoubt.metric("redoubt_sessions_paused{limit=\"memory\"}") == 0.0
    });
    assert!(served, "some of {all} sessions wait for ever");
    check(&redoubt, idle);
}
