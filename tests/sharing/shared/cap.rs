//! The number of leases in the pool.

use std::time::Duration;

use crate::places::Places;

#[test]
fn the_lease_pool_is_bounded_and_unused_links_are_closed() {
    let mut places = Places::new();
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
