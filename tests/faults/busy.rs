//! A script overruns, so that the server answers `BUSY` and prepares no link.

use crate::{FAILED, lines_with};
use support::servers::REDIS_7_0;
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

const REDIS_8_0: &str = "redis-8.0";
const VALKEY_9_1: &str = "valkey-9.1";

fn slow_script(server: &'static str) -> Redis {
    Redis::setup().server(server).config("busy-reply-threshold 50").start()
}

/// Makes the server run a script without an end, until [`kill_script`].
fn overrun(redis: &Redis) -> Wire {
    let mut script = redis.direct();
    script.send(&frame::request(&["EVAL", "while true do end", "0"]));
    let busy =
        Deadline::standard().poll(|| redis.direct().command(&["GET", "x"]).starts_with(b"-BUSY "));
    assert!(busy, "the script does not overrun");
    script
}

fn kill_script(redis: &Redis) {
    assert_eq!(redis.direct().command(&["SCRIPT", "KILL"]), b"+OK\r\n");
}

/// Returns the replies that `wire` gets for `requests`, one for each.
fn replies(wire: &mut Wire, requests: &[&[&str]], at_once: bool) -> Vec<Vec<u8>> {
    if at_once {
        let bytes: Vec<_> = requests.iter().flat_map(|words| frame::request(words)).collect();
        wire.send(&bytes);
        return requests.iter().map(|_| wire.frame()).collect();
    }
    requests.iter().map(|words| wire.command(words)).collect()
}

/// Requests that get the server's own answers while the server is busy.
const ASKED: [&[&[&str]]; 6] = [
    &[&["GET", "x"], &["SET", "x", "1"], &["PING"], &["ECHO", "y"]],
    &[&["BLPOP", "nothing", "0"], &["GET", "x"]],
    &[&["SUBSCRIBE", "c"], &["GET", "x"]],
    &[&["SUBSCRIBE", "a", "b"]],
    &[&["MULTI"], &["SET", "x", "1"], &["GET", "x"], &["EXEC"], &["GET", "x"]],
    &[&["MULTI"], &["SET", "x", "1"], &["DISCARD"], &["SET", "x", "2"]],
];

fn clients_get_busy(server: &'static str, guard: &str, database: &str, name: &[&[&str]]) {
    let redis = slow_script(server);
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard).start();
    redoubt.wait_until_it_serves();
    // From here on the database is known to exist, and the pool is empty.
    let mut first = redoubt.session();
    assert_eq!(first.command(&["SELECT", database]), b"+OK\r\n");
    assert_eq!(first.command(&["MULTI"]), b"+OK\r\n");
    let mut sessions: Vec<_> = (0..ASKED.len() * 2).map(|_| redoubt.session()).collect();
    for session in &mut sessions {
        assert_eq!(session.command(&["SELECT", database]), b"+OK\r\n");
        for words in name {
            assert_eq!(session.command(words), b"+OK\r\n");
        }
    }
    let mut direct = [(); ASKED.len()].map(|()| redis.direct());
    for direct in &mut direct {
        assert_eq!(direct.command(&["SELECT", database]), b"+OK\r\n");
    }
    let failed = redoubt.metric(FAILED);
    let mut script = overrun(&redis);
    for (index, requests) in ASKED.into_iter().enumerate() {
        let wanted = replies(&mut direct[index], requests, true);
        for at_once in [true, false] {
            let session = &mut sessions[index * 2 + usize::from(at_once)];
            let got = replies(session, requests, at_once);
            for (got, wanted) in got.iter().zip(&wanted) {
                assert_eq!(shown(got), shown(wanted), "{server}, {requests:?}, {at_once}");
            }
        }
    }
    // The transaction begins while the server is busy, and continues after it.
    let mut late = redoubt.session();
    assert_eq!(
        replies(&mut late, &[&["SELECT", database], &["MULTI"]], false),
        [b"+OK\r\n", b"+OK\r\n"]
    );
    kill_script(&redis);
    assert!(script.frame().starts_with(b"-ERR "));
    assert_eq!(late.command(&["SET", "x", "late"]), b"+QUEUED\r\n");
    // The transaction runs where the server let Redoubt prepare the link, and fails elsewhere.
    let ran = late.command(&["EXEC"]) == b"*1\r\n+OK\r\n";
    let x: &[u8] = if ran { b"$4\r\nlate\r\n" } else { b"$-1\r\n" };
    for session in sessions.iter_mut().chain([&mut late]) {
        assert_eq!(session.command(&["GET", "x"]), x, "something else ran");
        assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
        assert_eq!(session.command(&["INCR", "n"]), b"+QUEUED\r\n");
        assert!(session.command(&["EXEC"]).starts_with(b"*1\r\n:"));
    }
    let count = sessions.len() + 1;
    assert_eq!(direct[0].command(&["GET", "n"]), frame::bulk(count.to_string().as_bytes()));
    assert_eq!(redoubt.metric(FAILED), failed, "links count as failed");
    assert_eq!(lines_with(&redoubt, "\"ERROR\""), 0);
    redoubt.wait_until_ready();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_of_a_busy_redis_7_0_get_its_errors_and_stay_connected() {
    clients_get_busy(REDIS_7_0, "auto", "5", &[]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_of_a_busy_redis_8_0_get_its_errors_and_stay_connected() {
    clients_get_busy(REDIS_8_0, "auto", "5", &[]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_of_a_busy_valkey_9_1_get_its_errors_and_stay_connected() {
    clients_get_busy(VALKEY_9_1, "off", "5", &[]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_busy_server_closes_no_session_with_a_client_name() {
    clients_get_busy(REDIS_7_0, "off", "0", &[&["CLIENT", "SETNAME", "worker"]]);
}

/// Starts Redoubt while the server is busy.
fn busy_from_the_start(server: &'static str, guard: &str) {
    let redis = slow_script(server);
    let mut script = overrun(&redis);
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard).start();
    let mut direct = redis.direct();
    let mut sessions = [redoubt.session(), redoubt.session()];
    for session in &mut sessions {
        for words in
            [&["GET", "x"][..], &["SELECT", "5"], &["BLPOP", "nothing", "0"], &["GET", "x"]]
        {
            let got = session.command(words);
            assert_eq!(shown(&got), shown(&direct.command(words)), "{server}, {guard}, {words:?}");
        }
    }
    kill_script(&redis);
    assert!(script.frame().starts_with(b"-ERR "));
    redoubt.wait_until_it_serves();
    for session in &mut sessions {
        assert_eq!(session.command(&["SET", "x", "1"]), b"+OK\r\n");
        assert_eq!(session.command(&["BLPOP", "nothing", "0.01"]), b"*-1\r\n");
    }
    redoubt.wait_until_ready();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_get_busy_if_redoubt_starts_before_a_busy_redis_7_0_without_a_guard() {
    busy_from_the_start(REDIS_7_0, "auto");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_get_busy_if_redoubt_starts_before_a_busy_redis_8_0_with_an_unchecked_user() {
    busy_from_the_start(REDIS_8_0, "audit");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_get_busy_if_redoubt_starts_before_a_busy_valkey_9_1_with_guard_off() {
    busy_from_the_start(VALKEY_9_1, "off");
}
