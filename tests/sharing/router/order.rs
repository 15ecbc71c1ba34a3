//! The order of replies, and the bytes after the last reply.

use redoubt_core::session::CloseReason;

use support::bench::{Bench, CLIENT_PASSWORD, assert_bytes, request};

const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n";

/// Returns local and remote requests in alternation, and their replies.
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
fn replies_arrive_in_order_for_any_segments() {
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
            while !bench.router.link_output(link).is_empty() {
                let output = bench.router.link_output(link);
                let piece = output[..output.len().min(link_out)].to_vec();
                bench.router.link_output_written(link, piece.len(), bench.now);
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
fn a_message_is_not_interrupted_by_a_local_reply() {
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
            // A message that has not begun may come after the reply, or not at all if that was the last
            // reply.
            let turned = [answer, MESSAGE].concat();
            let fits = heard == whole || heard == turned || heard == answer;
            assert!(fits, "cut at {cut}: {}", heard.escape_ascii());
        }
    }
}

#[test]
fn no_byte_follows_the_last_reply() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.answer(id, link, b"SUBSCRIBE a\r\n", SUBSCRIBED);
    bench.say(id, b"PING\r\nQUIT\r\n");
    bench.sent(link);
    bench.reply(link, &[b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", &MESSAGE[..25]].concat());
    assert_bytes(&bench.read(id), b"*2\r\n$4\r\npong\r\n$0\r\n\r\n+OK\r\n");
    assert_eq!(bench.close(id), CloseReason::Quit);
    assert!(bench.router.link_is_closed(link));
}

#[test]
fn quit_waits_for_pending_replies_and_takes_no_more_requests() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nQUIT\r\nECHO 2\r\n");
    assert_bytes(&bench.sent(link), &request(&["ECHO", "1"]));
    assert!(!bench.router.is_finished(id));
    assert!(bench.router.wants_read(id), "the client is read, so that its close is noticed");
    bench.say(id, b"ECHO 3\r\n");
    bench.reply(link, b"$1\r\n1\r\n");
    assert!(!bench.router.is_finished(id), "its replies have not left");
    assert_bytes(&bench.read(id), b"$1\r\n1\r\n+OK\r\n");
    assert!(bench.sent(link).is_empty());
    assert_eq!(bench.close(id), CloseReason::Quit);
    assert!(bench.router.link_is_closed(link));
    bench.router.forget_link(link);
    assert_eq!(bench.router.link_count(), 0);
}

#[test]
fn reset_gives_up_the_lease_and_requires_a_new_login() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"ECHO 1\r\nMULTI\r\nRESET\r\nPING\r\n");
    assert_bytes(&bench.sent(link), &[request(&["ECHO", "1"]), request(&["MULTI"])].concat());
    assert!(!bench.router.link_is_closed(link), "replies are due on it");
    bench.reply(link, b"$1\r\n1\r\n+OK\r\n");
    assert_bytes(
        &bench.read(id),
        b"$1\r\n1\r\n+OK\r\n+RESET\r\n-NOAUTH Authentication required.\r\n",
    );
    assert!(bench.router.link_is_closed(link));
    bench.router.forget_link(link);
    bench.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
    bench.say(id, b"FLUSHALL\r\nPING\r\n");
    // The transaction is over: Redoubt answers the refused command.
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
fn client_reply_hides_replies_and_reaches_no_link() {
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
fn unsubscribe_from_all_gets_one_reply_per_channel() {
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
    // The session is not subscribed any more, so an unexpected message ends it.
    assert!(bench.router.link_bytes(link, MESSAGE, bench.now).is_err());
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
        // The place of its reply in the stream is unknown.
        bench.say(id, b"FLUSHALL\r\n");
        assert!(bench.sent(link).is_empty());
        assert_eq!(bench.close(id), CloseReason::Unorderable);
    }
}
