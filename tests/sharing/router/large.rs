//! Requests that are forwarded before they are complete.

use support::bench::{Bench, assert_bytes, request};

const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const KIB: usize = 1 << 10;

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
        if bench.router.wants_read(id) {
            bench.say(id, &piece);
            said += piece.len();
        } else {
            paused += 1;
            sent += bench.sent(link).len();
        }
        assert!(bench.router.link_output(link).len() <= (256 + 128) * KIB);
        // The bytes that have not been sent are in one of two bounded buffers.
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
fn a_large_refused_request_is_discarded_and_answered() {
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

/// The decision is postponed until the confirmation has arrived, with the request's beginning buffered.
#[test]
fn a_large_request_waits_for_pending_confirmations() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"SUBSCRIBE a\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$100000\r\n");
    bench.say(id, &[b'x'; 70_000]);
    assert!(!bench.router.wants_read(id));
    assert_bytes(&bench.sent(link), &request(&["SUBSCRIBE", "a"]));
    bench.reply(link, SUBSCRIBED);
    assert!(bench.router.wants_read(id));
    bench.say(id, &[b'x'; 30_000]);
    bench.say(id, b"\r\n");
    let large = "x".repeat(100_000);
    assert_bytes(&bench.sent(link), &request(&["CLIENT", "REPLY", &large]));
    bench.reply(link, b"-ERR Can't execute\r\n");
    assert_bytes(&bench.read(id), &[SUBSCRIBED, b"-ERR Can't execute\r\n"].concat());
}
