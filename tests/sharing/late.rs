//! Commands that the server answers from a thread hold up no other session.
use support::{Redis, Redoubt, Wire, frame, shown};

/// Vectors in the set.
const VECTORS: usize = 6000;
/// Searches that are on their way at a time.
const SEARCHES: usize = 40;
/// Attempts to see a GET answered while searches are running.
const ROUNDS: usize = 50;

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

/// Returns how many searches the server has begun.
fn begun(direct: &mut Wire) -> usize {
    let stats = shown(&direct.command(&["INFO", "commandstats"]));
    let Some((_, calls)) = stats.split_once("cmdstat_VSIM:calls=") else { return 0 };
    calls.split(',').next().expect("a number").parse().expect("a number")
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
    // Behind the searches no GET would be answered before the last of them has begun.
    let overtakes = (0..ROUNDS).any(|round| {
        searching.send(&frame::request(&search).repeat(SEARCHES));
        while begun(&mut direct) == round * SEARCHES {}
        assert_eq!(other.command(&["GET", "key"]), frame::bulk(b"value"));
        let before_the_last = begun(&mut direct) < (round + 1) * SEARCHES;
        for _ in 0..SEARCHES {
            let reply = searching.frame();
            assert!(reply.starts_with(b"*"), "{}", shown(&reply));
        }
        before_the_last
    });
    assert!(overtakes, "each GET waited for all searches");
    // The session of the searches keeps no link of its own.
    assert_eq!(searching.command(&["GET", "key"]), frame::bulk(b"value"));
}
