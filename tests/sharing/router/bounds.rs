//! Limits on what is buffered for a client that does not read or a link that does not answer.

use support::bench::Bench;

const KIB: usize = 1 << 10;

#[test]
fn a_slow_client_pauses_its_own_lease() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    let (other, other_link) = bench.session_with_link();
    bench.say(id, b"GET k\r\n");
    bench.sent(link);
    bench.reply(link, format!("${}\r\n", 1 << 20).as_bytes());
    let mut fed = 0;
    while bench.router.link_wants_read(link, bench.now) {
        bench.reply(link, &[b'v'; 64 * KIB]);
        fed += 64 * KIB;
        assert!(fed < 1 << 20, "the link is read without end");
    }
    assert_eq!(fed, 256 * KIB);
    assert!(bench.router.link_wants_read(other_link, bench.now));
    bench.answer(other, other_link, b"ECHO 1\r\n", b"$1\r\n1\r\n");
    while bench.router.next_touched_link().is_some() {}
    bench.read(id);
    assert_eq!(bench.router.next_touched_link(), Some(link), "the program is notified of the link");
    assert!(bench.router.link_wants_read(link, bench.now));
}

#[test]
fn the_router_stops_reading_a_client_that_reads_nothing() {
    let mut bench = Bench::new();
    let id = bench.authenticated();
    let asks = b"FLUSHALL\r\n".repeat(6000);
    let mut rounds = 0;
    while bench.router.wants_read(id) {
        bench.say(id, &asks);
        rounds += 1;
        assert!(rounds < 1000, "reading from the client never pauses");
        assert!(bench.router.output(id).len() < (1 << 20) + 1000);
    }
    let mut lines = 0;
    while !bench.router.output(id).is_empty() {
        lines += bench.read(id).split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, rounds * 6000, "what waited is answered when there is room");
    assert!(bench.router.wants_read(id));
}

#[test]
fn local_replies_behind_a_silent_link_are_bounded() {
    let mut bench = Bench::new();
    let (id, link) = bench.session_with_link();
    bench.say(id, b"BLPOP k 0\r\n");
    bench.sent(link);
    let asks = b"FLUSHALL\r\n".repeat(6000);
    let mut rounds = 0;
    while bench.router.wants_read(id) {
        bench.say(id, &asks);
        rounds += 1;
        assert!(rounds < 1000, "reading from the client never pauses");
    }
    assert!(bench.read(id).is_empty());
    bench.reply(link, b"*-1\r\n");
    let mut lines = 0;
    while !bench.router.output(id).is_empty() {
        assert!(bench.router.output(id).len() < 6 << 20);
        lines += bench.read(id).split(|byte| *byte == b'\n').count() - 1;
    }
    assert_eq!(lines, rounds * 6000 + 1);
}
