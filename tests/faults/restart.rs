//! Redis is killed and started again, with its data.

use support::{Redis, Redoubt, frame};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_redis_restart_runs_no_command_twice_and_keeps_idle_sessions() {
    const SENT: usize = 20_000;
    let mut redis = Redis::start();
    redis.kill();
    redis.configure("appendonly yes");
    redis.configure("appendfsync always");
    redis.restart();
    let redoubt = Redoubt::start(&redis);
    let mut idle = redoubt.session();
    assert_eq!(idle.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut busy = redoubt.session();
    let increments = frame::request(&["INCR", "counter"]).repeat(SENT);
    let mut is_killed = false;
    busy.exchange(&increments, 4096, false, |received| {
        if !is_killed && received.len() > 2000 {
            is_killed = true;
            redis.kill();
        }
        false
    });
    let replies = String::from_utf8(busy.received().to_vec()).unwrap();
    let answered = replies.matches("\r\n").count();
    let wanted: String = (1..=SENT).map(|count| format!(":{count}\r\n")).collect();
    assert!(wanted.starts_with(&replies), "a wrong reply");
    assert!(answered < SENT, "Redis was killed too late");

    redoubt.wait_until_unready();
    redoubt.wait_for_metric(crate::LOST, 1.0);
    redis.restart();
    redoubt.wait_until_it_serves();
    redoubt.wait_until_ready();
    assert_eq!(idle.command(&["GET", "k"]), b"$1\r\nv\r\n");
    let counted = redis.direct().command(&["INCR", "counter"]);
    let counted = String::from_utf8_lossy(&counted[1..]).trim().parse::<usize>().unwrap() - 1;
    assert!((answered..=SENT).contains(&counted), "{answered} answered, {counted} counted");
    assert_eq!(idle.command(&["DECR", "counter"]), format!(":{counted}\r\n").as_bytes());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_redis_restart_ends_the_idle_sessions_that_have_used_scripts() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_serves();
    let (mut idle, mut user) = (redoubt.session(), redoubt.session());
    assert_eq!(idle.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(user.command(&["EVAL", "return 1", "0"]), b":1\r\n");
    redis.kill();
    assert_eq!(user.read_to_close(), b"");
    redoubt.wait_for_metric("redoubt_sessions_closed_total{reason=\"scripts_lost\"}", 1.0);
    redis.restart();
    redoubt.wait_until_it_serves();
    // The data is not kept.
    assert_eq!(idle.command(&["GET", "k"]), b"$-1\r\n");
}
