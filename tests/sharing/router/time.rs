//! Time limits, the graceful stop, and clients that close their sending side.

use std::time::Duration;

use redoubt_core::session::CloseReason;

use support::bench::{Bench, CLIENT_PASSWORD, TIMEOUTS, assert_bytes, request};

const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";

#[test]
fn the_login_has_a_time_limit() {
    let mut bench = Bench::new();
    let late = bench.open();
    let timely = bench.open();
    bench.pass(TIMEOUTS.auth - Duration::from_millis(1));
    bench.say(late, b"PING\r\n");
    bench.say(timely, &request(&["AUTH", CLIENT_PASSWORD]));
    bench.pass(Duration::from_millis(1));
    assert!(!bench.router.is_finished(timely));
    assert_eq!(bench.close(late), CloseReason::AuthTimeout);
    // RESET restarts the time limit.
    bench.pass(TIMEOUTS.auth);
    bench.say(timely, b"RESET\r\n");
    bench.pass(TIMEOUTS.auth - Duration::from_millis(1));
    bench.say(timely, b"RESET\r\n");
    assert!(!bench.router.is_finished(timely));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.close(timely), CloseReason::AuthTimeout, "a second RESET gains no time");
}

#[test]
fn idle_timeout_applies_unless_a_reply_is_pending() {
    let mut bench = Bench::new();
    let silent = bench.authenticated();
    let (waits, waits_link) = bench.session_with_link();
    let (listens, listens_link) = bench.session_with_link();
    bench.say(waits, b"BLPOP k 0\r\n");
    bench.sent(waits_link);
    bench.answer(listens, listens_link, b"SUBSCRIBE a\r\n", SUBSCRIBED);
    bench.pass(TIMEOUTS.idle - Duration::from_millis(1));
    assert!(!bench.router.is_finished(silent));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.close(silent), CloseReason::Idle);
    bench.pass(TIMEOUTS.idle * 10);
    assert!(!bench.router.is_finished(waits) && !bench.router.is_finished(listens));
    bench.reply(waits_link, b"*-1\r\n");
    bench.read(waits);
    bench.pass(TIMEOUTS.idle);
    assert_eq!(bench.close(waits), CloseReason::Idle);
}

#[test]
fn unread_last_replies_have_a_time_limit() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"QUIT\r\n");
    bench.pass(Duration::from_secs(29));
    assert!(!bench.router.is_finished(id));
    assert_bytes(bench.router.output(id), b"+OK\r\n");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.close(id), CloseReason::Quit);
}

#[test]
fn a_drain_finishes_pending_replies_and_takes_no_new_requests() {
    let mut bench = Bench::new();
    let idle = bench.authenticated();
    let (busy, busy_link) = bench.session_with_link();
    let (streams, streams_link) = bench.session_with_link();
    bench.say(busy, b"ECHO 1\r\n");
    bench.sent(busy_link);
    bench.say(streams, b"*2\r\n$4\r\nECHO\r\n$70000\r\n");
    bench.say(streams, &[b'x'; 69_000]);
    bench.router.drain();
    assert_eq!(bench.close(idle), CloseReason::Shutdown);
    bench.say(busy, b"ECHO 2\r\n");
    assert!(bench.sent(busy_link).is_empty());
    bench.reply(busy_link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(busy), b"$1\r\n1\r\n");
    assert_eq!(bench.close(busy), CloseReason::Shutdown);
    bench.say(streams, &[b'x'; 1_000]);
    bench.say(streams, b"\r\nECHO 2\r\n");
    assert_eq!(bench.sent(streams_link).len(), b"*2\r\n$4\r\nECHO\r\n$70000\r\n".len() + 70_002);
    bench.reply(streams_link, b"+short\r\n");
    assert_bytes(&bench.read(streams), b"+short\r\n");
    assert_eq!(bench.close(streams), CloseReason::Shutdown);
    let late = bench.open();
    assert_eq!(bench.close(late), CloseReason::Shutdown);
}

#[test]
fn a_half_closed_client_gets_its_pending_replies() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nECHO 2\r\nECH");
    bench.router.client_eof(id, bench.now);
    assert!(!bench.router.wants_read(id));
    bench.sent(link);
    bench.reply(link, b"$1\r\n1\r\n$1\r\n2\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(bench.close(id), CloseReason::Client);
}

#[test]
fn no_value_is_popped_for_a_client_that_has_left() {
    for written in [true, false] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        bench.say(id, b"ECHO 1\r\nBLPOP k 0\r\n");
        if written {
            bench.sent(link);
        }
        bench.router.client_eof(id, bench.now);
        assert_eq!(bench.close(id), CloseReason::Client);
        assert!(bench.router.link_is_closed(link));
        assert!(bench.router.link_output(link).is_empty());
    }
}
