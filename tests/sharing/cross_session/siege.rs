//! Many honest sessions beside attackers of every kind, for a while: every reply is checked.
//!
//! By default a short siege of three servers. `REDOUBT_SIEGE_SECONDS` sets how long, and then all
//! servers and 200 sessions take part: `REDOUBT_SIEGE_SECONDS=60 cargo test --release --test sharing
//! siege`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::forged::{Ends, forging};
use support::{Redis, Redoubt, Wire, frame, note, servers, shown};

/// Returns the duration of a siege, its servers, and the number of sessions.
fn scale() -> (Duration, &'static [&'static str], usize) {
    let seconds = std::env::var("REDOUBT_SIEGE_SECONDS").ok();
    match seconds.map(|seconds| seconds.parse().expect("REDOUBT_SIEGE_SECONDS is a number")) {
        Some(seconds) => (Duration::from_secs(seconds), &servers::ALL, 200),
        None => (Duration::from_secs(4), &servers::MAIN, 60),
    }
}

fn session(redoubt: &Redoubt, protocol: &str) -> Wire {
    let mut wire = redoubt.session();
    wire.set_time_limit(Duration::from_secs(30));
    let greeting = wire.command(&["HELLO", protocol]);
    assert!(!greeting.starts_with(b"-"), "{}", shown(&greeting));
    wire
}

/// Sends requests in one write, and checks their replies.
fn ask(wire: &mut Wire, asked: &[(&[&str], Vec<u8>)]) {
    let said: Vec<u8> = asked.iter().flat_map(|(words, _)| frame::request(words)).collect();
    wire.send(&said);
    for (_, reply) in asked {
        wire.expect(reply);
    }
}

/// Does one round of honest work; `number` is the session, `count` the round.
fn work(wire: &mut Wire, number: usize, count: u64) {
    let mine = format!("honest-{number}-{count}");
    let (key, list, database) =
        (format!("k:{number}"), format!("l:{number}"), (number % 7).to_string());
    let (bulk, ok) = (frame::bulk(mine.as_bytes()), b"+OK\r\n".to_vec());
    let queued = b"+QUEUED\r\n".to_vec();
    match (number as u64 + count) % 7 {
        0 => ask(wire, &[(&["SET", &key, &mine], ok), (&["GET", &key], bulk)]),
        1 => ask(
            wire,
            &[
                (&["EVAL", "return ARGV[1]", "0", &mine], bulk.clone()),
                (&["ECHO", &mine], bulk.clone()),
                (&["EVAL", "return {ARGV[1]}", "0", &mine], [b"*1\r\n", &bulk[..]].concat()),
            ],
        ),
        2 => ask(
            wire,
            &[
                (&["MULTI"], ok),
                (&["SET", &key, &mine], queued.clone()),
                (&["GET", &key], queued),
                (&["EXEC"], [b"*2\r\n+OK\r\n", &bulk[..]].concat()),
            ],
        ),
        3 => ask(
            wire,
            &[
                (&["RPUSH", &list, &mine], b":1\r\n".to_vec()),
                (
                    &["BLPOP", &list, "0"],
                    [b"*2\r\n", &frame::bulk(list.as_bytes())[..], &bulk].concat(),
                ),
            ],
        ),
        4 => ask(
            wire,
            &[
                (&["SET", &key, &mine], ok),
                (&["OBJECT", "ENCODING", &key], frame::bulk(b"embstr")),
                (&["EXPIRE", &key, "100", "XX"], b":0\r\n".to_vec()),
                (&["XINFO", "STREAM", "none"], b"-ERR no such key\r\n".to_vec()),
                (&["GET", &key], bulk),
            ],
        ),
        5 => ask(
            wire,
            &[
                (&["SELECT", &database], ok.clone()),
                (&["SET", "where", &database], ok.clone()),
                (&["WATCH", "where"], ok.clone()),
                (&["GET", "where"], frame::bulk(database.as_bytes())),
                (&["UNWATCH"], ok.clone()),
                (
                    &["EVAL", "return redis.call('GET', 'where')", "0"],
                    frame::bulk(database.as_bytes()),
                ),
                (&["SELECT", "0"], ok),
            ],
        ),
        _ => ask(
            wire,
            &[
                (&["CLIENT", "SETNAME", &mine], ok.clone()),
                (&["WATCH", &key], ok.clone()),
                (&["CLIENT", "GETNAME"], bulk),
                (&["UNWATCH"], ok),
            ],
        ),
    }
}

