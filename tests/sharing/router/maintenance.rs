//! Maintenance notifications: who asks for them, and when they come.

use std::time::Duration;

use redoubt_core::router::{LinkId, SessionId, Sharing};
use redoubt_core::session::CloseReason;

use support::bench::{Bench, assert_bytes, request};

const GREETING: &[u8] = b"%1\r\n$5\r\nproto\r\n:3\r\n";
const UNKNOWN: &[u8] = b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n";

/// Returns a session in RESP3, and its lease.
fn resp3(bench: &mut Bench) -> (SessionId, LinkId) {
    let (id, link) = bench.session_with_link();
    bench.answer(id, link, &request(&["HELLO", "3"]), GREETING);
    (id, link)
}

/// Sends `CLIENT MAINT_NOTIFICATIONS` with these arguments, and demands this reply and that nothing is forwarded.
#[track_caller]
fn ask(bench: &mut Bench, (id, link): (SessionId, LinkId), args: &[&str], wanted: &[u8]) {
    bench.say(id, &request(&[&["CLIENT", "MAINT_NOTIFICATIONS"], args].concat()));
    assert_bytes(&bench.read(id), wanted);
    assert_bytes(&bench.sent(link), b"");
}

/// Returns a session that has asked for notifications, and its lease.
fn asked(bench: &mut Bench) -> (SessionId, LinkId) {
    let (id, link) = resp3(bench);
    ask(bench, (id, link), &["ON", "moving-endpoint-type", "none"], b"+OK\r\n");
    (id, link)
}

fn moving(number: u64, seconds: u64) -> Vec<u8> {
    format!(">4\r\n$6\r\nMOVING\r\n:{number}\r\n:{seconds}\r\n_\r\n").into_bytes()
}

#[test]
fn only_notifications_without_an_address_are_agreed_to() {
    let mut bench = Bench::new();
    let session = resp3(&mut bench);
    let kind = "moving-endpoint-type";
    let syntax: &[u8] = b"-ERR syntax error\r\n";
    let arity: &[u8] =
        b"-ERR wrong number of arguments for 'client|maint_notifications' command\r\n";
    for (args, wanted) in [
        (&["on", kind, "none"][..], &b"+OK\r\n"[..]),
        (&["ON"], b"+OK\r\n"),
        (&["off"], b"+OK\r\n"),
        (&["ON", kind, "internal-ip"], UNKNOWN),
        (&["ON", kind, "internal-fqdn"], UNKNOWN),
        (&["ON", kind, "EXTERNAL-IP"], UNKNOWN),
        (&["ON", kind, "external-fqdn"], UNKNOWN),
        (&["ON", kind, "other"], syntax),
        (&["ON", kind], syntax),
        (&["ON", "other", "none"], syntax),
        (&["OFF", kind, "none"], syntax),
        (&["ON", kind, "none", "more"], syntax),
        (&["x"], syntax),
        (&[], arity),
    ] {
        ask(&mut bench, session, args, wanted);
    }
}

#[test]
fn the_subcommand_does_not_exist_in_resp2() {
    for sharing in [Sharing::Off, Sharing::Auto] {
        let mut bench = Bench::with(sharing);
        let session = bench.session_with_link();
        ask(&mut bench, session, &["ON", "moving-endpoint-type", "none"], UNKNOWN);
        assert_eq!(bench.router.announce_move(1, 10, bench.now), 0);
    }
}

#[test]
fn a_request_behind_a_pending_hello_waits_for_its_reply() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let on = request(&["CLIENT", "MAINT_NOTIFICATIONS", "ON"]);
    bench.say(id, &[request(&["HELLO", "3"]), on].concat());
    assert_bytes(&bench.sent(link), &request(&["HELLO", "3"]));
    bench.reply(link, GREETING);
    assert_bytes(&bench.read(id), &[GREETING, b"+OK\r\n"].concat());
}

