//! The exchange by hand: order, bounds, time and ends. The simulation does the same at random.

#[path = "core_exchange/bench.rs"]
mod bench;

use std::time::Duration;

use bench::{Bench, CLIENT_PASSWORD, TIMEOUTS, assert_bytes, request};
use redoubt::exchange::{LinkFault, LinkLimits, Sharing};
use redoubt::session::CloseReason;
use redoubt::upstream::Credentials;

const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n";
const KIB: usize = 1 << 10;

/// Local and remote requests by turns, and the replies that must come of them.
fn mixed() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut said, mut sent, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..40 {
        let word = format!("turn {turn}");
        said.extend(request(&["ECHO", &word]));
        sent.extend(request(&["ECHO", &word]));
        heard.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
        if turn % 3 == 0 {
            said.extend(format!("flushall {turn}\r\n").bytes());
            heard.extend(
                format!("-ERR unknown command 'flushall', with args beginning with: '{turn}' \r\n")
                    .bytes(),
            );
        }
        if turn % 4 == 0 {
            said.extend(request(&["AUTH", CLIENT_PASSWORD]));
            heard.extend(b"+OK\r\n");
        }
    }
    (said, sent, heard)
}

#[test]
fn replies_come_in_order_for_any_segments() {
    let (said, sent, heard) = mixed();
    let replies = heard
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"-") && !line.starts_with(b"+"))
        .collect::<Vec<_>>()
        .concat();
    for (client, link_in, link_out) in [(1, 1, 1), (3, 7, 2), (1000, 1, 1000), (17, 1000, 1000)] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        let mut got = Vec::new();
        let mut written = Vec::new();
        for piece in said.chunks(client) {
            bench.say(id, piece);
            while !bench.exchange.link_output(link).is_empty() {
                let output = bench.exchange.link_output(link);
                let piece = output[..output.len().min(link_out)].to_vec();
                bench.exchange.link_wrote(link, piece.len(), bench.now);
                written.extend(piece);
            }
        }
        for piece in replies.chunks(link_in) {
            bench.reply(link, piece);
            got.extend(bench.read(id));
        }
        assert_bytes(&written, &sent);
        assert_bytes(&got, &heard);
    }
}

#[test]
fn a_message_is_not_torn_by_a_reply() {
    for (said, answer) in [
        (
            &b"FLUSHALL\r\n"[..],
            &b"-ERR unknown command 'FLUSHALL', with args beginning with: \r\n"[..],
        ),
        (b"QUIT\r\n", b"+OK\r\n"),
        (b"RESET\r\n", b"+RESET\r\n"),
        (b"*1\r\n+PING\r\n", b"-ERR Protocol error: expected '$', got '+'\r\n"),
    ] {
        for cut in 1..MESSAGE.len() {
            let mut bench = Bench::new();
            let (id, link) = bench.session_with_link();
            bench.answer(id, link, b"SUBSCRIBE a\r\n", SUBSCRIBED);
            bench.reply(link, &MESSAGE[..cut]);
            bench.say(id, said);
            let mut heard = bench.read(id);
            bench.reply(link, &MESSAGE[cut..]);
            heard.extend(bench.read(id));
            let whole = [MESSAGE, answer].concat();
            // What was not begun may come after the reply, or not at all when the reply was the last.
            let turned = [answer, MESSAGE].concat();
            let fits = heard == whole || heard == turned || heard == answer;
            assert!(fits, "cut at {cut}: {}", heard.escape_ascii());
        }
    }
}

