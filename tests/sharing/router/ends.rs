//! How sessions and links end, and the effect on each other.

use redoubt_core::router::LinkFault;
use redoubt_core::session::CloseReason;

use support::bench::{Bench, assert_bytes, request};

#[test]
fn an_unexpected_reply_closes_only_its_link_and_session() {
    for rogue in [&b"+OK\r\n"[..], b"*1\r\n+x\r\n", b"hello\r\n"] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        let (other, other_link) = bench.session_with_link();
        let outcome = bench.router.link_bytes(link, rogue, bench.now);
        assert!(matches!(outcome, Err(LinkFault::Unexpected(_))), "{outcome:?}");
        assert!(bench.router.link_is_closed(link));
        assert!(bench.read(id).is_empty(), "a rogue reply reached a client");
        assert_eq!(bench.close(id), CloseReason::UpstreamLost);
        bench.answer(other, other_link, b"ECHO 1\r\n", b"$1\r\n1\r\n");
    }
}

#[test]
fn a_lost_link_delivers_received_bytes_and_ends_its_session() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let (other, other_link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nECHO 2\r\nFLUSHALL\r\n");
    bench.sent(link);
    bench.reply(link, b"$1\r\n1\r\n");
    bench.router.link_lost(link, bench.now);
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n");
    assert_eq!(bench.close(id), CloseReason::UpstreamLost);
    bench.answer(other, other_link, b"ECHO 1\r\n", b"$1\r\n1\r\n");
}

#[test]
fn a_session_cut_off_before_its_quit_does_not_end_with_quit() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nQUIT\r\n");
    bench.sent(link);
    bench.router.link_lost(link, bench.now);
    assert!(bench.read(id).is_empty(), "an answer to what came after the lost one");
    assert_eq!(bench.close(id), CloseReason::UpstreamLost);
    // The client has received the end of these, or did not want them.
    for leaves in [false, true] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        bench.say(id, b"ECHO 1\r\nQUIT\r\n");
        bench.sent(link);
        if leaves {
            bench.router.client_lost(id);
        } else {
            bench.reply(link, b"$1\r\n1\r\n");
            assert_bytes(&bench.read(id), b"$1\r\n1\r\n+OK\r\n");
            bench.router.link_lost(link, bench.now);
        }
        assert_eq!(bench.close(id), CloseReason::Quit);
    }
}

#[test]
fn a_blocked_session_ends_in_a_drain_and_gets_earlier_replies() {
    let mut bench = Bench::new();
    let (waits, waits_link) = bench.session_with_link();
    let (pops, pops_link) = bench.session_with_link();
    let (asks, asks_link) = bench.session_with_link();
    for (id, link) in [(waits, waits_link), (pops, pops_link)] {
        bench.say(id, b"BLPOP k 0\r\n");
        assert!(!bench.sent(link).is_empty());
    }
    bench.say(asks, b"ECHO 1\r\nBLPOP k 0\r\n");
    bench.sent(asks_link);
    bench.router.leave_waiting();
    assert!(!bench.router.link_finishes(waits_link), "before a stop");
    bench.router.drain();
    bench.router.leave_waiting();
    assert!(bench.router.link_finishes(waits_link) && bench.router.link_finishes(pops_link));
    assert!(!bench.router.link_finishes(asks_link), "a reply is due that comes by itself");
    bench.reply(asks_link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(asks), b"$1\r\n1\r\n");
    bench.router.leave_waiting();
    assert!(bench.router.link_finishes(asks_link));
    let popped = b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n";
    bench.reply(pops_link, popped);
    assert_bytes(&bench.read(pops), popped);
    bench.router.link_lost(pops_link, bench.now);
    assert_eq!(bench.close(pops), CloseReason::Shutdown);
    for (id, link) in [(waits, waits_link), (asks, asks_link)] {
        assert!(!bench.router.is_finished(id));
        bench.router.link_lost(link, bench.now);
        assert!(bench.read(id).is_empty());
        assert_eq!(bench.close(id), CloseReason::Shutdown);
    }
}

#[test]
fn a_rejected_link_login_ends_its_session() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"SET k secret\r\n");
    let link = bench.router.next_link_to_open().unwrap();
    bench.router.link_connected(link, bench.now);
    let login = bench.sent(link);
    assert!(!login.windows(6).any(|window| window == b"secret"), "a request before the login");
    let outcome = bench.router.link_bytes(link, b"-WRONGPASS no\r\n", bench.now);
    assert!(matches!(outcome, Err(LinkFault::Login(_))), "{outcome:?}");
    assert!(bench.router.link_output(link).is_empty());
    bench.router.link_failed(link, bench.now);
    assert_eq!(bench.close(id), CloseReason::UpstreamUnavailable);
}

#[test]
fn a_protocol_error_is_sent_after_pending_replies() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\n*1\r\n+PING\r\nECHO 2\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    assert!(bench.read(id).is_empty());
    bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n-ERR Protocol error: expected '$', got '+'\r\n");
    assert_eq!(bench.close(id), CloseReason::Protocol);
}

#[test]
fn a_blocking_command_ends_with_its_client_despite_later_requests() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, &[request(&["BLPOP", "k", "0"]), request(&["RESET"])].concat());
    assert_bytes(&bench.sent(link), &request(&["BLPOP", "k", "0"]));
    assert!(!bench.router.wants_read(id), "RESET waits for the reply");
    bench.router.client_eof(id, bench.now);
    assert!(bench.router.is_finished(id));
    assert_eq!(bench.close(id), CloseReason::Client);
}
