//! `WAIT` covers the earlier writes of a session, whichever link carried them.

use super::{requests, shared};
use support::{Deadline, Redis, frame, signal};

#[test]
fn invariant_2_wait_counts_replicas_that_have_the_sessions_writes() {
    let (redis, redoubt) = shared();
    let master = redoubt.stand_in().unwrap_or(&redis);
    let replica = Redis::setup()
        .password(master.password())
        .config(&format!("replicaof 127.0.0.1 {}", master.port()))
        .config(&format!("masterauth {}", master.password()))
        .start();
    let mut direct = master.direct();
    let online = Deadline::standard().poll(|| {
        let info = direct.command(&["INFO", "replication"]);
        String::from_utf8_lossy(&info).contains("state=online")
    });
    assert!(online, "the replica does not come up");
    let mut copy = replica.direct();
    let mut session = redoubt.session();
    for round in 0..20 {
        let value = format!("v{round}");
        session.send(&requests(&[&format!("SET k {value}"), "WAIT 1 0"]));
        session.expect(b"+OK\r\n:1\r\n");
        assert_eq!(copy.command(&["GET", "k"]), frame::bulk(value.as_bytes()));
    }
    // A stopped replica has none of the writes from now on, however new the link is.
    signal(replica.pid(), "STOP");
    for (number, write) in
        ["SET k late", "EVAL return{redis.call('INCR','n')} 0", "LPUSH l 1"].iter().enumerate()
    {
        let mut fresh = redoubt.session();
        fresh.command(&write.split(' ').collect::<Vec<_>>());
        assert_eq!(fresh.command(&["WAIT", "1", "50"]), b":0\r\n", "{number}: {write}");
        fresh.send(&requests(&[write, "WAIT 1 50", "PING"]));
        while !fresh.received().ends_with(b":0\r\n+PONG\r\n") {
            let heard = fresh.received().ends_with(b":1\r\n+PONG\r\n");
            assert!(!heard, "{write} is not on the replica");
            fresh.receive();
        }
    }
    signal(replica.pid(), "CONT");
    assert_eq!(session.command(&["SET", "k", "last"]), b"+OK\r\n");
    assert_eq!(session.command(&["WAIT", "1", "0"]), b":1\r\n");
    assert_eq!(copy.command(&["GET", "k"]), frame::bulk(b"last"));
}
