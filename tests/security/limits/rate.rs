//! Limits on the rate of a session.

use std::fs;
use std::time::Duration;

use support::{Deadline, Redis, Redoubt, Wire, frame, now, since};

/// Returns the ticks of processor time that a process has used; a hundred are a second.
fn processor_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let numbers: Vec<&str> = fields.split_ascii_whitespace().collect();
    numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap()
}

fn paced(redis: &Redis, per_second: u32) -> Redoubt {
    Redoubt::setup(redis).set("limits.commands_per_second", per_second).start()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_pipeline_over_the_rate_is_slowed_down_and_loses_nothing() {
    let redis = Redis::start();
    let redoubt = paced(&redis, 100);
    let (mut wire, mut other) = (redoubt.session(), redoubt.session());
    let (start, used) = (now(), processor_time(redoubt.pid()));
    wire.send(&frame::request(&["INCR", "n"]).repeat(400));
    // AUTH was one of the first hundred.
    let mut others = 0;
    for number in 1..=400 {
        assert_eq!(wire.frame(), format!(":{number}\r\n").as_bytes());
        if number % 10 == 0 {
            assert_eq!(other.command(&["GET", "nothing"]), b"$-1\r\n");
            others += 1;
        }
    }
    let took = since(start);
    assert!(took > 2.8, "401 commands at 100 a second, 100 of them at once, took {took} s");
    assert!(took < 3.01 * 2.0, "took {took} s");
    assert_eq!(others, 40);
    let used = processor_time(redoubt.pid()) - used;
    assert!(used < 50, "{used} hundredths of a second of work for waiting");
}

/// Sends a request as soon as it has got a reply; returns the number of requests in that time.
fn turns(wire: &mut Wire, time: Duration) -> u32 {
    let (until, mut count) = (Deadline::after(time), 0);
    while until.left().is_some() {
        assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
        count += 1;
    }
    count
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_rate_applies_to_single_requests_too() {
    let redis = Redis::start();
    let redoubt = paced(&redis, 50);
    let mut wire = redoubt.session();
    let burst = turns(&mut wire, Duration::from_secs(1));
    assert!((50..=105).contains(&burst), "{burst} in the first second");
    let steady = turns(&mut wire, Duration::from_secs(4));
    // One refill at either end is not certain.
    assert!((185..=215).contains(&steady), "{steady} in four seconds at 50 a second");
}