#[test]
fn nothing_is_said_after_the_last_reply() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.answer(id, link, b"SUBSCRIBE a\r\n", SUBSCRIBED);
    bench.say(id, b"PING\r\nQUIT\r\n");
    bench.sent(link);
    bench.reply(link, &[b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", &MESSAGE[..25]].concat());
    assert_bytes(&bench.read(id), b"*2\r\n$4\r\npong\r\n$0\r\n\r\n+OK\r\n");
    assert_eq!(bench.close(id), CloseReason::Quit);
    assert!(bench.exchange.link_is_closed(link));
}

#[test]
fn quit_waits_for_what_is_due_and_takes_nothing_more() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nQUIT\r\nECHO 2\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    assert!(!bench.exchange.is_finished(id));
    assert!(bench.exchange.wants_read(id), "so that its going is noticed");
    bench.say(id, b"ECHO 3\r\n");
    bench.reply(link, b"$1\r\n1\r\n");
    assert!(!bench.exchange.is_finished(id), "its replies have not left");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n+OK\r\n");
    assert!(bench.sent(link).is_empty());
    assert_eq!(bench.close(id), CloseReason::Quit);
    assert!(bench.exchange.link_is_closed(link));
    bench.exchange.forget_link(link);
    assert_eq!(bench.exchange.link_count(), 0);
}

#[test]
fn reset_lets_the_link_go_and_needs_a_new_login() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nMULTI\r\nRESET\r\nPING\r\n");
    assert_bytes(&bench.sent(link), &[request(&["ECHO", "1"]), request(&["MULTI"])].concat());
    assert!(!bench.exchange.link_is_closed(link), "replies are due on it");
    bench.reply(link, b"$1\r\n1\r\n+OK\r\n");
    assert_bytes(
        &bench.read(id),
        b"$1\r\n1\r\n+OK\r\n+RESET\r\n-NOAUTH Authentication required.\r\n",
    );
    assert!(bench.exchange.link_is_closed(link));
    bench.exchange.forget_link(link);
    bench.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
    bench.say(id, b"FLUSHALL\r\nPING\r\n");
    // The transaction is over: the refusal is answered here.
    let fresh = bench.link();
    assert_ne!(fresh, link);
    assert_bytes(&bench.sent(fresh), &request(&["PING"]));
    bench.reply(fresh, b"+PONG\r\n");
    assert_bytes(
        &bench.read(id),
        b"+OK\r\n-ERR unknown command 'FLUSHALL', with args beginning with: \r\n+PONG\r\n",
    );
}

#[test]
fn client_reply_hides_replies_and_no_link_hears_of_it() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(
        id,
        b"ECHO 1\r\nCLIENT REPLY SKIP\r\nECHO 2\r\nECHO 3\r\nCLIENT REPLY OFF\r\nECHO 4\r\nFLUSHALL\r\n\
          CLIENT REPLY SKIP\r\nECHO 5\r\nCLIENT REPLY ON\r\nECHO 6\r\nCLIENT REPLY SKIP\r\nFLUSHALL\r\n\
          FLUSHDB\r\nCLIENT REPLY MAYBE\r\n",
    );
    let echoes = ["1", "2", "3", "4", "5", "6"];
    assert_bytes(&bench.sent(link), &echoes.map(|word| request(&["ECHO", word])).concat());
    bench.reply(link, &echoes.map(|word| format!("$1\r\n{word}\r\n").into_bytes()).concat());
    assert_bytes(
        &bench.read(id),
        b"$1\r\n1\r\n$1\r\n3\r\n+OK\r\n$1\r\n6\r\n-ERR unknown command 'FLUSHDB', with args beginning \
          with: \r\n-ERR syntax error\r\n",
    );
}

#[test]
fn unsubscribe_from_all_is_answered_once_for_each() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SUBSCRIBE a b\r\nPSUBSCRIBE p*\r\nUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nGET k\r\nFLUSHALL\r\n");
    let confirmations = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n\
        *3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:3\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:2\r\n\
        *3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n\
        *3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$12\r\npunsubscribe\r\n$2\r\np*\r\n:0\r\n\
        *3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n*2\r\n$7\r\nmessage\r\n$1\r\na\r\n";
    bench.sent(link);
    for byte in confirmations {
        bench.reply(link, &[*byte]);
    }
    let heard = bench.read(id);
    let last = b"-ERR unknown command 'FLUSHALL', with args beginning with: \r\n";
    assert_bytes(&heard, &[&confirmations[..], last].concat());
    // Not subscribed any more, so an unexpected message ends it.
    assert!(bench.exchange.link_bytes(link, MESSAGE, bench.now).is_err());
}

