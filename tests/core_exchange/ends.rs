//! How sessions and links end, and what goes with them.

use redoubt::exchange::LinkFault;
use redoubt::session::CloseReason;

use crate::bench::{Bench, assert_bytes, request};

#[test]
fn a_reply_that_nothing_expects_closes_the_link_and_its_session_alone() {
    for rogue in [&b"+OK\r\n"[..], b"*1\r\n+x\r\n", b"hello\r\n"] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        let (other, other_link) = bench.session_with_link();
        let outcome = bench.exchange.link_bytes(link, rogue, bench.now);
        assert!(matches!(outcome, Err(LinkFault::Unexpected(_))), "{outcome:?}");
        assert!(bench.exchange.link_is_closed(link));
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
    bench.exchange.link_lost(link, bench.now);
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
    bench.exchange.link_lost(link, bench.now);
    assert!(bench.read(id).is_empty(), "an answer to what came after the lost one");
    assert_eq!(bench.close(id), CloseReason::UpstreamLost);
    // Of these the client has had its end, or did not want it.
    for leaves in [false, true] {
        let (id, link) = bench.session_with_link();
        bench.say(id, b"ECHO 1\r\nQUIT\r\n");
        bench.sent(link);
        if leaves {
            bench.exchange.client_lost(id);
        } else {
            bench.reply(link, b"$1\r\n1\r\n");
            assert_bytes(&bench.read(id), b"$1\r\n1\r\n+OK\r\n");
            bench.exchange.link_lost(link, bench.now);
        }
        assert_eq!(bench.close(id), CloseReason::Quit);
    }
}

#[test]
fn a_link_that_is_not_let_in_ends_its_session() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"SET k secret\r\n");
    let link = bench.exchange.next_link_to_open().unwrap();
    bench.exchange.link_connected(link);
    let login = bench.sent(link);
    assert!(!login.windows(6).any(|window| window == b"secret"), "a request before the login");
    let outcome = bench.exchange.link_bytes(link, b"-WRONGPASS no\r\n", bench.now);
    assert!(matches!(outcome, Err(LinkFault::Login(_))), "{outcome:?}");
    assert!(bench.exchange.link_output(link).is_empty());
    bench.exchange.link_failed(link, bench.now);
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
