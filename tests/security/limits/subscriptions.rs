//! Limits on subscriptions.

use super::assert_closed_for;
use support::{Deadline, Redis, Redoubt, frame};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn exceeding_the_subscription_limit_closes_the_session() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("limits.subscriptions", 3).start();
    let mut wire = redoubt.session();
    let mut other = redoubt.session();
    other.command(&["SUBSCRIBE", "a"]);
    for (word, channel) in [("SUBSCRIBE", "a"), ("PSUBSCRIBE", "p*"), ("SUBSCRIBE", "b")] {
        wire.command(&[word, channel]);
    }
    // The same channel again, and another in the place of one, still make three.
    assert!(wire.command(&["SUBSCRIBE", "b"]).ends_with(b":3\r\n"));
    assert!(wire.command(&["UNSUBSCRIBE", "b"]).ends_with(b":2\r\n"));
    assert!(wire.command(&["SSUBSCRIBE", "s"]).ends_with(b":1\r\n"));
    let mut publisher = redoubt.session();
    assert_eq!(publisher.command(&["PUBLISH", "a", "text"]), b":2\r\n");
    assert_eq!(wire.frame(), b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\ntext\r\n");
    wire.offer(&frame::request(&["SUBSCRIBE", "c"]));
    wire.read_to_close();
    assert_closed_for(&redoubt, "subscriptions");
    // Other sessions are not affected, and Redis has removed the closed session's subscriptions.
    other.frame();
    let alone = Deadline::standard()
        .poll(|| publisher.command(&["PUBSUB", "NUMSUB", "a"]) == b"*2\r\n$1\r\na\r\n:1\r\n");
    assert!(alone, "its subscriptions are left");
}
