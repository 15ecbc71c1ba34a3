//! The limit on links over all workers, and what happens at the limit.

use std::time::Duration;

use redoubt_core::session::CloseReason;

use super::with_links;
use crate::places::Places;
use support::bench::{assert_bytes, request};

#[test]
fn at_the_link_limit_a_session_gets_redis_error_and_is_closed() {
    let (mut places, budget) = with_links(4);
    let (first, lease) = places.watching();
    places.watching();
    places.watching();
    let refused = places.bench.authenticated();
    assert!(places.try_send(refused, b"WATCH k\r\n").is_none(), "a place is kept for shared links");
    assert_eq!(budget.open(), 3);
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
    // Plain requests are served nevertheless, and the place of a returned lease can be taken again.
    let (fourth, _) = places.plain();
    places.turn(first, b"UNWATCH\r\n", b"+OK\r\n");
    assert!(places.is_closed(lease), "near the limit no lease stays in the pool");
    places.bench.router.forget_link(lease);
    let own = places.turn(fourth, b"WATCH k\r\n", b"+OK\r\n");
    places.leave(fourth);
    places.bench.router.forget_link(own);
    places.watching();
    assert_eq!(budget.open(), 4);
}

#[test]
fn a_pooled_lease_is_closed_for_a_lease_of_another_protocol() {
    let (mut places, budget) = with_links(100);
    let (first, pooled) = places.watching();
    let _held: Vec<_> = (0..3).map(|_| places.watching()).collect();
    let (late, _) = places.plain();
    places.turn(first, b"UNWATCH\r\n", b"+OK\r\n");
    assert!(places.flush().is_none(), "the lease is proved clean without a request");
    assert!(!places.is_closed(pooled), "far from the limit the lease stays in the pool");
    places.bench.say(late, b"HELLO 3\r\n");
    while let Some((link, _)) = places.flush() {
        places.bench.reply(link, b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
    }
    places.bench.read(late);
    budget.set_most(budget.open());
    let open = budget.open();
    let lease = places.turn(late, b"WATCH k\r\n", b"+OK\r\n");
    assert!(lease != pooled && places.is_closed(pooled));
    assert_eq!(budget.open(), open, "the place of the closed link went to the new link");
    places.bench.router.forget_link(pooled);
    assert_eq!(budget.open(), open);
}

#[test]
fn links_are_counted_over_all_workers() {
    let (mut one, budget) = with_links(4);
    let mut other = Places::new();
    other.bench = other.bench.counting_links(&budget);
    let (_, _) = one.watching();
    let (held, lease) = other.watching();
    let (_, _) = one.watching();
    let late = other.bench.authenticated();
    assert!(other.try_send(late, b"WATCH k\r\n").is_none());
    assert_bytes(&other.bench.read(late), b"-ERR max number of clients reached\r\n");
    // A link that one worker closes makes room for the other at once.
    other.leave(held);
    other.bench.router.forget_link(lease);
    one.watching();
    assert_eq!(budget.open(), 3);
}

#[test]
fn a_session_that_needs_a_shared_link_waits_for_a_place() {
    let (mut places, budget) = with_links(4);
    let leases: Vec<_> = (0..3).map(|_| places.watching()).collect();
    let (_, _) = places.plain();
    assert_eq!(budget.open(), 4);
    // The scripts' link is a separate link, and the plain link is in use.
    let (busy, _) = places.plain();
    places.send(busy, b"GET k\r\n");
    let late = places.bench.authenticated();
    assert!(places.try_send(late, b"EVAL s 0\r\n").is_none());
    assert!(!places.bench.router.is_finished(late) && !places.bench.router.wants_read(late));
    places.bench.pass(Duration::from_secs(4));
    assert!(places.flush().is_none());
    let (holder, lease) = leases[0];
    places.leave(holder);
    places.bench.router.forget_link(lease);
    places.bench.pass(Duration::from_millis(200));
    let (_, sent) = places.flush().expect("the script");
    assert_bytes(&sent, &request(&["EVAL", "s", "0"]));
    assert_eq!(budget.open(), 4);
}

#[test]
fn a_session_that_gets_no_shared_link_in_time_gets_an_error_and_is_closed() {
    let (mut places, _) = with_links(4);
    let _leases: Vec<_> = (0..3).map(|_| places.watching()).collect();
    let (busy, _) = places.plain();
    places.send(busy, b"GET k\r\n");
    let late = places.bench.authenticated();
    assert!(places.try_send(late, b"EVAL s 0\r\n").is_none());
    places.bench.pass(Duration::from_millis(4999));
    assert!(!places.bench.router.is_finished(late));
    places.bench.pass(Duration::from_millis(1));
    assert_bytes(&places.bench.read(late), b"-ERR max number of clients reached\r\n");
    assert_eq!(places.bench.close(late), CloseReason::NoLease);
}

#[test]
fn an_unused_shared_link_is_closed_for_another() {
    let (mut places, budget) = with_links(4);
    let _leases: Vec<_> = (0..3).map(|_| places.watching()).collect();
    let (plain, common) = places.plain();
    let scripts = places.turn(plain, b"EVAL s 0\r\n", b"$-1\r\n");
    assert!(scripts != common && places.is_closed(common));
    assert_eq!(budget.open(), 4);
    assert_ne!(places.link_of(plain), common);
}
