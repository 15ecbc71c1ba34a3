//! Hundreds of sessions of mixed kinds for a while: each checks every reply by its content, and
//! afterwards nothing is left of them.
//!
//! `REDOUBT_SOAK_SECONDS` sets for how long (10 by default), `REDOUBT_SOAK_SEED` sets the random
//! choices of the sessions; a failure prints the seed. `make soak` runs it for two minutes.

mod idle;
mod listening;
mod stateful;
mod stateless;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::turn;
use idle::Figures;
use support::rng::Rng;
use support::{Deadline, Redis, Redoubt, note};
use tokio::task::JoinSet;
use wire::Target;

const SESSIONS: usize = 200;
const KINDS: [&str; 9] = [
    "plain",
    "scripts",
    "large",
    "databases",
    "transactions",
    "blocking",
    "abrupt",
    "subscribers",
    "tracking",
];

/// The end of a round, and how many optimistic transactions have succeeded.
#[derive(Clone)]
pub(crate) struct Clock {
    end: Deadline,
    committed: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn runs(&self) -> bool {
        self.end.left().is_some()
    }

    pub(crate) fn committed(&self) {
        self.committed.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn bulk(value: &[u8]) -> Vec<u8> {
    support::frame::bulk(value)
}

pub(crate) fn integer(value: i64) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

fn setting(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn soak_with_shared_links_leaves_nothing_behind() {
    let _turn = turn();
    soak("auto");
}

#[test]
fn soak_without_shared_links_leaves_nothing_behind() {
    let _turn = turn();
    soak("off");
}

/// Runs two rounds, so that caches that the first fills do not count as a leak.
fn soak(sharing: &str) {
    let seconds = setting("REDOUBT_SOAK_SECONDS").unwrap_or(10);
    let seed = setting("REDOUBT_SOAK_SEED").unwrap_or(1);
    let round = Duration::from_millis(seconds * 1000 / 2);
    let redis = Redis::setup().config("maxclients 5000").start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
    assert!(Deadline::standard().poll(|| redis.clients() == 1), "the watch's link");
    let before = Figures::of(&redis, &redoubt);
    let shared_links = if sharing == "auto" { idle::MOST_LINKS } else { 0 };
    let mut after_round = Vec::new();
    let mut peak = 0;
    for number in 0..2 {
        let verified = run(&redis, &redoubt, round, seed + number, &mut peak);
        let after = idle::wait(&redis, &redoubt, &before, shared_links);
        note(&format!("{sharing}, round {number}: {verified:?}, then {after:?}"));
        after_round.push(after);
    }
    idle::assert_no_growth(&after_round);
    idle::assert_no_defect_logged(&redoubt);
    note(&format!("{sharing}: before {before:?}; at most {peak} links"));
    if seconds >= 60 {
        let unused = idle::wait_long(&redis, &redoubt, &before);
        note(&format!("{sharing}: when long unused {unused:?}"));
    }
}

/// Runs one round; returns how many replies of each kind were checked.
fn run(
    redis: &Redis,
    redoubt: &Redoubt,
    round: Duration,
    seed: u64,
    peak: &mut usize,
) -> Vec<(&'static str, u64)> {
    let target = Target { address: redoubt.address(), password: redoubt.password().into() };
    let clock = Clock { end: Deadline::after(round), committed: Arc::default() };
    let mut totals: Vec<_> = KINDS.iter().map(|kind| (*kind, 0)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let committed = idle::counter(redis, stateful::CONTENDED);
    runtime.block_on(async {
        let mut sessions = JoinSet::new();
        for number in 0..SESSIONS {
            let (kind, target, clock) = (number % KINDS.len(), target.clone(), clock.clone());
            let rng = Rng::new(seed << 32 | number as u64);
            sessions.spawn(async move {
                let verified = match KINDS[kind] {
                    "plain" => stateless::plain(target, number, clock, rng).await,
                    "scripts" => stateless::scripts(target, number, clock, rng).await,
                    "large" => stateless::large(target, number, clock, rng).await,
                    "databases" => stateless::databases(target, number, clock, rng).await,
                    "transactions" => stateful::transactions(target, number, clock, rng).await,
                    "blocking" => stateful::blocking(target, number, clock, rng).await,
                    "abrupt" => stateful::abrupt(target, number, clock, rng).await,
                    "subscribers" => listening::subscribers(target, number, clock, rng).await,
                    _ => listening::tracking(target, number, clock, rng).await,
                };
                (kind, verified)
            });
        }
        loop {
            tokio::select! {
                ended = sessions.join_next() => match ended {
                    Some(Ok((kind, verified))) => totals[kind].1 += verified,
                    Some(Err(error)) => panic!("seed {seed}: a session failed: {error}"),
                    None => break,
                },
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    *peak = redis.clients().max(*peak);
                }
            }
        }
    });
    let committed = idle::counter(redis, stateful::CONTENDED) - committed;
    assert_eq!(committed, clock.committed.load(Ordering::Relaxed), "a transaction was lost");
    totals
}
