//! A new session, which may have been given a connection that another used before.

use std::time::Duration;

use support::{Redoubt, frame};

/// Panics where anything of another session shows.
pub(crate) fn inspect(redoubt: &Redoubt) {
    let mut wire = redoubt.session();
    wire.be_patient(Duration::from_secs(10));
    let mut ask = |words: &[&str], reply: &[u8]| {
        wire.send(&frame::request(words));
        wire.expect(reply);
    };
    // On whatever link comes first.
    ask(&["ECHO", "heir"], b"$4\r\nheir\r\n");
    ask(&["CLIENT", "GETNAME"], b"$-1\r\n");
    ask(&["EXEC"], b"-ERR EXEC without MULTI\r\n");
    ask(&["DISCARD"], b"-ERR DISCARD without MULTI\r\n");
    // On a lease: nothing is queued or watched, the database is the first, the protocol RESP2.
    ask(&["MULTI"], b"+OK\r\n");
    ask(&["SET", "heir", "1"], b"+QUEUED\r\n");
    ask(&["HGETALL", "nothing"], b"+QUEUED\r\n");
    ask(&["EXEC"], b"*2\r\n+OK\r\n*0\r\n");
    ask(&["SELECT", "0"], b"+OK\r\n");
    ask(&["DEL", "heir"], b":1\r\n");
    // On a lease for good: Redis itself says what it knows of it.
    let untracked = b"*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n\
        $8\r\nprefixes\r\n*0\r\n";
    ask(&["CLIENT", "TRACKINGINFO"], untracked);
    let info = String::from_utf8(wire.command(&["CLIENT", "INFO"])).expect("text");
    // Valkey 9 says 0 where others say -1.
    assert!(info.contains(" multi=-1 ") || info.contains(" multi=0 "), "{info}");
    for part in [" name= ", " db=0 ", " sub=0 ", " psub=0 ", " resp=2"] {
        assert!(info.contains(part), "{part:?} is missing in {info}");
    }
}
