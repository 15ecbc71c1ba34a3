//! Shared links that owe a reply for too long.

use std::time::Duration;

use redoubt_core::router::Stalled;
use redoubt_core::session::CloseReason;

use crate::places::Places;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Advances the time by ticks of 200 ms.
fn ticks(places: &mut Places, number: u32) {
    for _ in 0..number {
        places.bench.pass(Duration::from_millis(200));
    }
}

fn stalled(places: &mut Places) -> Vec<Stalled> {
    places.bench.router.close_stalled(TIMEOUT, places.bench.now)
}

#[test]
fn a_stalled_shared_link_is_closed_with_its_waiting_sessions() {
    let mut places = Places::new();
    let (first, common) = places.plain();
    let (behind, _) = places.plain();
    let (other, _) = places.plain();
    let lease = places.turn(other, b"WATCH k\r\n", b"+OK\r\n");
    let (link, _) = places.send(first, b"GET k\r\n");
    places.send(behind, b"GET k\r\n");
    places.send(other, b"GET k\r\n");
    ticks(&mut places, 50);
    assert!(stalled(&mut places).is_empty(), "the time counts from the first tick");
    ticks(&mut places, 1);
    let closed = stalled(&mut places);
    assert_eq!(closed, [Stalled { first: Some(first), sessions: 2 }]);
    assert!(places.is_closed(link) && !places.is_closed(lease), "a lease may wait");
    for id in [first, behind] {
        assert_eq!(places.bench.close(id), CloseReason::UpstreamStalled);
    }
    let (_, fresh) = places.plain();
    assert_ne!(fresh, common);
}

#[test]
fn a_link_that_delivers_bytes_does_not_count_as_stalled() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let (link, _) = places.send(id, b"GET k\r\n");
    places.bench.reply(link, b"$1000\r\n");
    for _ in 0..10 {
        ticks(&mut places, 40);
        places.bench.reply(link, &[b'v'; 10]);
        assert!(stalled(&mut places).is_empty());
    }
}

#[test]
fn a_link_paused_for_a_slow_reader_does_not_count_as_stalled() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    let (link, _) = places.send(id, b"GET k\r\n");
    places.bench.reply(link, b"$10000000\r\n");
    places.bench.reply(link, &vec![b'v'; 2 << 20]);
    assert!(!places.bench.router.link_wants_read(link, places.bench.now));
    ticks(&mut places, 100);
    assert!(stalled(&mut places).is_empty());
}

#[test]
fn time_in_which_redoubt_did_not_run_does_not_count_as_stalled() {
    let mut places = Places::new();
    let (id, _) = places.plain();
    places.send(id, b"GET k\r\n");
    ticks(&mut places, 10);
    places.bench.pass(Duration::from_secs(60));
    assert!(stalled(&mut places).is_empty());
}
