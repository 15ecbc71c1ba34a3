//! An identity reaches nothing in a database that it may not use, also where the server has no such rule.

use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Rights};
use redoubt_core::upstream::Dialect;

use super::{OK, grant, log_in, login, only_in, password, places, redis_8};
use crate::places::Places;
use support::bench::{assert_bytes, request};

const NO_DATABASE: &[u8] = b"-NOPERM No permissions to access database\r\n";
const ABORTED: &[u8] =
    b"-EXECABORT Transaction discarded because of: NOPERM No permissions to access database\r\n";

/// Requests that reach keys, or may do so in some state.
const KEYED: [&str; 24] = [
    "GET k",
    "SET k v",
    "COPY a b DB 1",
    "MOVE k 1",
    "SORT k BY w_* GET #",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "WATCH k",
    "MULTI",
    "EVAL 'return 1' 0",
    "EVALSHA 0000000000000000000000000000000000000000 0",
    "FCALL f 0",
    "SCRIPT LOAD 'return 1'",
    "BLPOP k 0",
    "XREAD BLOCK 0 STREAMS k $",
    "OBJECT ENCODING k",
    "MEMORY USAGE k",
    "MIGRATE h 1 k 1 1",
    "SWAPDB 0 1",
    "FLUSHDB",
    "MONITOR",
    "ZZ.UNKNOWN k",
];

/// `reader` may use only databases 1 and 2.
fn limited() -> (Places, SessionId) {
    let mut places = places();
    grant(&mut places, Dialect::REDIS_7_0, [only_in(&[1, 2]), Rights::default()]);
    let reader = log_in(&mut places, "reader");
    (places, reader)
}

#[test]
fn nothing_reaches_a_key_before_a_database_is_selected_that_the_identity_may_use() {
    let (mut places, reader) = limited();
    for line in KEYED.into_iter().filter(|line| !line.starts_with("SET")) {
        places.local(reader, format!("{line}\r\n").as_bytes(), NO_DATABASE);
    }
    places.local(reader, b"EXEC\r\n", ABORTED);
    let wrong = b"-ERR wrong number of arguments for 'get' command\r\n";
    places.local(reader, b"GET\r\n", wrong);
    // A large request too.
    let large = request(&["APPEND", "k", &"x".repeat(200_000)]);
    places.local(reader, &large, NO_DATABASE);
    places.local(reader, b"CLIENT SETNAME name\r\n", OK);
    places.turn(reader, b"PING\r\n", b"+PONG\r\n");
    assert_bytes(&places.login, &login("guard-r"));
    // The lease is in database 0 and is not kept for others.
    let lease = places.turn(reader, b"SELECT 1\r\n", OK);
    let link = places.turn(reader, b"GET k\r\n", b"$-1\r\n");
    assert_ne!(link, lease);
    assert!(String::from_utf8(places.login.clone()).unwrap().contains("SELECT\r\n$1\r\n1\r\n"));
    // Other identities are not limited.
    let writer = log_in(&mut places, "writer");
    places.turn(writer, b"GET k\r\n", b"$-1\r\n");
}

#[test]
fn a_pipeline_waits_for_the_reply_to_select() {
    let (mut places, reader) = limited();
    let (lease, sent) = places.send(reader, b"SELECT 1\r\nGET a\r\nGET b\r\n");
    assert_bytes(&sent, &request(&["SELECT", "1"]));
    places.bench.reply(lease, OK);
    let (_, sent) = places.flush().expect("the waiting requests");
    assert_bytes(&sent, &[request(&["GET", "a"]), request(&["GET", "b"])].concat());
    // The server may refuse it all the same.
    let other = log_in(&mut places, "reader");
    let refused = b"-NOPERM this user has no permissions to run the 'select' command\r\n";
    let (lease, _) = places.send(other, b"SELECT 2\r\nGET a\r\n");
    places.bench.reply(lease, refused);
    assert_eq!(places.flush(), None);
    assert_bytes(&places.bench.read(other), &[&refused[..], NO_DATABASE].concat());
    assert!(places.is_closed(lease));
}

#[test]
fn select_of_another_database_is_refused_in_the_servers_words() {
    let valkey = Dialect::of("valkey", redoubt_core::command::Version::new(9, 1, 0));
    for (dialect, error) in [
        (
            Dialect::REDIS_7_0,
            &b"-NOPERM this user has no permissions to run the 'select' command\r\n"[..],
        ),
        (redis_8(), b"-NOPERM User reader has no permissions to run the 'select' command\r\n"),
        (valkey, NO_DATABASE),
    ] {
        let (mut places, _) = limited();
        grant(&mut places, dialect, [only_in(&[1, 2]), Rights::default()]);
        let reader = log_in(&mut places, "reader");
        for line in ["SELECT 0", "SELECT 3", "SELECT 99"] {
            places.local(reader, format!("{line}\r\n").as_bytes(), error);
        }
        places.turn(reader, b"SELECT 1\r\n", OK);
        places.local(reader, b"SELECT 0\r\n", error);
        // It stays in database 1.
        places.turn(reader, b"GET k\r\n", b"$-1\r\n");
        let lease = places.turn(reader, b"MULTI\r\n", OK);
        places.send(reader, b"SELECT 0\r\n");
        places.bench.reply(lease, b"-ERR unknown command\r\n");
        assert_bytes(&places.bench.read(reader), error);
    }
}

