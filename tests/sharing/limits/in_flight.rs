//! The limit on pending replies.

use super::limited;
use support::bench::{assert_bytes, request};

const GET: &[u8] = b"GET k\r\n";

#[test]
fn a_session_at_the_in_flight_limit_is_not_read() {
    for most in [1, 2, 3, 50] {
        let mut places = limited(|limits| limits.in_flight = most);
        let (id, link) = places.plain();
        let most = usize::try_from(most).unwrap();
        let one = request(&["GET", "k"]);
        let (_, sent) = places.send(id, &GET.repeat(most));
        assert_bytes(&sent, &one.repeat(most));
        // The session holds no request back yet, so no event is needed when the next can be taken.
        assert!(places.bench.router.wants_read(id));
        assert_eq!(places.bench.router.pauses().in_flight, 0);
        assert!(places.try_send(id, &GET.repeat(10)).is_none());
        assert!(!places.bench.router.wants_read(id));
        // Each reply makes room for one request.
        for left in (0..10).rev() {
            places.bench.reply(link, b"$-1\r\n");
            assert_bytes(&places.bench.sent(link), &one);
            assert_eq!(places.bench.router.wants_read(id), left == 0);
        }
        places.bench.reply(link, &b"$-1\r\n".repeat(most));
        assert_bytes(&places.bench.read(id), &b"$-1\r\n".repeat(10 + most));
        assert!(places.bench.router.pauses().in_flight > 0);
        assert_eq!(places.bench.router.pauses().rate, 0);
    }
}

#[test]
fn only_waiting_local_replies_count_as_in_flight() {
    let mut places = limited(|limits| limits.in_flight = 3);
    let (id, link) = places.plain();
    let refused =
        |n| format!("-ERR unknown command 'CONFIG', with args beginning with: '{n}' \r\n");
    let said: String = (0..9).map(|n| format!("CONFIG {n}\r\n")).collect();
    places.local(id, said.as_bytes(), (0..9).map(refused).collect::<String>().as_bytes());
    let (_, sent) = places.send(id, b"GET k\r\nCONFIG 0\r\nCONFIG 1\r\nGET l\r\n");
    assert_bytes(&sent, &request(&["GET", "k"]));
    assert!(!places.bench.router.wants_read(id));
    places.bench.reply(link, b"$-1\r\n");
    assert_bytes(&places.bench.sent(link), &request(&["GET", "l"]));
    let heard = format!("$-1\r\n{}{}", refused(0), refused(1));
    assert_bytes(&places.bench.read(id), heard.as_bytes());
    assert!(places.bench.router.wants_read(id));
}

#[test]
fn preparing_a_lease_at_the_in_flight_limit_does_not_stop_the_session() {
    let mut places = limited(|limits| limits.in_flight = 1);
    let (id, _) = places.plain();
    places.local(id, b"CLIENT SETNAME me\r\n", b"+OK\r\n");
    places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    places.turn(id, b"MULTI\r\n", b"+OK\r\n");
    places.turn(id, b"EXEC\r\n", b"*0\r\n");
    places.turn(id, b"GET k\r\n", b"$-1\r\n");
}

#[test]
fn a_large_request_begins_only_below_the_in_flight_limit() {
    let mut places = limited(|limits| limits.in_flight = 1);
    let (id, common) = places.plain();
    places.send(id, GET);
    let large = request(&["SET", "k", &"v".repeat(100_000)]);
    assert!(places.try_send(id, &large).is_none());
    assert!(!places.bench.router.wants_read(id));
    places.bench.reply(common, b"$-1\r\n");
    let (link, sent) = places.flush().expect("the large request is sent");
    assert_bytes(&sent, &large);
    places.bench.reply(link, b"+OK\r\n");
    assert_bytes(&places.bench.read(id), b"$-1\r\n+OK\r\n");
}

#[test]
fn the_in_flight_limit_of_a_session_does_not_delay_others_on_the_link() {
    let mut places = limited(|limits| limits.in_flight = 2);
    let (many, common) = places.plain();
    let (other, _) = places.plain();
    places.send(many, &GET.repeat(10));
    let (link, sent) = places.send(other, b"GET o\r\n");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["GET", "o"]));
    places.bench.reply(common, b"$-1\r\n$-1\r\n$1\r\no\r\n");
    assert_bytes(&places.bench.read(other), b"$1\r\no\r\n");
}
