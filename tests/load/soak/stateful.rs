//! Sessions that need leases: transactions, blocking pops, and sessions that are cut off.

use super::stateless::integer_at;
use super::wire::{Target, Wire};
use super::{Clock, bulk, integer};
use support::rng::Rng;
use support::{frame, shown};

/// The counter that all sessions of [`transactions`] change by optimistic transactions.
pub(crate) const CONTENDED: &str = "transaction:contended";

/// Runs optimistic transactions on a key of all sessions, plain transactions on keys of its own, and
/// transactions that must fail.
pub(crate) async fn transactions(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut wire = Wire::open(&target).await;
    let own = format!("transaction:{number}");
    let mut count = integer_at(&mut wire, &own).await;
    while clock.runs() {
        optimistic(&mut wire).await;
        clock.committed();
        let nearly_valid = rng.one_in(3);
        let mut requests = Vec::new();
        let mut wanted = b"+OK\r\n".to_vec();
        requests.extend(frame::request(&["MULTI"]));
        let steps = 1 + rng.below(5);
        for _ in 0..steps {
            requests.extend(frame::request(&["INCR", &own]));
            wanted.extend_from_slice(b"+QUEUED\r\n");
        }
        if nearly_valid {
            requests.extend(frame::request(&["DEBUG", "SLEEP", "0"]));
            wanted.extend_from_slice(
                b"-ERR unknown command 'DEBUG', with args beginning with: 'SLEEP' '0' \r\n",
            );
        }
        requests.extend(frame::request(&["EXEC"]));
        if nearly_valid {
            wanted.extend_from_slice(
                b"-EXECABORT Transaction discarded because of previous errors.\r\n",
            );
        } else {
            wanted.extend_from_slice(format!("*{steps}\r\n").as_bytes());
            for _ in 0..steps {
                count += 1;
                wanted.extend(integer(count));
            }
        }
        requests.extend(frame::request(&["GET", &own]));
        wanted.extend(bulk(count.to_string().as_bytes()));
        wire.send(&requests).await;
        wire.expect(&wanted).await;
    }
    wire.quit().await
}

/// Adds one to the common counter, and tries again as long as others are first.
async fn optimistic(wire: &mut Wire) {
    loop {
        wire.ask(&["WATCH", CONTENDED], b"+OK\r\n").await;
        let value = wire.call(&["GET", CONTENDED]).await;
        let value = String::from_utf8(value).unwrap();
        let value: i64 = match value.split("\r\n").nth(1) {
            Some(text) if !text.is_empty() => text.parse().unwrap(),
            _ => 0,
        };
        let next = (value + 1).to_string();
        wire.ask(&["MULTI"], b"+OK\r\n").await;
        wire.ask(&["SET", CONTENDED, &next], b"+QUEUED\r\n").await;
        match &*wire.call(&["EXEC"]).await {
            b"*1\r\n+OK\r\n" => break,
            b"*-1\r\n" => {}
            other => panic!("EXEC: {}", shown(other)),
        }
    }
}

/// Runs pops that wait for a producer, several in a pipeline, and pops that time out.
pub(crate) async fn blocking(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut consumer = Wire::open(&target).await;
    let mut producer = Wire::open(&target).await;
    let queue = format!("queue:{number}");
    while clock.runs() {
        let items: Vec<_> = (0..=rng.below(4)).map(|_| rng.bytes(50)).collect();
        let mut requests = Vec::new();
        let mut wanted = Vec::new();
        for item in &items {
            requests.extend(frame::request(&["BLPOP", &queue, "0"]));
            wanted.extend_from_slice(b"*2\r\n");
            wanted.extend(bulk(queue.as_bytes()));
            wanted.extend(bulk(item));
        }
        requests.extend(frame::request(&["ECHO", &queue]));
        wanted.extend(bulk(queue.as_bytes()));
        consumer.send(&requests).await;
        for item in &items {
            // Items are pushed one at a time, so that their order is that of the pops.
            let pushed = producer.call(&[b"RPUSH", queue.as_bytes(), item]).await;
            assert_eq!(pushed.first(), Some(&b':'), "RPUSH: {}", shown(&pushed));
        }
        consumer.expect(&wanted).await;
        if rng.one_in(4) {
            consumer.ask(&["BLPOP", &queue, "0.01"], b"*-1\r\n").await;
        }
        if rng.one_in(4) {
            consumer.ask(&["WAIT", "0", "1"], b":0\r\n").await;
        }
    }
    producer.quit().await + consumer.quit().await
}

/// Connects, is cut off in the middle of something, and connects again: it must find what Redis may
/// have done of its requests, and no reply that was meant for its former connection.
pub(crate) async fn abrupt(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut verified = 0;
    let counter = format!("abrupt:{number}");
    let mut least = 0;
    let mut most = i64::MAX;
    while clock.runs() {
        let mut wire = Wire::open(&target).await;
        // Redis runs all INCRs of a former connection before those of this connection only if both went
        // over the same link, so more of them may follow.
        let count = integer_at(&mut wire, &counter).await;
        assert!((least..=most).contains(&count), "{count} is not in {least}..={most}");
        least = count;
        if most == i64::MAX {
            most = count;
        }
        wire.ask(&["ECHO", &counter], &bulk(counter.as_bytes())).await;
        verified += wire.verified;
        let mut requests = Vec::new();
        match rng.below(7) {
            0 => {
                let sent = 1 + rng.below(100);
                for _ in 0..sent {
                    requests.extend(frame::request(&["INCR", &counter]));
                }
                most += i64::try_from(sent).unwrap();
            }
            1 => {
                for _ in 0..50 {
                    requests.extend(frame::request(&[b"ECHO".as_slice(), &rng.bytes(1000)]));
                }
            }
            2 => requests.extend(frame::request(&["BLPOP", &format!("abrupt:none:{number}"), "0"])),
            3 => {
                requests.extend(frame::request(&["SUBSCRIBE", "abrupt:channel"]));
                requests.extend(frame::request(&["PUBLISH", "abrupt:channel", "x"]));
            }
            4 => {
                requests.extend(frame::request(&["WATCH", &counter]));
                requests.extend(frame::request(&["MULTI"]));
                requests.extend(frame::request(&["INCR", &counter]));
            }
            5 => {
                let value = rng.bytes(1 << 20);
                requests.extend(frame::request(&[b"SET", b"abrupt:large".as_slice(), &value]));
                let keep = rng.below(requests.len());
                requests.truncate(keep);
            }
            _ => {
                requests.extend(frame::request(&["EVAL", "return {ARGV[1]}", "0", "argument"]));
                requests.extend(frame::request(&["CLIENT", "REPLY", "OFF"]));
            }
        }
        wire.send(&requests).await;
        if rng.one_in(2) { wire.reset() } else { drop(wire) }
    }
    verified
}
