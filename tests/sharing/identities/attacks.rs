//! A client of one identity tries to reach what belongs to another.

use redoubt_core::session::Rights;
use redoubt_core::upstream::Dialect;

use super::{OK, grant, log_in, login, only_in, password, places};
use crate::places::shown;
use support::bench::{assert_bytes, request};

const NO_DATABASE: &[u8] = b"-NOPERM No permissions to access database\r\n";

#[test]
fn scripts_and_functions_of_two_identities_run_on_links_of_their_own() {
    let mut places = places();
    let [reader, writer] = ["reader", "writer"].map(|name| log_in(&mut places, name));
    for line in [&b"EVAL 'return 1' 0\r\n"[..], b"EVALSHA x 0\r\n", b"FCALL f 0\r\n"] {
        let first = places.turn(reader, line, b":1\r\n");
        let second = places.turn(writer, line, b":1\r\n");
        assert_ne!(first, second);
    }
    assert_bytes(&places.login, &login("guard-w"));
}

#[test]
fn a_transaction_never_logs_its_connection_in_as_another_identity() {
    let mut places = places();
    let reader = log_in(&mut places, "reader");
    let lease = places.turn(reader, b"MULTI\r\n", OK);
    let secret = password("writer");
    for claim in
        [request(&["AUTH", "writer", &secret]), request(&["HELLO", "2", "AUTH", "writer", &secret])]
    {
        let (link, sent) = places.send(reader, &claim);
        let sent = shown(&sent);
        assert!(link == lease && sent.contains("no such user"), "{sent}");
        assert!(!sent.contains("guard") && !sent.contains(&secret), "{sent}");
        places.bench.reply(lease, b"+QUEUED\r\n");
        places.bench.read(reader);
    }
    places.send(reader, b"ACL WHOAMI\r\n");
    places.bench.reply(lease, b"+QUEUED\r\n");
    places.bench.read(reader);
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let reply = format!("*3\r\n{wrong}{wrong}$6\r\nreader\r\n");
    places.turn(reader, b"EXEC\r\n", reply.as_bytes());
}

#[test]
fn sessions_of_another_identity_cannot_be_unblocked_or_sent_invalidations() {
    let mut places = places();
    let [attacker, victim, other] =
        ["reader", "writer", "reader"].map(|name| log_in(&mut places, name));
    let mut ids = Vec::new();
    for (number, session) in (2..).zip([victim, other]) {
        places.bench.router.set_number(session, number);
        places.bench.say(session, b"CLIENT ID\r\n");
        ids.push(String::from_utf8(places.bench.read(session)).unwrap());
    }
    let ids: Vec<_> = ids.iter().map(|id| id.trim().trim_start_matches(':')).collect();
    // Both wait on leases, whose numbers Redoubt asks for.
    let mut leases = Vec::new();
    for (session, number) in [(victim, 31), (other, 32)] {
        let (lease, sent) = places.send(session, b"BLPOP k 0\r\n");
        assert!(shown(&sent).contains("CLIENT\\r\\n$2\\r\\nID"), "{}", shown(&sent));
        places.bench.reply(lease, format!(":{number}\r\n").as_bytes());
        leases.push(lease);
    }
    let (link, sent) = places.send(attacker, format!("CLIENT UNBLOCK {}\r\n", ids[0]).as_bytes());
    assert_bytes(&sent, &request(&["CLIENT", "UNBLOCK", "0"]));
    places.bench.reply(link, b":0\r\n");
    places.bench.read(attacker);
    let tracking = format!("CLIENT TRACKING on BCAST REDIRECT {}\r\n", ids[0]);
    let unknown = b"-ERR The client ID you want redirect to does not exist\r\n";
    places.local(attacker, tracking.as_bytes(), unknown);
    // A session of its own can be named.
    let (link, sent) = places.send(attacker, format!("CLIENT UNBLOCK {}\r\n", ids[1]).as_bytes());
    assert_bytes(&sent, &request(&["CLIENT", "UNBLOCK", "32"]));
    places.bench.reply(link, b":1\r\n");
}

#[test]
fn no_state_of_a_session_opens_a_database_that_its_identity_may_not_use() {
    let mut places = places();
    grant(&mut places, Dialect::REDIS_7_0, [only_in(&[1]), Rights::default()]);
    let claim = request(&["AUTH", "reader", &password("reader")]);
    let reader = log_in(&mut places, "reader");
    let silent = [&b"CLIENT REPLY OFF\r\nSET k v\r\nEVAL x 0\r\nMULTI\r\nSET k v\r\nEXEC\r\n"[..]];
    places.local(reader, &silent.concat(), b"");
    places.local(reader, b"CLIENT REPLY ON\r\n", OK);
    places.local(reader, b"CLIENT REPLY SKIP\r\nSET k v\r\nGET k\r\n", NO_DATABASE);
    let select = b"-NOPERM this user has no permissions to run the 'select' command\r\n";
    for line in ["SELECT 0", "SELECT 2"] {
        places.local(reader, format!("{line}\r\n").as_bytes(), select);
    }
    // After RESET, in one write.
    places.turn(reader, b"SELECT 1\r\n", OK);
    let again = [b"RESET\r\n", &claim[..], b"APPEND k v\r\nEVAL x 0\r\n"].concat();
    let replies = [b"+RESET\r\n", OK, NO_DATABASE, NO_DATABASE].concat();
    places.local(reader, &again, &replies);
    // In the subscribed state.
    let (lease, _) = places.send(reader, b"SUBSCRIBE c\r\n");
    places.bench.reply(lease, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    places.bench.read(reader);
    for line in ["GET k", "MULTI", "EVAL x 0", "SELECT 0"] {
        assert_eq!(places.try_send(reader, format!("{line}\r\n").as_bytes()), None, "{line}");
    }
    let refused = [NO_DATABASE, NO_DATABASE, NO_DATABASE, select].concat();
    assert_bytes(&places.bench.read(reader), &refused);
    // On a lease that it keeps.
    let pinned = log_in(&mut places, "reader");
    let lease = places.turn(pinned, b"CLIENT NO-EVICT on\r\n", OK);
    places.local(pinned, b"GET k\r\nWATCH k\r\nMULTI\r\n", &NO_DATABASE.repeat(3));
    assert_eq!(places.turn(pinned, b"SELECT 1\r\n", OK), lease);
    assert_eq!(places.turn(pinned, b"GET k\r\n", b"$-1\r\n"), lease);
}