#[test]
fn a_stream_is_passed_on_unread() {
    for begin in [&b"MONITOR\r\n"[..], b"MULTI\r\nSUBSCRIBE a\r\n"] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        bench.say(id, begin);
        bench.sent(link);
        if begin.starts_with(b"MULTI") {
            bench.reply(link, b"+OK\r\n");
            bench.sent(link);
            bench.read(id);
        }
        let stream: &[u8] = b"+OK\r\n+1.2 [0 x] \"get\" \"k\"\r\n\x00not RESP at all";
        for byte in stream {
            bench.reply(link, &[*byte]);
        }
        assert_bytes(&bench.read(id), stream);
        bench.say(id, b"PING\r\n");
        assert_bytes(&bench.sent(link), &request(&["PING"]));
        // There is no telling where its answer would go.
        bench.say(id, b"FLUSHALL\r\n");
        assert!(bench.sent(link).is_empty());
        assert_eq!(bench.close(id), CloseReason::Unorderable);
    }
}

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
fn a_link_that_is_not_let_in_can_log_in_anew_with_its_requests() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"ECHO 1\r\n");
    let link = bench.exchange.next_link_to_open().unwrap();
    bench.exchange.link_connected(link);
    bench.sent(link);
    let outcome = bench.exchange.link_bytes(link, b"-WRONGPASS no\r\n", bench.now);
    assert!(matches!(outcome, Err(LinkFault::Login(_))), "{outcome:?}");
    let credentials = Credentials { user: Some("guard".into()), password: Some("new".into()) };
    bench.exchange.replace_credentials(credentials);
    bench.exchange.link_connected(link);
    assert_bytes(&bench.sent(link), &request(&["AUTH", "guard", "new"]));
    bench.reply(link, b"+OK\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n");
}

