//! How sessions and links end, and the effect on each other.

use redoubt_core::router::LinkFault;
use redoubt_core::session::CloseReason;

use support::bench::{Bench, assert_bytes, request};

#[test]
fn a_reply_that_nothing_expects_closes_the_link_and_its_session_alone() {
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
fn a_lost_link_gives_what_had_come_and_ends_its_session() {
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
fn a_quit_is_not_why_a_session_ends_that_was_cut_short() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nQUIT\r\n");
    bench.sent(link);
    bench.router.link_lost(link, bench.now);
    assert!(bench.read(id).is_empty(), "an answer to what came after the lost one");
    assert_eq!(bench.close(id), CloseReason::UpstreamLost);
    // The client has received the end of these, or did not want them.
    for leaves in [false, true] {
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
fn a_session_that_only_waits_ends_with_its_link_in_a_drain_and_gets_what_comes_before() {
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
fn a_link_that_is_not_let_in_ends_its_session() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"SET k secret\r\n");
    let link = bench.router.next_link_to_open().unwrap();
    bench.router.link_connected(link);
    let login = bench.sent(link);
    assert!(!login.windows(6).any(|window| window == b"secret"), "a request before the login");
    let outcome = bench.router.link_bytes(link, b"-WRONGPASS no\r\n", bench.now);
    assert!(matches!(outcome, Err(LinkFault::Login(_))), "{outcome:?}");
    assert!(bench.router.link_output(link).is_empty());
    bench.router.link_failed(link, bench.now);
    assert_eq!(bench.close(id), CloseReason::UpstreamUnavailable);
}

#[test]
fn a_protocol_error_is_told_after_what_is_due() {
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
fn a_client_that_has_gone_waits_for_no_blocking_command_whatever_it_sent_behind_it() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, &[request(&["BLPOP", "k", "0"]), request(&["RESET"])].concat());
    assert_bytes(&bench.sent(link), &request(&["BLPOP", "k", "0"]));
    assert!(!bench.router.wants_read(id), "RESET waits for the reply");
    bench.router.client_eof(id, bench.now);
    assert!(bench.router.is_finished(id));
    assert_eq!(bench.close(id), CloseReason::Client);
}
