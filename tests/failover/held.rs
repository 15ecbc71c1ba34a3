//! One server, which restarts.

use support::{Redis, Redoubt};

#[test]
fn requests_wait_while_the_server_restarts() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.failover_timeout", "60s").start();
    redoubt.wait_until_it_serves();
    let mut sessions: Vec<_> = (0..5).map(|_| redoubt.session()).collect();
    assert_eq!(sessions[0].command(&["SET", "k", "v"]), b"+OK\r\n");
    redis.kill();
    for wire in &mut sessions {
        wire.offer(&support::frame::request(&["INCR", "n"]));
    }
    // What came after the loss has waited when it is said that the server is lost.
    assert!(redoubt.log().wait(|line| line.contains("upstream is unavailable")).is_some());
    redis.restart();
    let mut counts: Vec<_> = sessions.iter_mut().map(|wire| wire.frame()).collect();
    counts.sort();
    assert_eq!(counts, (1..=5).map(|n| format!(":{n}\r\n").into_bytes()).collect::<Vec<_>>());
}

#[test]
fn requests_wait_no_longer_than_they_may() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.failover_timeout", "300ms").start();
    redoubt.wait_until_it_serves();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    redis.kill();
    session.offer(&support::frame::request(&["INCR", "n"]));
    assert_eq!(session.read_to_close(), b"");
    redis.restart();
    redoubt.wait_until_it_serves();
    assert_eq!(redoubt.session().command(&["EXISTS", "n"]), b":0\r\n", "it was not sent later");
}
