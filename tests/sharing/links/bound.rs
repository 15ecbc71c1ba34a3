//! Slow readers at the limit on links: they never take links that others need.

use std::time::Duration;

use redoubt_core::router::{LinkId, SessionId};
use redoubt_core::session::CloseReason;

use super::with_links;
use crate::places::Places;
use support::bench::{assert_bytes, request};

const MIB: usize = 1 << 20;

/// Returns a client that requests a large value over the shared link, and `length` bytes of it arrive.
fn asks(places: &mut Places, length: usize) -> (SessionId, LinkId) {
    let (id, link) = places.plain();
    places.send(id, b"GET big\r\n");
    places.bench.reply(link, format!("${}\r\n", 10 * MIB).as_bytes());
    places.bench.reply(link, &vec![b'v'; length]);
    (id, link)
}

#[test]
fn slow_readers_get_at_most_a_quarter_of_the_links() {
    let (mut places, budget) = with_links(16);
    let slow: Vec<_> = (0..4).map(|_| asks(&mut places, 2 * MIB)).collect();
    assert_eq!(budget.open(), 4, "each slow reader has retired its link");
    let (fifth, common) = asks(&mut places, 2 * MIB);
    assert_eq!(budget.open(), 5);
    // That link stays in use and is read, so that no session waits for the fifth.
    assert!(places.bench.router.link_wants_read(common, places.bench.now));
    let other = places.bench.authenticated();
    let (link, sent) = places.send(other, b"GET small\r\n");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["GET", "small"]));
    places.bench.reply(common, &vec![b'v'; 8 * MIB]);
    places.bench.reply(common, b"\r\n$5\r\nsmall\r\n");
    assert_bytes(&places.bench.read(other), b"$5\r\nsmall\r\n");
    // The client's next request waits until it has read.
    assert!(places.try_send(fifth, b"GET k\r\n").is_none());
    places.bench.read(fifth);
    let (link, _) = places.flush().expect("the next request");
    assert_eq!(link, common, "the session uses the shared link");
    // When another client is done with its link, a link is available again.
    let (first, retired) = slow[0];
    places.leave(first);
    places.bench.reply(retired, &vec![b'v'; 8 * MIB]);
    places.bench.reply(retired, b"\r\n");
    assert!(places.is_closed(retired));
    places.bench.router.forget_link(retired);
    places.bench.reply(common, b"$-1\r\n");
    places.bench.read(fifth);
    assert_eq!(budget.open(), 4);
    let own = places.turn(fifth, b"GET k\r\n", b"$-1\r\n");
    assert_ne!(own, common);
}

#[test]
fn a_slow_reader_without_a_lease_is_closed_at_the_output_limit() {
    let (mut places, _) = with_links(4);
    let held: Vec<_> = (0..3).map(|_| places.watching()).collect();
    let (slow, common) = places.plain();
    places.send(slow, b"GET big\r\n");
    places.bench.reply(common, format!("${}\r\n", 64 * MIB).as_bytes());
    for _ in 0..64 {
        assert!(places.bench.router.link_wants_read(common, places.bench.now));
        places.bench.reply(common, &vec![b'v'; MIB]);
    }
    assert_eq!(places.bench.close(slow), CloseReason::OutputLimit);
    places.bench.reply(common, b"\r\n");
    assert_eq!(places.plain().1, common);
    drop(held);
}

#[test]
fn at_the_link_limit_a_slow_reader_yields_its_link_to_a_lease() {
    let (mut places, budget) = with_links(4);
    let (slow, retired) = asks(&mut places, 2 * MIB);
    let (plain, common) = places.plain();
    assert_ne!(common, retired);
    places.watching();
    places.watching();
    assert_eq!(budget.open(), 4);
    let (_, lease) = places.watching();
    assert!(places.is_closed(retired) && lease != retired);
    assert_eq!(budget.open(), 4);
    assert_eq!(places.bench.close(slow), CloseReason::LinkLimit);
    assert_eq!(places.link_of(plain), common);
    places.bench.router.forget_link(retired);
    assert_eq!(budget.open(), 4);
}

#[test]
fn near_the_link_limit_a_heavy_reader_returns_its_lease_at_once() {
    let (mut places, budget) = with_links(8);
    let (heavy, retired) = asks(&mut places, 2 * MIB);
    places.bench.read(heavy);
    places.bench.reply(retired, &vec![b'v'; 8 * MIB]);
    places.bench.reply(retired, b"\r\n");
    places.bench.read(heavy);
    places.bench.router.forget_link(retired);
    let own = places.turn(heavy, b"GET k\r\n", b"$-1\r\n");
    places.bench.pass(Duration::from_secs(1));
    assert_eq!(places.link_of(heavy), own, "far from the limit the session keeps its lease");
    let _held: Vec<_> = (0..5).map(|_| places.watching()).collect();
    assert_eq!(budget.open(), 6);
    places.bench.pass(Duration::from_millis(200));
    assert!(places.is_closed(own));
    assert_ne!(places.link_of(heavy), own);
}
