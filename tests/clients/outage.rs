//! Clients that connect, and send requests, while Redis is down: they keep both until Redis is back, as they do
//! without Redoubt.

use std::io::Write as _;
use std::process::Command;

use support::{Redis, Redoubt};

use super::{end, node, python, start, url};

/// Runs the program, which prints "kill redis" and "start redis" to have that done, and returns its steps.
#[track_caller]
fn run(mut program: Command, mut redis: Redis) -> Vec<String> {
    let (client, mut stdin, output) = start(&mut program);
    for wanted in ["kill redis", "start redis"] {
        let asked = output.wait(|line| line == wanted);
        assert!(asked.is_some(), "no {wanted:?}: {}", output.all().join("\n"));
        match wanted {
            "kill redis" => redis.kill(),
            _ => redis.restart(),
        }
        drop(stdin.write_all(b"done\n"));
    }
    let all = end(client, &output);
    all.iter().filter_map(|line| line.strip_prefix("step ")).map(str::to_owned).collect()
}

/// Demands the same steps directly and through Redoubt, with shared links and without.
#[track_caller]
fn same_in_an_outage(program: impl Fn() -> Command) {
    let redis = Redis::start();
    let mut direct = program();
    direct.arg(format!("redis://:{}@{}/", redis.password(), redis.address()));
    let wanted = run(direct, redis);
    assert!(wanted.len() >= 4, "{wanted:?}");
    for sharing in ["auto", "off"] {
        let redis = Redis::start();
        let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
        redoubt.wait_until_it_serves();
        let mut through = program();
        through.arg(url(&redoubt));
        assert_eq!(run(through, redis), wanted, "sharing {sharing}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn node_redis_keeps_its_requests_in_an_outage() {
    same_in_an_outage(|| node("outage_node_redis.cjs"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn ioredis_keeps_its_requests_in_an_outage() {
    same_in_an_outage(|| node("outage_ioredis.cjs"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_py_tries_again_in_an_outage() {
    same_in_an_outage(|| python("outage_redis_py.py"));
}
