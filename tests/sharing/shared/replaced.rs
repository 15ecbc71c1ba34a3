//! Links that are replaced, because the server may have moved or because of their age.

use std::time::Duration;

use redoubt_core::session::CloseReason;

use crate::places::Places;
use support::bench::assert_bytes;

const OK: &[u8] = b"+OK\r\n";
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn replacing_links_closes_no_session() {
    let mut places = Places::new();
    let (id, common) = places.plain();
    let pooled = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    let (waiting, _) = places.plain();
    let (watching, lease) = places.watching();
    assert_eq!(lease, pooled);
    let spare = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    // A reply is pending on the shared link.
    places.send(waiting, b"GET k\r\n");

    let now = places.bench.now;
    places.bench.router.replace_links(now);
    assert!(places.is_closed(spare) && !places.is_closed(common) && !places.is_closed(lease));
    let other = places.link_of(id);
    assert_ne!(other, common);
    places.bench.reply(common, b"$-1\r\n");
    assert_bytes(&places.bench.read(waiting), b"$-1\r\n");
    assert!(places.is_closed(common), "the link has no pending replies any more");
    assert_eq!(places.link_of(waiting), other);
    // A lease in use stays until it is returned.
    assert_eq!(places.turn(watching, b"GET k\r\n", b"$-1\r\n"), lease);
    assert_eq!(places.turn(watching, b"UNWATCH\r\n", OK), lease);
    assert!(places.is_closed(lease));
    // Links that are opened afterwards stay.
    places.bench.pass(Duration::from_secs(1));
    let fresh = places.turn(id, b"BLPOP k 1\r\n", b"*-1\r\n");
    assert!(!places.is_closed(fresh));
}

#[test]
fn links_are_replaced_for_their_age_at_different_times() {
    const LINKS: usize = 8;
    let mut places = Places::new();
    places.bench.router.set_max_link_age(HOUR);
    let leased: Vec<_> = (0..LINKS).map(|_| places.watching()).collect();
    let (id, common) = places.plain();
    for _ in 0..120 {
        places.bench.pass(Duration::from_secs(26));
        for (session, lease) in &leased {
            assert_eq!(places.turn(*session, b"GET k\r\n", b"$-1\r\n"), *lease);
        }
        assert_eq!(
            places.link_of(id),
            common,
            "a link stays until seven eighths of its maximum age"
        );
    }
    let mut replaced_at = Vec::new();
    for second in 0..HOUR.as_secs() / 8 + 31 {
        places.bench.pass(Duration::from_secs(1));
        for (session, lease) in &leased {
            if !places.is_closed(*lease) {
                // It is in use whatever its age; returning it closes it once it is old.
                let again = places.turn(*session, b"UNWATCH\r\n", OK);
                assert_eq!(again, *lease);
                if places.is_closed(*lease) {
                    replaced_at.push(second);
                } else {
                    assert_eq!(places.turn(*session, b"WATCH k\r\n", OK), *lease);
                }
            }
        }
    }
    assert_ne!(places.plain().1, common);
    assert_eq!(replaced_at.len(), LINKS);
    replaced_at.dedup();
    assert!(replaced_at.len() > LINKS / 2, "at the same moment: {replaced_at:?}");
    places.bench.router.abort_all(CloseReason::Shutdown);
}
