//! `/livez` and `/readyz`.

use support::http::http_get;
use support::{Deadline, Redis, Redoubt, signal};

/// Waits until `/readyz` has this status and body.
fn comes_to(redoubt: &Redoubt, status: u16, body: &str) {
    let mut last = (0, String::new());
    let came = Deadline::standard().poll(|| {
        let answer = http_get(redoubt.admin(), "/readyz");
        last = (answer.0, answer.2);
        (last.0, &*last.1) == (status, body)
    });
    assert!(came, "expected {status} {body:?}, found {last:?}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn readyz_needs_redis_and_livez_does_not() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    comes_to(&redoubt, 200, "ok\n");
    redis.kill();
    comes_to(&redoubt, 503, "upstream: not authenticated\n");
    assert_eq!(http_get(redoubt.admin(), "/livez").0, 200);
    redis.restart();
    comes_to(&redoubt, 200, "ok\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn readyz_fails_until_the_guard_is_provisioned() {
    let redis = Redis::setup().config("busy-reply-threshold 1").start();
    let mut busy = redis.direct();
    busy.offer(b"EVAL 'while true do end' 0\r\n");
    // A Redis that is busy with a script accepts logins, and does not answer requests about its users.
    let mut direct = redis.direct();
    let is_busy = || direct.command(&["PING"]).starts_with(b"-BUSY");
    assert!(Deadline::standard().poll(is_busy), "the script runs");
    let redoubt = Redoubt::start(&redis);
    comes_to(&redoubt, 503, "guard: not ready\n");
    assert_eq!(direct.command(&["SCRIPT", "KILL"]), b"+OK\r\n");
    comes_to(&redoubt, 200, "ok\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn readyz_reports_draining_and_livez_succeeds_until_the_end() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("drain_delay", "20s")
        .set_text("shutdown_timeout", "20s")
        .start();
    comes_to(&redoubt, 200, "ok\n");
    let mut blocked = redoubt.session();
    blocked.offer(b"BLPOP k 0\r\n");
    signal(redoubt.pid(), "TERM");
    comes_to(&redoubt, 503, "draining\n");
    assert_eq!(http_get(redoubt.admin(), "/livez").0, 200);
    signal(redoubt.pid(), "TERM");
    redoubt.wait();
}
