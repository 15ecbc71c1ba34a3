//! The limit on the memory of all sessions: which sessions wait, and which are closed.

use std::sync::Arc;
use std::time::Duration;

use redoubt_core::router::{MemoryBudget, SessionId};
use redoubt_core::session::{CloseReason, Rulebook, Rules};

use crate::places::Places;
use support::bench::request;

const MIB: usize = 1 << 20;
const MOST: usize = 32 * MIB;

/// Returns sessions whose memory counts in `budget`, with this limit.
fn counted(budget: &MemoryBudget) -> Places {
    let mut places = Places::new();
    places.bench = places.bench.counting_memory(budget);
    let mut rules = Rules::clone(places.bench.router.rules().strangers());
    rules.limits.memory = MOST as u64;
    places.bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
    places
}

/// Returns a session with this many unread bytes, which came over its lease.
fn holds(places: &mut Places, bytes: usize) -> SessionId {
    let id = places.bench.authenticated();
    let lease = places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    places.send(id, b"GET big\r\n");
    places.bench.reply(lease, format!("${}\r\n", 100 * MIB).as_bytes());
    places.bench.reply(lease, &vec![b'v'; bytes]);
    id
}

#[test]
fn at_the_memory_limit_only_the_largest_session_is_closed() {
    let budget = MemoryBudget::default();
    let mut places = counted(&budget);
    let small = holds(&mut places, 2 * MIB);
    let large = holds(&mut places, 16 * MIB);
    let middle = holds(&mut places, 8 * MIB);
    assert!((26 * MIB..MOST).contains(&(budget.held() as usize)), "{} bytes", budget.held());
    assert!(!places.bench.router.is_finished(large));
    let last = holds(&mut places, 10 * MIB);
    assert_eq!(places.bench.close(large), CloseReason::Memory);
    for id in [small, middle, last] {
        assert!(!places.bench.router.is_finished(id));
    }
    assert!((budget.held() as usize) < MOST);
    for id in [small, middle, last] {
        places.leave(id);
    }
    places.bench.pass(Duration::from_millis(200));
    assert!(budget.held() < 100_000, "{} bytes are left", budget.held());
}

#[test]
fn the_memory_limit_covers_all_workers_and_closes_the_largest_session() {
    let budget = MemoryBudget::default();
    let (mut one, mut other) = (counted(&budget), counted(&budget));
    let large = holds(&mut one, 16 * MIB);
    one.bench.pass(Duration::from_millis(200));
    let small = holds(&mut other, 9 * MIB);
    let smaller = holds(&mut other, 8 * MIB);
    // The other worker has the largest session, and closes it at its next tick.
    assert!(budget.held() as usize > MOST);
    assert!(!other.bench.router.is_finished(small) && !other.bench.router.is_finished(smaller));
    one.bench.pass(Duration::from_millis(200));
    assert_eq!(one.bench.close(large), CloseReason::Memory);
    other.bench.pass(Duration::from_millis(200));
    assert!(!other.bench.router.is_finished(small) && !other.bench.router.is_finished(smaller));
}

#[test]
fn far_above_the_memory_limit_every_worker_closes_its_largest_session() {
    let budget = MemoryBudget::default();
    let (mut one, mut other) = (counted(&budget), counted(&budget));
    let _large = holds(&mut one, 30 * MIB);
    one.bench.pass(Duration::from_millis(200));
    let small = holds(&mut other, 12 * MIB);
    assert_eq!(other.bench.close(small), CloseReason::Memory);
}

#[test]
fn near_the_memory_limit_a_large_session_waits_until_it_holds_less() {
    let budget = MemoryBudget::default();
    let mut places = counted(&budget);
    let large = holds(&mut places, 26 * MIB);
    let id = places.bench.authenticated();
    let lease = places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    // The two commands alternate, so that each pending reply takes an entry of its own.
    let pair = [request(&["GET", "k"]), request(&["SET", "k", "v"])].concat();
    let (_, sent) = places.send(id, &pair.repeat(2000));
    let pairs = sent.len() / pair.len();
    assert!(pairs < 2000, "all requests are taken, whatever memory they hold");
    assert!(!places.bench.router.wants_read(id), "it is not read any more");
    assert!(places.try_send(id, &request(&["GET", "k"])).is_none(), "no further request is taken");
    // A small session continues.
    let (other, _) = places.plain();
    assert!(places.bench.router.wants_read(other));
    // When its replies have arrived it continues, although memory is as short as before.
    places.bench.reply(lease, &b"$-1\r\n+OK\r\n".repeat(pairs - 50));
    places.bench.read(id);
    let (link, sent) = places.flush().expect("the waiting request is sent");
    assert_eq!(link, lease);
    assert!(sent.starts_with(&pair[..pair.len() / 2]), "it is the rest of the pipeline");
    assert!(!places.bench.router.is_finished(large));
}

#[test]
fn a_session_paused_for_memory_continues_when_others_hold_less() {
    let budget = MemoryBudget::default();
    let mut places = counted(&budget);
    let large = holds(&mut places, 26 * MIB);
    let waiting = holds(&mut places, 2 * MIB);
    assert!(!places.bench.router.wants_read(waiting));
    places.leave(large);
    places.bench.pass(Duration::from_millis(200));
    assert!(places.bench.router.wants_read(waiting));
}

#[test]
fn memory_of_read_bytes_is_freed_even_if_some_are_left() {
    let budget = MemoryBudget::default();
    let mut places = counted(&budget);
    let id = holds(&mut places, 16 * MIB);
    let left = 1000;
    let all = places.bench.router.output(id).len();
    places.bench.router.output_written(id, all - left, places.bench.now);
    assert_eq!(places.bench.router.output(id).len(), left);
    places.bench.pass(Duration::from_millis(200));
    assert!(budget.held() < MIB as u64, "{} bytes", budget.held());
}
