//! Sessions that get messages from Redis: subscribers, and clients that cache.

use super::wire::{Target, Wire};
use super::{Clock, bulk, integer};
use support::frame;
use support::rng::Rng;

/// Returns a frame of bulk strings that begins with `kind` and their number.
fn words(kind: char, words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("{kind}{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(bulk(word));
    }
    out
}

/// Returns the confirmation of SUBSCRIBE and its kind.
fn counted(kind: char, what: &str, channel: &str, count: i64) -> Vec<u8> {
    let mut out = format!("{kind}3\r\n").into_bytes();
    out.extend(bulk(what.as_bytes()));
    out.extend(bulk(channel.as_bytes()));
    out.extend(integer(count));
    out
}

/// Runs a subscriber and its publisher: every message arrives once, in order, with plain commands in
/// between.
pub(crate) async fn subscribers(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let resp3 = number.is_multiple_of(2);
    let kind = if resp3 { '>' } else { '*' };
    let mut subscriber =
        if resp3 { Wire::open_resp3(&target).await } else { Wire::open(&target).await };
    let mut publisher = Wire::open(&target).await;
    let channel = format!("channel:{number}");
    let pattern = format!("chan*:{number}");
    let own = format!("listening:{number}");
    while clock.runs() {
        let value = rng.bytes(40);
        subscriber.ask(&[b"SET", own.as_bytes(), &value], b"+OK\r\n").await;
        let wanted = counted(kind, "subscribe", &channel, 1);
        subscriber.ask(&["SUBSCRIBE", &channel], &wanted).await;
        let wanted = counted(kind, "psubscribe", &pattern, 2);
        subscriber.ask(&["PSUBSCRIBE", &pattern], &wanted).await;
        for _ in 0..1 + rng.below(10) {
            let most = if rng.one_in(20) { 200_000 } else { 100 };
            let len = 1 + rng.below(most);
            let message = rng.bytes(len);
            let publish = [b"PUBLISH", channel.as_bytes(), &message];
            publisher.ask(&publish, b":2\r\n").await;
            let mut wanted = words(kind, &[b"message", channel.as_bytes(), &message]);
            wanted.extend(words(
                kind,
                &[b"pmessage", pattern.as_bytes(), channel.as_bytes(), &message],
            ));
            subscriber.expect(&wanted).await;
            if resp3 {
                subscriber.ask(&["GET", &own], &bulk(&value)).await;
            } else if rng.one_in(4) {
                let pong = words('*', &[b"pong", &value]);
                subscriber.ask(&[b"PING".as_slice(), &value], &pong).await;
            }
        }
        let mut wanted = counted(kind, "unsubscribe", &channel, 1);
        wanted.extend(counted(kind, "punsubscribe", &pattern, 0));
        wanted.extend(bulk(&value));
        let mut requests = frame::request(&["UNSUBSCRIBE"]);
        requests.extend(frame::request(&["PUNSUBSCRIBE", &pattern]));
        requests.extend(frame::request(&["GET", &own]));
        subscriber.send(&requests).await;
        subscriber.expect(&wanted).await;
        publisher.ask(&["PUBLISH", &channel, "nobody"], b":0\r\n").await;
    }
    publisher.quit().await + subscriber.quit().await
}

/// Runs a client that caches, and another that changes the keys that it has cached.
pub(crate) async fn tracking(target: Target, number: usize, clock: Clock, mut rng: Rng) -> u64 {
    let mut cached = Wire::open_resp3(&target).await;
    let mut other = Wire::open(&target).await;
    let broadcast = number.is_multiple_of(4);
    let key = format!("tracked:{number}:key");
    let prefix = format!("tracked:{number}:");
    let mut verified = 0;
    while clock.runs() {
        if broadcast {
            let on = ["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", &prefix, "NOLOOP"];
            cached.ask(&on, b"+OK\r\n").await;
        } else {
            cached.ask(&["CLIENT", "TRACKING", "ON"], b"+OK\r\n").await;
        }
        for _ in 0..1 + rng.below(10) {
            let value = rng.bytes(60);
            let invalid = {
                let mut frame = b">2\r\n$10\r\ninvalidate\r\n".to_vec();
                frame.extend(words('*', &[key.as_bytes()]));
                frame
            };
            if !broadcast {
                // Redis sends invalidations only for keys that were read.
                cached.call(&["GET", &key]).await;
            }
            other.ask(&[b"SET", key.as_bytes(), &value], b"+OK\r\n").await;
            cached.expect(&invalid).await;
            cached.ask(&["GET", &key], &bulk(&value)).await;
            cached.ask(&["ECHO", &key], &bulk(key.as_bytes())).await;
            if !broadcast {
                other.ask(&["DEL", &key], b":1\r\n").await;
                cached.expect(&invalid).await;
            }
        }
        cached.ask(&["CLIENT", "TRACKING", "OFF"], b"+OK\r\n").await;
        other.ask(&[b"SET", key.as_bytes(), &rng.bytes(10)], b"+OK\r\n").await;
        cached.ask(&["ECHO", &key], &bulk(key.as_bytes())).await;
        if rng.one_in(10) {
            // Such a session keeps its connection to Redis to its end.
            verified +=
                std::mem::replace(&mut cached, Wire::open_resp3(&target).await).quit().await;
        }
    }
    verified + other.quit().await + cached.quit().await
}
