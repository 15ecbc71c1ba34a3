//! How many leases there are, in the pool and in all.

use std::time::Duration;

use redoubt::session::CloseReason;

use crate::bench::{assert_bytes, request};
use crate::places::Places;

#[test]
fn the_pool_is_bounded_and_unused_links_are_closed() {
    let mut places = Places::with_leases(100);
    let sessions: Vec<_> = (0..80).map(|_| places.watching()).collect();
    for (id, lease) in &sessions {
        assert_eq!(places.turn(*id, b"UNWATCH\r\n", b"+OK\r\n"), *lease);
    }
    let open =
        |places: &Places| sessions.iter().filter(|(_, link)| !places.is_closed(*link)).count();
    assert_eq!(open(&places), 64);
    let (_, common) = places.plain();
    places.bench.pass(Duration::from_secs(59));
    assert_eq!(open(&places), 64);
    places.bench.pass(Duration::from_secs(1));
    assert_eq!(open(&places), 0);
    assert!(places.is_closed(common));
}

#[test]
fn at_the_cap_the_session_is_told_as_by_redis_and_closed() {
    let mut places = Places::with_leases(2);
    let (first, _) = places.watching();
    places.watching();
    let (third, common) = places.plain();
    places.bench.say(third, b"GET k\r\n");
    places.bench.say(third, b"WATCH k\r\nGET k\r\n");
    let (link, sent) = places.flush().expect("GET");
    assert_eq!(link, common);
    assert_bytes(&sent, &request(&["GET", "k"]));
    places.bench.reply(common, b"$-1\r\n");
    assert!(places.flush().is_none());
    assert_bytes(&places.bench.read(third), b"$-1\r\n-ERR max number of clients reached\r\n");
    assert_eq!(places.bench.close(third), CloseReason::NoLease);
    // Plain ones are served all the same, and one that is given back can be lent again.
    let (fourth, _) = places.plain();
    places.turn(first, b"UNWATCH\r\n", b"+OK\r\n");
    places.turn(fourth, b"WATCH k\r\n", b"+OK\r\n");
    places.leave(fourth);
    places.watching();
}