#[test]
fn links_that_scripts_wait_or_run_on_are_given_up_and_no_others() {
    let mut bench = Bench::with(Sharing::Auto(LinkLimits { leases: 10 }));
    let (plain, script) = (bench.authenticated(), bench.authenticated());
    bench.say(plain, b"ECHO 1\r\n");
    bench.say(script, b"MULTI\r\nEVAL return 0\r\n");
    bench.exchange.drop_links_with_scripts(bench.now);
    assert_eq!(bench.close(script), CloseReason::UpstreamUnavailable);
    let link = bench.exchange.next_link_to_open().unwrap();
    bench.exchange.link_connected(link);
    bench.sent(link);
    bench.reply(link, b"+OK\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    let given_up = bench.exchange.next_link_to_open().unwrap();
    assert!(bench.exchange.link_is_closed(given_up));
    bench.say(plain, b"EVAL 1 0\r\n");
    assert!(bench.exchange.next_link_to_open().is_none(), "nothing moves while a reply is due");
    bench.exchange.drop_links_with_scripts(bench.now);
    bench.reply(link, b"$1\r\n1\r\n");
    assert_bytes(&bench.read(plain), b"$1\r\n1\r\n");
    let script = bench.exchange.next_link_to_open().unwrap();
    bench.exchange.link_connected(script);
    bench.sent(script);
    bench.reply(script, b"+OK\r\n");
    assert_bytes(&bench.sent(script), &request(&["EVAL", "1", "0"]));
    bench.exchange.drop_links_with_scripts(bench.now);
    assert_eq!(bench.close(plain), CloseReason::UpstreamLost);
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
fn a_large_request_is_streamed() {
    const SIZE: usize = 20 << 20;
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let head = format!("ECHO 1\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${SIZE}\r\n");
    bench.say(id, head.as_bytes());
    let piece = vec![b'x'; 64 * KIB];
    let (mut said, mut sent, mut paused) = (0, 0, 0);
    while said < SIZE {
        if bench.exchange.wants_read(id) {
            bench.say(id, &piece);
            said += piece.len();
        } else {
            paused += 1;
            sent += bench.sent(link).len();
        }
        assert!(bench.exchange.link_output(link).len() <= (256 + 128) * KIB);
        // What has not left is in one of two bounded buffers.
        assert!(said - sent.min(said) <= (256 + 256) * KIB);
    }
    assert!(paused > 10, "a link that is not written must hold the client up");
    bench.say(id, b"\r\nECHO 2\r\n");
    sent += bench.sent(link).len();
    let expected = request(&["ECHO", "1"]).len()
        + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20971520\r\n".len()
        + SIZE
        + 2
        + request(&["ECHO", "2"]).len();
    assert_eq!(sent, expected);
    bench.reply(link, b"$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
}

#[test]
fn a_large_refused_request_is_dropped_and_answered() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\n*2\r\n$8\r\nFLUSHALL\r\n$300000\r\n");
    for _ in 0..30 {
        bench.say(id, &[b'x'; 10_000]);
    }
    bench.say(id, b"\r\nECHO 2\r\n");
    assert_bytes(&bench.sent(link), &["1", "2"].map(|word| request(&["ECHO", word])).concat());
    bench.reply(link, b"$1\r\n1\r\n$1\r\n2\r\n");
    let heard = String::from_utf8(bench.read(id)).unwrap();
    let x = "x".repeat(128);
    assert!(heard.starts_with(&format!(
        "$1\r\n1\r\n-ERR unknown command 'FLUSHALL', with args beginning with: '{x}"
    )));
    assert!(heard.ends_with("' \r\n$1\r\n2\r\n"), "{heard}");
}

/// The decision is put off until the confirmation has come, with the request's beginning at hand.
#[test]
fn a_large_request_may_have_to_wait() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SUBSCRIBE a\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$100000\r\n");
    bench.say(id, &[b'x'; 70_000]);
    assert!(!bench.exchange.wants_read(id));
    assert_bytes(&bench.sent(link), &request(&["SUBSCRIBE", "a"]));
    bench.reply(link, SUBSCRIBED);
    assert!(bench.exchange.wants_read(id));
    bench.say(id, &[b'x'; 30_000]);
    bench.say(id, b"\r\n");
    let large = "x".repeat(100_000);
    assert_bytes(&bench.sent(link), &request(&["CLIENT", "REPLY", &large]));
    bench.reply(link, b"-ERR Can't execute\r\n");
    assert_bytes(&bench.read(id), &[SUBSCRIBED, b"-ERR Can't execute\r\n"].concat());
}

#[test]
fn a_slow_client_holds_its_own_link_up() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let (other, other_link) = bench.session_with_link();
    bench.say(id, b"GET k\r\n");
    bench.sent(link);
    bench.reply(link, format!("${}\r\n", 1 << 20).as_bytes());
    let mut fed = 0;
    while bench.exchange.link_wants_read(link, bench.now) {
        bench.reply(link, &[b'v'; 64 * KIB]);
        fed += 64 * KIB;
        assert!(fed < 1 << 20, "the link is read without end");
    }
    assert_eq!(fed, 256 * KIB);
    assert!(bench.exchange.link_wants_read(other_link, bench.now));
    bench.answer(other, other_link, b"ECHO 1\r\n", b"$1\r\n1\r\n");
    while bench.exchange.next_touched_link().is_some() {}
    bench.read(id);
    assert_eq!(bench.exchange.next_touched_link(), Some(link), "its driver must look again");
    assert!(bench.exchange.link_wants_read(link, bench.now));
}

#[test]
fn a_client_that_reads_nothing_is_not_read() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    let asks = b"FLUSHALL\r\n".repeat(6000);
    let mut rounds = 0;
    while bench.exchange.wants_read(id) {
        bench.say(id, &asks);
        rounds += 1;
        assert!(rounds < 1000, "the client is read without end");
        assert!(bench.exchange.output(id).len() < (1 << 20) + 1000);
    }
    let mut lines = 0;
    while !bench.exchange.output(id).is_empty() {
        lines += bench.read(id).split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, rounds * 6000, "what waited is answered when there is room");
    assert!(bench.exchange.wants_read(id));
}

#[test]
fn a_link_that_does_not_answer_holds_local_replies_back_within_bounds() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"BLPOP k 0\r\n");
    bench.sent(link);
    let asks = b"FLUSHALL\r\n".repeat(6000);
    let mut rounds = 0;
    while bench.exchange.wants_read(id) {
        bench.say(id, &asks);
        rounds += 1;
        assert!(rounds < 1000, "the client is read without end");
    }
    assert!(bench.read(id).is_empty());
    bench.reply(link, b"*-1\r\n");
    let mut lines = 0;
    while !bench.exchange.output(id).is_empty() {
        assert!(bench.exchange.output(id).len() < 6 << 20);
        lines += bench.read(id).split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, rounds * 6000 + 1);
}

