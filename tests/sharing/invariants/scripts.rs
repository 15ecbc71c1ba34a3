//! A script that overruns: other sessions get `BUSY`, and can end it.

use std::time::Duration;

use super::requests;
use support::{Deadline, Redis, Redoubt, frame, now, shown, since};

const BUSY: &[u8] = b"-BUSY Redis is busy running a script.";

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invariant_7_other_sessions_get_busy_while_a_script_overruns() {
    let redis = Redis::setup().config("lua-time-limit 20").start();
    let redoubt = Redoubt::setup(&redis).set_text("policy.escapes", "allow").start();
    let mut plain = redoubt.session();
    let mut scripted = redoubt.session();
    let mut watching = redoubt.session();
    let mut looping = redoubt.session();
    assert_eq!(plain.command(&["SET", "k", "v"]), b"+OK\r\n");
    // A session that has run scripts before is on the common link again.
    assert_eq!(scripted.command(&["EVAL", "return 7", "0"]), b":7\r\n");
    assert_eq!(watching.command(&["WATCH", "k"]), b"+OK\r\n");
    looping.send(&frame::request(&["EVAL", "while true do end", "0"]));
    looping.send(&requests(&["GET k"]));
    let started = now();
    let reported = Deadline::standard().poll(|| plain.command(&["GET", "k"]).starts_with(BUSY));
    assert!(reported, "no session got BUSY");
    for wire in [&mut plain, &mut scripted, &mut watching] {
        let reply = wire.command(&["GET", "k"]);
        assert!(reply.starts_with(BUSY), "{}", shown(&reply));
    }
    // It makes a transaction fail, as in Redis.
    assert_eq!(watching.command(&["MULTI"]), b"+OK\r\n");
    assert!(watching.command(&["GET", "k"]).starts_with(BUSY));
    let mut newcomer = redoubt.session();
    assert!(newcomer.command(&["GET", "k"]).starts_with(BUSY));
    assert_eq!(scripted.command(&["SCRIPT", "KILL"]), b"+OK\r\n");
    let end = looping.frame();
    assert!(shown(&end).contains("Script killed by user"), "{}", shown(&end));
    looping.expect(&frame::bulk(b"v"));
    assert!(watching.command(&["EXEC"]).starts_with(b"-EXECABORT"));
    for wire in [&mut plain, &mut scripted, &mut watching, &mut newcomer] {
        assert_eq!(wire.command(&["GET", "k"]), frame::bulk(b"v"));
    }
    assert!(since(started) < Duration::from_secs(20).as_secs_f64());
}