#[test]
fn the_request_fails_a_transaction_and_is_not_sent() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    bench.answer(id, link, &request(&["MULTI"]), b"+OK\r\n");
    bench.say(id, &request(&["CLIENT", "MAINT_NOTIFICATIONS", "ON"]));
    let sent = String::from_utf8(bench.sent(link)).unwrap();
    assert!(!sent.contains("MAINT") && !sent.is_empty(), "{sent}");
    bench.reply(link, b"-ERR unknown command\r\n");
    assert_bytes(&bench.read(id), UNKNOWN);
}

#[test]
fn clients_that_have_asked_are_notified_once_and_no_others() {
    let mut bench = Bench::new();
    let (id, _) = asked(&mut bench);
    let (silent, _) = resp3(&mut bench);
    let off = asked(&mut bench);
    ask(&mut bench, off, &["OFF"], b"+OK\r\n");
    let (back, link) = asked(&mut bench);
    bench.answer(back, link, &request(&["HELLO", "2"]), b"*2\r\n$5\r\nproto\r\n:2\r\n");
    let (reset, _) = asked(&mut bench);
    bench.say(reset, &request(&["RESET"]));
    assert_bytes(&bench.read(reset), b"+RESET\r\n");

    assert_eq!(bench.router.announce_move(7, 10, bench.now), 1);
    assert_bytes(&bench.read(id), &moving(7, 10));
    let (late, _) = asked(&mut bench);
    bench.pass(Duration::from_secs(1));
    for other in [id, silent, off.0, back, reset, late] {
        assert_bytes(&bench.read(other), b"");
    }
    assert_eq!(bench.router.counters().take_maint_notifications(), 1);
    assert_eq!(bench.router.counters().take_maint_notifications(), 0);
    // A later move is another one.
    assert_eq!(bench.router.announce_move(8, 5, bench.now), 2);
    assert_bytes(&bench.read(id), &moving(8, 5));
    assert_bytes(&bench.read(late), &moving(8, 5));
}

#[test]
fn a_notification_comes_between_two_replies() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    bench.say(id, &[request(&["GET", "a"]), request(&["GET", "b"])].concat());
    bench.sent(link);
    bench.reply(link, b"$5\r\nhe");
    assert_eq!(bench.router.announce_move(1, 10, bench.now), 1);
    assert_bytes(&bench.read(id), b"$5\r\nhe");
    bench.say(id, &request(&["GET", "c"]));
    bench.reply(link, b"llo\r\n$1\r\nb\r\n$1\r\nc\r\n");
    let wanted = [b"llo\r\n$1\r\nb\r\n", &moving(1, 10)[..], b"$1\r\nc\r\n"].concat();
    assert_bytes(&bench.read(id), &wanted);
}

#[test]
fn a_notification_comes_behind_a_message_that_has_begun() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    bench.answer(
        id,
        link,
        &request(&["SUBSCRIBE", "news"]),
        b">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
    );
    bench.reply(link, b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhe");
    assert_eq!(bench.router.announce_move(1, 10, bench.now), 1);
    bench.reply(link, b"llo\r\n");
    let message = b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n".as_slice();
    assert_bytes(&bench.read(id), &[message, &moving(1, 10)].concat());
}

#[test]
fn a_blocked_client_is_notified_when_it_is_answered() {
    let mut bench = Bench::new();
    let ((id, link), (other, _)) = (asked(&mut bench), asked(&mut bench));
    bench.say(id, &request(&["BLPOP", "k", "0"]));
    bench.sent(link);
    assert_eq!(bench.router.announce_move(1, 10, bench.now), 2);
    assert_bytes(&bench.read(other), &moving(1, 10));
    bench.pass(Duration::from_millis(2_500));
    assert_bytes(&bench.read(id), b"");
    bench.reply(link, b"_\r\n");
    bench.pass(Duration::from_millis(200));
    assert_bytes(&bench.read(id), &[b"_\r\n", &moving(1, 7)[..]].concat());
}

