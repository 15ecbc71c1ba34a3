//! Commands that the server answers from a thread hold up no other session.
#![allow(clippy::disallowed_methods, reason = "the test compares times of one run with each other")]

use std::time::{Duration, Instant};

use support::{Redis, Redoubt, Wire, frame, shown};

/// Vectors in the set.
const VECTORS: usize = 6000;
/// Searches that are on their way at a time.
const SEARCHES: usize = 40;
const ROUNDS: usize = 8;

/// Fills a set, in which a search that visits everything takes long.
fn fill(wire: &mut Wire) {
    for start in (0..VECTORS).step_by(500) {
        let add = |at: usize| {
            let (x, y) = ((at % 83).to_string(), (at % 89).to_string());
            let element = format!("e{at}");
            frame::request(&[
                "VADD", "vectors", "VALUES", "2", &x, &y, &element, "NOQUANT", "EF", "10", "M", "4",
            ])
        };
        wire.send(&(start..start + 500).flat_map(add).collect::<Vec<_>>());
        for _ in 0..500 {
            let reply = wire.frame();
            assert_eq!(reply, b":1\r\n", "{}", shown(&reply));
        }
    }
    assert_eq!(wire.command(&["SET", "key", "value"]), b"+OK\r\n");
}

/// Returns how long a GET takes.
fn get(wire: &mut Wire) -> Duration {
    let start = Instant::now();
    assert_eq!(wire.command(&["GET", "key"]), frame::bulk(b"value"));
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn searches_in_a_thread_delay_no_other_session() {
    let redis = Redis::setup().server("redis-8.0").start();
    let mut direct = redis.direct();
    fill(&mut direct);
    let redoubt = Redoubt::start(&redis);
    let (mut searching, mut other) = (redoubt.session(), redoubt.session());
    let everything = VECTORS.to_string();
    let search = ["VSIM", "vectors", "ELE", "e1", "COUNT", &everything, "EF", &everything];
    let (mut alone, mut through, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    get(&mut other);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        searching.send(&frame::request(&search).repeat(SEARCHES));
        for _ in 0..10 {
            alone.push(get(&mut direct));
            through.push(get(&mut other));
        }
        for _ in 0..SEARCHES {
            let reply = searching.frame();
            assert!(reply.starts_with(b"*"), "{}", shown(&reply));
        }
        searches.push(start.elapsed());
    }
    let (alone, through, searches) = (median(alone), median(through), median(searches));
    let times = format!("GET alone {alone:?}, through {through:?}, searches {searches:?}");
    // Behind the searches a GET would wait for most of the time that they take.
    assert!(searches > alone * 100, "the searches are too short: {times}");
    assert!(through < alone * 10, "{times}");
    // The session of the searches keeps no link of its own.
    assert_eq!(searching.command(&["GET", "key"]), frame::bulk(b"value"));
}