fn honest(redoubt: &Redoubt, number: usize, done: &AtomicBool, rounds: &AtomicU64) {
    let mut wire = session(redoubt, if number.is_multiple_of(3) { "3" } else { "2" });
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        count += 1;
        work(&mut wire, number, count);
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the requests that attackers send, one after another.
fn attacks() -> Vec<Vec<u8>> {
    let lines = |lines: &[&str]| -> Vec<u8> {
        lines.iter().flat_map(|l| frame::request(&l.split(' ').collect::<Vec<_>>())).collect()
    };
    let mut all = forging();
    all.extend([
        lines(&["MULTI", "SELECT 5", "AUTH nobody x", "EXEC", "PING", "PING"]),
        lines(&[
            "HELLO 3",
            "SUBSCRIBE c",
            "PING",
            "AUTH nobody x",
            "SELECT 5",
            "UNSUBSCRIBE c",
            "PING",
        ]),
        lines(&["WATCH k", "PING", "HELLO 3 AUTH nobody x", "SELECT 5", "UNWATCH", "PING"]),
        lines(&["MULTI", "HELLO 3 AUTH nobody x", "SELECT 5", "EXEC", "PUBLISH c x"]),
        lines(&["WATCH k", "CLIENT SETINFO LIB-NAME evil", "SELECT 5", "UNWATCH"]),
        lines(&["HELLO 3", "CLIENT TRACKING ON BCAST", "GET k", "SET k 1"]),
        lines(&["CLIENT ID", "CLIENT TRACKING ON REDIRECT 5 BCAST", "SET k 1"]),
        lines(&["XREADGROUP GROUP streams c BLOCK 0 STREAMS k >", "PING"]),
        lines(&["XREAD BLOCK 0 STREAMS none $"]),
        lines(&["MULTI", "EVAL error 0", "EXEC", "SUBSCRIBE c", "UNSUBSCRIBE"]),
        lines(&["SELECT 5", "MULTI", "SELECT 6", "EXEC", "BLPOP none 0.01", "RESET"]),
        lines(&["CLIENT REPLY OFF", "EVAL x 0", "SCAN 0", "OBJECT HELP"]),
    ]);
    all
}

/// Attacks in fresh sessions, each of which ends in another way.
fn attacker(redoubt: &Redoubt, number: usize, done: &AtomicBool) {
    let attacks = attacks();
    let mut at = number;
    while !done.load(Ordering::Relaxed) {
        at += 1;
        let mut wire = session(redoubt, if at.is_multiple_of(2) { "2" } else { "3" });
        let attack = &attacks[at % attacks.len()];
        wire.offer(&attack.repeat(1 + at % 3));
        match at % 4 {
            // The connection is closed with pending replies.
            0 => {}
            1 => {
                wire.set_time_limit(Duration::from_millis(5));
                while wire.try_receive().is_some_and(|len| len > 0) {}
            }
            _ => {
                wire.finish();
                wire.set_time_limit(Duration::from_millis(200));
                while wire.try_receive().is_some_and(|len| len > 0) {}
            }
        }
        assert!(!shown(wire.received()).contains("honest-"), "{}", shown(wire.received()));
    }
}

fn text(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a siege ends after a time")]
fn attacks_of_every_kind_reach_no_honest_session() {
    let (lasts, servers, sessions) = scale();
    servers::on_each_or_chosen(servers, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let (done, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
        let attackers = sessions / 5;
        let wrong: Vec<_> = std::thread::scope(|scope| {
            let ends = Ends(&done);
            let mut threads = Vec::new();
            for number in 0..sessions {
                let (redoubt, done, rounds) = (&redoubt, &done, &rounds);
                threads.push(scope.spawn(move || {
                    let run = catch_unwind(AssertUnwindSafe(|| match number < attackers {
                        true => attacker(redoubt, number * 7, done),
                        false => honest(redoubt, number, done, rounds),
                    }));
                    // The first failure ends the siege.
                    run.map_err(|cause| {
                        done.store(true, Ordering::Relaxed);
                        text(&*cause)
                    })
                }));
            }
            let start = Instant::now();
            while start.elapsed() < lasts && !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(ends);
            threads.into_iter().filter_map(|thread| thread.join().ok()?.err()).collect()
        });
        assert!(wrong.is_empty(), "{server}: {} sessions: {}", wrong.len(), wrong[0]);
        let rounds = rounds.load(Ordering::Relaxed);
        note(&format!("{server}: {rounds} rounds of honest work, each reply as it must be"));
        assert!(rounds >= sessions as u64, "{server}: {rounds} rounds");
    });
}
