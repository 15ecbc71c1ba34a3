//! Sessions whose commands may go over shared links.

use std::collections::HashMap;

use super::wire::{Target, Wire};
use super::{Clock, bulk, integer};
use support::rng::Rng;
use support::{frame, shown};

/// Runs strings and counters of its own, one at a time and pipelined, and compares them with a model.
pub(crate) async fn plain(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut wire = Wire::open(&target).await;
    let mut strings: HashMap<String, Vec<u8>> = HashMap::new();
    let mut counter = integer_at(&mut wire, &format!("plain:{number}:n")).await;
    while clock.runs() {
        let mut requests = Vec::new();
        let mut wanted = Vec::new();
        for _ in 0..=rng.below(40) {
            let key = format!("plain:{number}:{}", rng.below(5));
            match rng.below(6) {
                0 | 1 => {
                    let len = rng.below(300);
                    let value = rng.bytes(len);
                    requests.extend(frame::request(&[b"SET", key.as_bytes(), &value]));
                    wanted.extend_from_slice(b"+OK\r\n");
                    strings.insert(key, value);
                }
                2 => {
                    requests.extend(frame::request(&["INCR", &format!("plain:{number}:n")]));
                    counter += 1;
                    wanted.extend(integer(counter));
                }
                3 => {
                    let text = rng.bytes(20);
                    requests.extend(frame::request(&[b"ECHO".as_slice(), &text]));
                    wanted.extend(bulk(&text));
                }
                4 => {
                    requests.extend(frame::request(&["FLUSHALL", &key]));
                    let refused = format!(
                        "-ERR unknown command 'FLUSHALL', with args beginning with: '{key}' \r\n"
                    );
                    wanted.extend_from_slice(refused.as_bytes());
                }
                _ => {
                    if let Some(value) = strings.get(&key) {
                        requests.extend(frame::request(&["GET", &key]));
                        wanted.extend(bulk(value));
                    }
                }
            }
        }
        wire.send(&requests).await;
        wire.expect(&wanted).await;
    }
    wire.quit().await
}

/// Returns the value of a counter.
pub(crate) async fn integer_at(wire: &mut Wire, key: &str) -> i64 {
    let reply = wire.call(&["INCRBY", key, "0"]).await;
    String::from_utf8(reply).unwrap()[1..].trim().parse().unwrap()
}

/// Runs scripts by their text and by their digest, with plain commands pipelined behind them.
pub(crate) async fn scripts(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let resp3 = number.is_multiple_of(2);
    let mut wire = if resp3 { Wire::open_resp3(&target).await } else { Wire::open(&target).await };
    // The script is unique, so that Redis does not have it in its cache.
    let body = format!("redis.call('SET', KEYS[1], ARGV[1]) return {{KEYS[1], ARGV[1], {number}}}");
    let loaded = wire.call(&["SCRIPT", "LOAD", &body]).await;
    let sha = String::from_utf8(loaded[5..45].to_vec()).unwrap();
    let null: &[u8] = if resp3 { b"_\r\n" } else { b"$-1\r\n" };
    while clock.runs() {
        let key = format!("script:{number}:{}", rng.below(10));
        let value = rng.bytes(64);
        let mut wanted = b"*3\r\n".to_vec();
        wanted.extend(bulk(key.as_bytes()));
        wanted.extend(bulk(&value));
        wanted.extend(integer(i64::try_from(number).unwrap()));
        let (name, script) = if rng.one_in(2) { ("EVAL", &body) } else { ("EVALSHA", &sha) };
        let eval = [name.as_bytes(), script.as_bytes(), b"1", key.as_bytes(), &value];
        let mut requests = frame::request(&eval);
        requests.extend(frame::request(&["GET", &key]));
        wanted.extend(bulk(&value));
        requests.extend(frame::request(&["GET", "script:none"]));
        wanted.extend_from_slice(null);
        requests.extend(frame::request(&["EVALSHA", &"0".repeat(40), "0"]));
        wanted.extend_from_slice(b"-NOSCRIPT No matching script. Please use EVAL.\r\n");
        wire.send(&requests).await;
        wire.expect(&wanted).await;
    }
    wire.quit().await
}

/// Moves values of some MB: written whole, read fast, slowly and in parts.
pub(crate) async fn large(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut wire = Wire::open(&target).await;
    let key = format!("large:{number}");
    while clock.runs() {
        let len = 1 + rng.below(4 << 20);
        let value = rng.bytes(len);
        wire.ask(&[b"SET", key.as_bytes(), &value], b"+OK\r\n").await;
        wire.ask(&["STRLEN", &key], &integer(i64::try_from(len).unwrap())).await;
        let reply = bulk(&value);
        wire.send(&frame::request(&["GET", &key])).await;
        if rng.one_in(2) {
            wire.expect(&reply).await;
        } else {
            let piece = 1 + rng.below(16 << 10);
            wire.expect_slowly(&reply, piece).await;
        }
        let from = rng.below(len);
        let to = from + rng.below(len - from);
        let part = bulk(&value[from..=to]);
        wire.ask(&["GETRANGE", &key, &from.to_string(), &to.to_string()], &part).await;
        wire.ask(&["DEL", &key], b":1\r\n").await;
    }
    wire.quit().await
}

/// Uses one key in several databases, with a client name, in both protocols.
pub(crate) async fn databases(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut wire = Wire::open(&target).await;
    let mut values: [Option<Vec<u8>>; 4] = Default::default();
    let key = format!("database:{number}");
    let mut resp3 = false;
    while clock.runs() {
        let database = rng.below(values.len());
        wire.ask(&["SELECT", &database.to_string()], b"+OK\r\n").await;
        if let Some(value) = &values[database] {
            wire.ask(&["GET", &key], &bulk(value)).await;
        }
        let value = [database.to_string().as_bytes(), &rng.bytes(30)].concat();
        wire.ask(&[b"SET", key.as_bytes(), &value], b"+OK\r\n").await;
        wire.ask(&["GET", &key], &bulk(&value)).await;
        values[database] = Some(value);
        if rng.one_in(3) {
            let name = format!("name-{number}-{database}");
            wire.ask(&["CLIENT", "SETNAME", &name], b"+OK\r\n").await;
            wire.ask(&["CLIENT", "GETNAME"], &bulk(name.as_bytes())).await;
            // A lease for a transaction has the session's name.
            let mut requests = Vec::new();
            for request in [&["MULTI"][..], &["CLIENT", "GETNAME"], &["GET", &key], &["EXEC"]] {
                requests.extend(frame::request(request));
            }
            let mut wanted = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n".to_vec();
            wanted.extend(bulk(name.as_bytes()));
            wanted.extend(bulk(values[database].as_ref().unwrap()));
            wire.send(&requests).await;
            wire.expect(&wanted).await;
        }
        if rng.one_in(5) {
            resp3 = !resp3;
            let hello = wire.call(&["HELLO", if resp3 { "3" } else { "2" }]).await;
            let begins = if resp3 { "%7\r\n" } else { "*14\r\n" };
            assert!(hello.starts_with(begins.as_bytes()), "HELLO: {}", shown(&hello));
            let none: &[u8] = if resp3 { b"_\r\n" } else { b"$-1\r\n" };
            wire.ask(&["GET", "database:none"], none).await;
        }
        if rng.one_in(10) {
            wire.ask(&["SELECT", "99"], b"-ERR DB index is out of range\r\n").await;
        }
    }
    wire.quit().await
}
