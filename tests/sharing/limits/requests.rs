//! The limits on the size of a request.

use redoubt_core::session::{CloseReason, Event};

use super::{limit, limited};
use crate::places::Places;
use support::bench::{assert_bytes, request};

const KIB: usize = 1 << 10;

/// Returns a `SET` of exactly `size` bytes.
fn set(size: usize) -> Vec<u8> {
    let of = |key: &str, value: usize| request(&["SET", key, &"v".repeat(value)]);
    let longest = (0..size).rev().find(|value| of("k", *value).len() <= size).expect("some room");
    // Where one more byte would make the value's length a digit longer, the key takes the byte.
    let made = of(if of("k", longest).len() < size { "kk" } else { "k" }, longest);
    assert_eq!(made.len(), size);
    made
}

fn sized(request_size: usize) -> Places {
    limited(|limits| limits.request_size = request_size)
}

#[test]
fn a_request_one_byte_over_request_size_closes_the_session_without_a_reply() {
    // The last two are streamed.
    for size in [1000, 60 * KIB, 200 * KIB, 3000 * KIB] {
        for piece in [997, 64 * KIB] {
            let mut places = sized(size);
            let (id, _) = places.plain();
            let mut sent = 0;
            for part in set(size).chunks(piece) {
                sent += places.try_send(id, part).map_or(0, |(_, sent)| sent.len());
            }
            assert_eq!(sent, size);

            let mut places = sized(size - 1);
            let (id, common) = places.plain();
            let mut lease = None;
            for part in set(size).chunks(piece) {
                places.bench.say(id, part);
                lease = places.flush().map(|(link, _)| link).or(lease);
            }
            assert_bytes(&places.bench.read(id), b"");
            assert_eq!(places.bench.close(id), CloseReason::TooLarge);
            assert_eq!(
                lease.is_some(),
                size > 64 * KIB,
                "only what is streamed has been passed on"
            );
            if let Some(lease) = lease {
                assert!(places.is_closed(lease), "half a request is on it");
            }
            let (other, link) = places.plain();
            assert_eq!(link, common, "others notice nothing");
            places.turn(other, b"GET k\r\n", b"$-1\r\n");
        }
    }
}

#[test]
fn a_large_request_is_buffered_only_up_to_request_size() {
    let mut places = sized(KIB);
    let (id, _) = places.plain();
    places.bench.say(id, &set(100 * KIB)[..KIB]);
    assert!(!places.bench.router.is_finished(id));
    places.bench.say(id, b"v");
    assert_eq!(places.bench.close(id), CloseReason::TooLarge);
}

#[test]
fn a_large_refused_request_counts_toward_request_size() {
    let mut places = sized(200 * KIB);
    let (id, _) = places.plain();
    let mut said = set(300 * KIB);
    said.splice(4..11, *b"$8\r\nFLUSHALL");
    for part in said.chunks(64 * KIB) {
        places.bench.say(id, part);
    }
    assert!(places.flush().is_none());
    assert_eq!(places.bench.close(id), CloseReason::TooLarge);
}

#[test]
fn request_size_applies_to_each_request_of_a_pipeline() {
    let mut places = sized(KIB);
    let (id, _) = places.plain();
    let (_, sent) = places.send(id, &set(KIB).repeat(50));
    assert_eq!(sent.len(), 50 * KIB);
    // No client gets the reply to the request before it.
    places.bench.say(id, &[set(KIB), set(KIB + 1)].concat());
    let (link, sent) = places.flush().expect("the first of the two");
    assert_bytes(&sent, &set(KIB));
    places.bench.reply(link, &b"+OK\r\n".repeat(51));
    assert_eq!(places.bench.close(id), CloseReason::TooLarge);
    let (_, again) = places.plain();
    assert_eq!(again, link);
}

#[test]
fn request_size_applies_to_inline_requests() {
    let mut places = sized(KIB);
    let (id, _) = places.plain();
    let line = |size: usize| format!("ECHO {}\r\n", "x".repeat(size - 7)).into_bytes();
    places.send(id, &line(KIB));
    places.bench.say(id, &line(KIB + 1));
    assert_eq!(places.bench.close(id), CloseReason::TooLarge);
}

#[test]
fn more_than_request_args_arguments_are_a_protocol_error() {
    for max_args in [1, 2, 3, 1000] {
        let mut places = Places::new();
        let (id, _) = places.plain();
        limit(&mut places.bench, |limits| limits.request.max_args = max_args);
        let words = |count: i64| request(&vec!["PING"; usize::try_from(count).unwrap()]);
        let (link, sent) = places.send(id, &words(max_args));
        assert_bytes(&sent, &words(max_args));
        places.bench.reply(link, b"+PONG\r\n");
        // The argument count alone decides.
        places.bench.say(id, format!("*{}\r\n", max_args + 1).as_bytes());
        let reply = b"+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n";
        assert_bytes(&places.bench.read(id), reply);
        assert_eq!(places.bench.close(id), CloseReason::Protocol);
    }
}

#[test]
fn before_authentication_redis_own_request_limits_apply() {
    let mut places = limited(|limits| limits.request.max_args = 2);
    let id = places.bench.open();
    places.bench.say(id, b"*11\r\n");
    let reply = b"-ERR Protocol error: unauthenticated multibulk length\r\n";
    assert_bytes(&places.bench.read(id), reply);
}

#[test]
fn a_changed_request_size_applies_to_later_requests() {
    let mut places = sized(KIB);
    let (id, _) = places.plain();
    places.send(id, &set(KIB));
    limit(&mut places.bench, |limits| limits.request_size = 2 * KIB);
    places.send(id, &set(2 * KIB));
    limit(&mut places.bench, |limits| limits.request_size = KIB);
    places.bench.say(id, &set(2 * KIB));
    places.bench.router.forget(id, places.bench.now);
    let reported = |event: &Event| matches!(event, Event::Closed { reason, .. } if reason.as_str() == "request_too_large");
    assert!(places.bench.events().iter().any(reported));
}
