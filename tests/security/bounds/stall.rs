//! A link on which Redis does not answer while it answers on others.

use support::{Redis, Redoubt, frame, lines};

/// Returns the value of a numeric field of a JSON line.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, value) = line.split_once(&format!("\"{name}\":"))?;
    value.split([',', '}']).next()?.parse().ok()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_stalled_shared_link_is_closed_and_others_continue() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.stall_timeout", "2s").start();
    let (mut first, mut behind) = (redoubt.session(), redoubt.session());
    assert_eq!(first.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(behind.command(&["GET", "k"]), frame::bulk(b"v"));
    // Redis now blocks writes of all clients, and reads nothing more from a client that has sent a
    // write.
    let mut direct = redis.direct();
    assert_eq!(direct.command(&["CLIENT", "PAUSE", "600000", "WRITE"]), b"+OK\r\n");
    first.send(&frame::request(&["SET", "k", "w"]));
    behind.send(&frame::request(&["GET", "k"]));
    assert_eq!(first.read_to_close(), b"");
    assert_eq!(behind.read_to_close(), b"");
    let stalled = |line: &str| line.contains("a shared link owed a reply");
    let line = redoubt.log().wait(stalled).expect("a warning");
    assert_eq!(number(&line, "sessions"), Some(2), "{line}");
    let session = number(&line, "session").expect("the session");
    let closed = |line: &str| {
        lines::field(line, "reason") == Some("upstream_stalled")
            && number(line, "session") == Some(session)
    };
    assert!(redoubt.log().wait(closed).is_some(), "the session is not named");
    redoubt.wait_for_metric("redoubt_links_stalled_total", 1.0);
    // Other requests go over a new link.
    let mut next = redoubt.session();
    assert_eq!(next.command(&["GET", "k"]), frame::bulk(b"v"));
    assert_eq!(redoubt.metric("redoubt_upstream_up"), 1.0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_link_counts_as_stalled_while_redis_answers_no_link() {
    let redis = Redis::setup().config("enable-debug-command local").start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.stall_timeout", "1s").start();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut direct = redis.direct();
    // It blocks Redis's only thread for far longer than a link may owe a reply.
    direct.send(&frame::request(&["DEBUG", "SLEEP", "6"]));
    session.send(&frame::request(&["GET", "k"]));
    direct.set_time_limit(std::time::Duration::from_secs(60));
    assert_eq!(direct.frame(), b"+OK\r\n");
    session.set_time_limit(std::time::Duration::from_secs(60));
    assert_eq!(session.frame(), frame::bulk(b"v"));
    assert_eq!(redoubt.metric("redoubt_links_stalled_total"), 0.0);
}