#[test]
fn a_client_is_not_notified_once_less_than_a_second_remains() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    bench.say(id, &request(&["BLPOP", "k", "0"]));
    bench.sent(link);
    assert_eq!(bench.router.announce_move(1, 10, bench.now), 1);
    bench.pass(Duration::from_millis(9_500));
    bench.reply(link, b"_\r\n");
    bench.pass(Duration::from_millis(200));
    assert_bytes(&bench.read(id), b"_\r\n");
    assert_eq!(bench.router.announce_move(2, 0, bench.now), 1);
    assert_bytes(&bench.read(id), b"");
}

#[test]
fn a_client_that_reads_slowly_is_notified_when_it_has_read() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    let value = vec![b'x'; 48 << 20];
    let reply = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    bench.say(id, &request(&["GET", "k"]));
    bench.sent(link);
    bench.reply(link, &reply);
    assert_eq!(bench.router.announce_move(1, 10, bench.now), 1);
    bench.pass(Duration::from_secs(1));
    assert!(bench.read(id) == reply, "something was put behind the reply");
    bench.pass(Duration::from_secs(1));
    assert_bytes(&bench.read(id), &moving(1, 8));
}

#[test]
fn a_drained_session_waits_no_longer_for_a_blocking_command_after_a_notification() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    bench.say(id, &request(&["BLPOP", "k", "0"]));
    bench.sent(link);
    bench.router.announce_move(1, 10, bench.now);
    bench.router.drain();
    bench.router.leave_waiting();
    assert!(bench.router.link_finishes(link), "the session is still waited for");
    bench.router.link_lost(link, bench.now);
    assert_bytes(&bench.read(id), b"");
    assert_eq!(bench.close(id), CloseReason::Shutdown);
}

#[test]
fn notifications_of_a_server_reach_no_client() {
    let address = b"$10\r\n10.0.0.9:1\r\n".as_slice();
    for name in ["MOVING", "MIGRATING", "MIGRATED", "FAILING_OVER", "FAILED_OVER", "SMIGRATED"] {
        let start = format!(">4\r\n+{name}\r\n:1\r\n:10\r\n");
        let push = [start.as_bytes(), address].concat();
        let start = format!(">4\r\n${}\r\n{name}\r\n:1\r\n:10\r\n", name.len());
        let other_form = [start.as_bytes(), address].concat();
        for push in [push, other_form] {
            for sharing in [Sharing::Off, Sharing::Auto] {
                let mut bench = Bench::with(sharing);
                // In one piece, and byte by byte.
                let (id, link) = asked_over_any_link(&mut bench, sharing);
                bench.say(id, &request(&["GET", "k"]));
                bench.sent(link);
                bench.reply(link, &[&push[..], b"$1\r\nv\r\n", &push].concat());
                for byte in &push {
                    bench.reply(link, &[*byte]);
                }
                assert_bytes(&bench.read(id), b"$1\r\nv\r\n");
                assert!(!bench.router.is_finished(id), "{name}, {sharing:?}");
            }
        }
    }
}

#[test]
fn a_subscriber_gets_messages_and_no_notifications_of_a_server() {
    let mut bench = Bench::new();
    let (id, link) = asked(&mut bench);
    let confirmed = b">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";
    bench.answer(id, link, &request(&["SUBSCRIBE", "news"]), confirmed);
    let message = b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n";
    bench.reply(link, b">4\r\n$6\r\nMOVING\r\n:1\r\n:10\r\n$10\r\n10.0.0.9:1\r\n");
    bench.reply(link, message);
    assert_bytes(&bench.read(id), message);
}

/// Returns a session and its link; in RESP3, if the link is a lease.
fn asked_over_any_link(bench: &mut Bench, sharing: Sharing) -> (SessionId, LinkId) {
    match sharing {
        Sharing::Off => asked(bench),
        Sharing::Auto => bench.session_with_link(),
    }
}
