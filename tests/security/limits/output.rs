//! Limits on what waits for a client that does not read.

use super::assert_closed_for;
use support::{Redis, Redoubt, frame, shown, signal};

const MIB: usize = 1 << 20;

/// Waits until Redoubt has handled everything that it received before: its own replies follow in order.
fn wait_until_handled(redoubt: &Redoubt) {
    let mut wire = redoubt.connect();
    for _ in 0..3 {
        assert_eq!(wire.command(&["PING"]), b"-NOAUTH Authentication required.\r\n");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_session_that_does_not_read_is_closed_if_others_wait_behind_it() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.output_buffer", "1mb").start();
    redis.direct().command(&["SETRANGE", "big", &(32 * MIB).to_string(), "x"]);
    let (mut slow, mut behind) = (redoubt.session(), redoubt.session());
    // Both sessions are on the same link from here on.
    slow.command(&["PING"]);
    behind.command(&["PING"]);
    signal(redis.pid(), "STOP");
    slow.send(&frame::request(&["GET", "big"]));
    wait_until_handled(&redoubt);
    behind.send(&frame::request(&["ECHO", "behind"]));
    wait_until_handled(&redoubt);
    signal(redis.pid(), "CONT");
    assert_eq!(behind.frame(), b"$6\r\nbehind\r\n");
    assert_closed_for(&redoubt, "output_limit");
    redoubt.wait_for_metric("redoubt_sessions_closed_total{reason=\"output_limit\"}", 1.0);
    redoubt.wait_until_ready();
    let got = slow.read_to_close();
    assert!(got.len() < 32 * MIB, "{} bytes came, all of it", got.len());
    assert!(got.starts_with(b"$33554433\r\n"), "{}", shown(&got));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_subscriber_that_does_not_read_is_closed_by_redis() {
    // Redis buffers what Redoubt does not read, up to a limit of its own.
    let limit = "client-output-buffer-limit pubsub 8mb 0 0";
    let redis = Redis::setup().config(limit).start();
    let redoubt = Redoubt::setup(&redis).set_text("limits.output_buffer", "1mb").start();
    let mut listener = redoubt.session();
    listener.command(&["SUBSCRIBE", "channel"]);
    let before = redoubt.rss();
    let mut publisher = redoubt.session();
    let message = "m".repeat(MIB);
    // The messages are more than the sockets between hold.
    let heard = |reply: &[u8]| reply == b":1\r\n";
    let sent =
        (0..200).take_while(|_| heard(&publisher.command(&["PUBLISH", "channel", &message])));
    let sent = sent.count();
    assert!(sent < 200, "the listener is still there after {sent} MiB");
    assert!(redoubt.rss().saturating_sub(before) < 64 << 20, "Redoubt keeps what it should not");
    // It still gets what Redis had sent.
    let got = listener.read_to_close();
    assert!(got.len() > MIB, "only {} bytes came", got.len());
    assert_closed_for(&redoubt, "upstream_lost");
}
