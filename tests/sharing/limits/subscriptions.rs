//! The limit on subscriptions.

use redoubt_core::router::{LinkId, SessionId, Sharing};
use redoubt_core::session::CloseReason;

use super::{limit, limited};
use crate::places::Places;
use support::bench::{Bench, assert_bytes};

/// Returns Redis's confirmations; the count at their end goes from `from` to `to`.
fn confirmed(kind: &str, from: u32, to: u32) -> Vec<u8> {
    let one = |count: u32| {
        let channel = format!("c{count}");
        let (kind_len, len) = (kind.len(), channel.len());
        format!("*3\r\n${kind_len}\r\n{kind}\r\n${len}\r\n{channel}\r\n:{count}\r\n")
    };
    let steps: Vec<u32> =
        if from <= to { (from..=to).collect() } else { (to..=from).rev().collect() };
    steps.into_iter().map(one).collect::<String>().into_bytes()
}

fn listening() -> (Places, SessionId, LinkId) {
    let mut places = limited(|limits| limits.subscriptions = 3);
    let id = places.bench.authenticated();
    let lease = places.turn(id, b"SUBSCRIBE c1 c2\r\n", &confirmed("subscribe", 1, 2));
    (places, id, lease)
}

#[test]
fn one_subscription_over_the_limit_closes_the_session() {
    for (word, kind) in [("SUBSCRIBE", "subscribe"), ("PSUBSCRIBE", "psubscribe")] {
        let (mut places, id, lease) = listening();
        let third = format!("{word} c3\r\n");
        places.turn(id, third.as_bytes(), &confirmed(kind, 3, 3));
        // Subscribing again to the same channel does not count.
        places.turn(id, third.as_bytes(), &confirmed(kind, 3, 3));
        places.send(id, format!("{word} c4\r\n").as_bytes());
        assert!(!places.bench.router.is_finished(id), "Redis has not said so yet");
        places.bench.reply(lease, &confirmed(kind, 4, 4));
        assert_eq!(places.bench.close(id), CloseReason::Subscriptions);
        assert!(places.is_closed(lease));
    }
}

#[test]
fn shard_channels_count_toward_the_subscription_limit() {
    let (mut places, id, lease) = listening();
    places.turn(id, b"SSUBSCRIBE c1\r\n", &confirmed("ssubscribe", 1, 1));
    places.send(id, b"SSUBSCRIBE c2\r\n");
    places.bench.reply(lease, &confirmed("ssubscribe", 2, 2));
    assert_eq!(places.bench.close(id), CloseReason::Subscriptions);
}

#[test]
fn an_unsubscribed_channel_makes_room_for_another() {
    let (mut places, id, _) = listening();
    places.turn(id, b"SUBSCRIBE c3\r\n", &confirmed("subscribe", 3, 3));
    places.turn(id, b"UNSUBSCRIBE c3\r\n", &confirmed("unsubscribe", 2, 2));
    places.turn(id, b"SUBSCRIBE c3\r\n", &confirmed("subscribe", 3, 3));
    places.turn(id, b"UNSUBSCRIBE\r\n", &confirmed("unsubscribe", 2, 0));
    places.turn(id, b"GET k\r\n", b"$-1\r\n");
}

#[test]
fn many_subscriptions_in_one_request_are_limited_too() {
    let (mut places, id, lease) = listening();
    places.send(id, b"SUBSCRIBE c3 c4 c5 c6\r\n");
    places.bench.reply(lease, &confirmed("subscribe", 3, 6));
    assert_eq!(places.bench.close(id), CloseReason::Subscriptions);
}

#[test]
fn a_subscription_over_the_limit_counts_even_if_it_ends_at_once() {
    let (mut places, id, lease) = listening();
    places.send(id, b"SUBSCRIBE c3 c4\r\nUNSUBSCRIBE\r\n");
    let all = [confirmed("subscribe", 3, 4), confirmed("unsubscribe", 3, 0)].concat();
    places.bench.reply(lease, &all);
    assert_eq!(places.bench.close(id), CloseReason::Subscriptions);
}

#[test]
fn requested_channels_count_where_confirmations_cannot_be_read() {
    let mut bench = Bench::with(Sharing::Off);
    limit(&mut bench, |limits| limits.subscriptions = 3);
    let (id, link) = bench.session_with_link();
    bench.answer(id, link, b"MULTI\r\n", b"+OK\r\n");
    bench.answer(id, link, b"SUBSCRIBE a b\r\n", b"+QUEUED\r\n");
    bench.answer(id, link, b"UNSUBSCRIBE a b\r\n", b"+QUEUED\r\n");
    bench.answer(id, link, b"PSUBSCRIBE c\r\n", b"+QUEUED\r\n");
    bench.say(id, b"SUBSCRIBE a\r\n");
    assert_bytes(&bench.sent(link), b"");
    assert_eq!(bench.close(id), CloseReason::Subscriptions);
}

#[test]
fn a_session_without_subscriptions_is_not_limited() {
    let mut places = limited(|limits| limits.subscriptions = 0);
    let id = places.bench.authenticated();
    places.turn(id, b"WATCH k\r\n", b"+OK\r\n");
    places.turn(id, b"UNSUBSCRIBE\r\n", b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
}