#[test]
fn the_login_has_a_time_limit() {
    let mut bench = Bench::new();
    let late = bench.open();
    let timely = bench.open();
    bench.pass(TIMEOUTS.auth - Duration::from_millis(1));
    bench.say(late, b"PING\r\n");
    bench.say(timely, &request(&["AUTH", CLIENT_PASSWORD]));
    bench.pass(Duration::from_millis(1));
    assert!(!bench.exchange.is_finished(timely));
    assert_eq!(bench.close(late), CloseReason::AuthTimeout);
    // RESET starts it anew.
    bench.pass(TIMEOUTS.auth);
    bench.say(timely, b"RESET\r\n");
    bench.pass(TIMEOUTS.auth - Duration::from_millis(1));
    bench.say(timely, b"RESET\r\n");
    assert!(!bench.exchange.is_finished(timely));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.close(timely), CloseReason::AuthTimeout, "a second RESET gains no time");
}

#[test]
fn silence_has_a_time_limit_unless_something_is_awaited() {
    let mut bench = Bench::new();
    let silent = bench.authenticated();
    let (waits, waits_link) = bench.session_with_link();
    let (listens, listens_link) = bench.session_with_link();
    bench.say(waits, b"BLPOP k 0\r\n");
    bench.sent(waits_link);
    bench.answer(listens, listens_link, b"SUBSCRIBE a\r\n", SUBSCRIBED);
    bench.pass(TIMEOUTS.idle - Duration::from_millis(1));
    assert!(!bench.exchange.is_finished(silent));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.close(silent), CloseReason::Idle);
    bench.pass(TIMEOUTS.idle * 10);
    assert!(!bench.exchange.is_finished(waits) && !bench.exchange.is_finished(listens));
    bench.reply(waits_link, b"*-1\r\n");
    bench.read(waits);
    bench.pass(TIMEOUTS.idle);
    assert_eq!(bench.close(waits), CloseReason::Idle);
}

#[test]
fn last_replies_may_stay_unread_for_a_while_only() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    bench.say(id, b"QUIT\r\n");
    bench.pass(Duration::from_secs(29));
    assert!(!bench.exchange.is_finished(id));
    assert_bytes(bench.exchange.output(id), b"+OK\r\n");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.close(id), CloseReason::Quit);
}

#[test]
fn a_drain_finishes_what_is_due_and_takes_nothing_new() {
    let mut bench = Bench::new();
    let idle = bench.authenticated();
    let (busy, busy_link) = bench.session_with_link();
    let (streams, streams_link) = bench.session_with_link();
    bench.say(busy, b"ECHO 1\r\n");
    bench.sent(busy_link);
    bench.say(streams, b"*2\r\n$4\r\nECHO\r\n$70000\r\n");
    bench.say(streams, &[b'x'; 69_000]);
    bench.exchange.drain();
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
fn a_client_that_sends_no_more_gets_what_it_asked_for() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nECHO 2\r\nECH");
    bench.exchange.client_eof(id, bench.now);
    assert!(!bench.exchange.wants_read(id));
    bench.sent(link);
    bench.reply(link, b"$1\r\n1\r\n$1\r\n2\r\n");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n$1\r\n2\r\n");
    assert_eq!(bench.close(id), CloseReason::Client);
}

#[test]
fn nothing_is_popped_for_a_client_that_is_gone() {
    for written in [true, false] {
        let mut bench = Bench::new();
        let (id, link) = bench.session_with_link();
        bench.say(id, b"ECHO 1\r\nBLPOP k 0\r\n");
        if written {
            bench.sent(link);
        }
        bench.exchange.client_eof(id, bench.now);
        assert_eq!(bench.close(id), CloseReason::Client);
        assert!(bench.exchange.link_is_closed(link));
        assert!(bench.exchange.link_output(link).is_empty());
    }
}
