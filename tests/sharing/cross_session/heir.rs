//! A new session, which may get a connection that another session used before.

use std::time::Duration;

use support::{Redoubt, frame};

/// Panics if anything of another session is visible.
pub(crate) fn inspect(redoubt: &Redoubt) {
    let mut wire = redoubt.session();
    wire.set_time_limit(Duration::from_secs(10));
    let mut ask = |words: &[&str], reply: &[u8]| {
        wire.send(&frame::request(words));
        wire.expect(reply);
    };
    // This request uses any shared link.
    ask(&["ECHO", "heir"], b"$4\r\nheir\r\n");
    ask(&["CLIENT", "GETNAME"], b"$-1\r\n");
    ask(&["EXEC"], b"-ERR EXEC without MULTI\r\n");
    ask(&["DISCARD"], b"-ERR DISCARD without MULTI\r\n");
    // This one uses a lease: nothing is queued or watched, the database is 0, the protocol RESP2.
    ask(&["MULTI"], b"+OK\r\n");
    ask(&["SET", "heir", "1"], b"+QUEUED\r\n");
    ask(&["HGETALL", "nothing"], b"+QUEUED\r\n");
    ask(&["EXEC"], b"*2\r\n+OK\r\n*0\r\n");
    ask(&["SELECT", "0"], b"+OK\r\n");
    ask(&["DEL", "heir"], b":1\r\n");
    // This one keeps a lease, and Redis itself describes the connection.
    let untracked = b"*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n\
        $8\r\nprefixes\r\n*0\r\n";
    ask(&["CLIENT", "TRACKINGINFO"], untracked);
    let info = String::from_utf8(wire.command(&["CLIENT", "INFO"])).expect("text");
    // Valkey 9 reports 0 where other servers report -1.
    assert!(info.contains(" multi=-1 ") || info.contains(" multi=0 "), "{info}");
    for part in [" name= ", " db=0 ", " sub=0 ", " psub=0 ", " resp=2"] {
        assert!(info.contains(part), "{part:?} is missing in {info}");
    }
}