#[test]
fn reset_and_another_identity_take_the_right_to_the_database_away() {
    let (mut places, reader) = limited();
    places.turn(reader, b"SELECT 1\r\n", OK);
    places.turn(reader, b"GET k\r\n", b"$-1\r\n");
    places.local(reader, b"RESET\r\n", b"+RESET\r\n");
    places.local(reader, &request(&["AUTH", "reader", &password("reader")]), OK);
    places.local(reader, b"GET k\r\n", NO_DATABASE);

    grant(&mut places, Dialect::REDIS_7_0, [only_in(&[1, 2]), only_in(&[2])]);
    places.turn(reader, b"SELECT 1\r\n", OK);
    places.local(reader, &request(&["AUTH", "writer", &password("writer")]), OK);
    places.local(reader, b"GET k\r\n", NO_DATABASE);
    // Its link selects no database, since the user of the link may not select this one.
    places.turn(reader, b"PING\r\n", b"+PONG\r\n");
    assert_bytes(&places.login, &login("guard-w"));
    let lease = places.turn(reader, b"CLIENT NO-EVICT on\r\n", OK);
    assert_bytes(&places.login, &login("guard-w"));
    assert_eq!(places.turn(reader, b"SELECT 2\r\n", OK), lease);
    assert_eq!(places.turn(reader, b"GET k\r\n", b"$-1\r\n"), lease);
}

#[test]
fn a_lease_in_a_database_without_the_right_to_it_is_not_lent_again() {
    let (mut places, reader) = limited();
    let (lease, _) = places.send(reader, b"SUBSCRIBE c\r\n");
    places.bench.reply(lease, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    places.bench.read(reader);
    places.local(reader, b"EVAL 'return 1' 0\r\n", NO_DATABASE);
    places.send(reader, b"UNSUBSCRIBE c\r\n");
    places.bench.reply(lease, b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
    places.bench.read(reader);
    assert!(places.is_closed(lease));
    // The server says which databases there are; the identity may use this one and there is none.
    let (lease, _) = places.send(reader, b"SELECT 2\r\n");
    places.bench.reply(lease, b"-ERR DB index is out of range\r\n");
    places.bench.read(reader);
    assert!(places.is_closed(lease));
}

#[test]
fn a_reload_that_takes_a_database_away_ends_the_sessions_that_hold_state_in_it() {
    let (mut places, waiting) = limited();
    let [watching, plain] = [(); 2].map(|()| log_in(&mut places, "reader"));
    for session in [waiting, watching, plain] {
        let line = b"SELECT 1\r\n";
        // The server is asked the first time.
        if let Some((lease, _)) = places.try_send(session, line) {
            places.bench.reply(lease, OK);
        }
        assert_bytes(&places.bench.read(session), OK);
        places.prove();
    }
    places.turn(watching, b"WATCH k\r\n", OK);
    places.send(waiting, b"BLPOP k 0\r\n");
    places.turn(plain, b"GET k\r\n", b"$-1\r\n");
    grant(&mut places, Dialect::REDIS_7_0, [only_in(&[2]), Rights::default()]);
    assert_eq!(places.bench.close(watching), CloseReason::CredentialWithdrawn);
    assert_eq!(places.bench.close(waiting), CloseReason::CredentialWithdrawn);
    places.local(plain, b"GET k\r\n", NO_DATABASE);
    places.turn(plain, b"SELECT 2\r\n", OK);
    // The same rights again end nothing.
    let lease = places.turn(plain, b"WATCH k\r\n", OK);
    grant(&mut places, Dialect::REDIS_7_0, [only_in(&[2]), Rights::default()]);
    assert_eq!(places.turn(plain, b"GET k\r\n", b"$-1\r\n"), lease);
}

#[test]
fn flushall_below_a_prefix_is_refused_to_an_identity_of_some_databases() {
    let (mut places, reader) = limited();
    let old = std::sync::Arc::clone(places.bench.router.rules());
    let mut rules = redoubt_core::session::Rules::clone(old.of(super::id(0)));
    rules.compat.flush = true;
    let book = redoubt_core::session::Rulebook::new(std::sync::Arc::clone(old.strangers()));
    let book = book.with(super::id(0), std::sync::Arc::new(rules));
    places.bench.router.replace_rules(std::sync::Arc::new(book));
    places.local(reader, b"FLUSHALL\r\n", NO_DATABASE);
    places.turn(reader, b"SELECT 1\r\n", OK);
    places.local(reader, b"FLUSHALL\r\n", NO_DATABASE);
    assert!(places.bench.router.next_flush().is_none());
}
