//! A server that has no time to prepare a link: waiting requests are answered, and no session ends.

use std::time::Duration;

use redoubt_core::router::{LinkId, SessionId};

use crate::places::Places;
use support::bench::{UPSTREAM_PASSWORD, assert_bytes, request};

const BUSY: &[u8] = b"-BUSY Redis is busy running a script.\r\n";
const ABORTED: &[u8] =
    b"-EXECABORT Transaction discarded because of: BUSY Redis is busy running a script.\r\n";
const OK: &[u8] = b"+OK\r\n";
/// More than a tick, and more than the pause between two attempts.
const WHILE: Duration = Duration::from_millis(300);

impl Places {
    /// Returns a session in database 5, which is known to exist.
    fn elsewhere(&mut self) -> SessionId {
        let id = self.bench.authenticated();
        self.local(id, b"SELECT 5\r\n", OK);
        id
    }

    /// Returns sessions that are open before the server is busy.
    fn with_sessions_elsewhere<const N: usize>() -> (Self, [SessionId; N]) {
        let mut places = Self::new();
        let (first, _) = places.plain();
        let lease = places.turn(first, b"SELECT 5\r\n", OK);
        // The lease then has state, so later sessions cannot use it.
        places.turn(first, b"WATCH k\r\n", OK);
        places.leave(first);
        assert!(places.is_closed(lease));
        let sessions = [(); N].map(|()| places.elsewhere());
        (places, sessions)
    }

    /// Connects the one link that is to be opened; the server has no time for it.
    #[track_caller]
    fn refuse_next(&mut self) -> LinkId {
        let link = self.bench.router.next_link_to_open().expect("a link to open");
        self.bench.router.link_connected(link, self.bench.now);
        let login = self.bench.sent(link);
        assert!(login.starts_with(&request(&["AUTH", UPSTREAM_PASSWORD])));
        let before = login.iter().filter(|byte| **byte == b'*').count() - 1;
        self.bench.reply(link, &[&OK.repeat(before), BUSY].concat());
        assert!(self.is_closed(link));
        self.bench.router.forget_link(link);
        link
    }
}

#[test]
fn requests_for_a_busy_server_get_its_error_in_order_and_sessions_continue() {
    let (mut places, [id, other]) = Places::with_sessions_elsewhere();
    places.bench.say(id, b"GET a\r\nCLIENT GETNAME\r\nGET b\r\n");
    places.bench.say(other, b"GET c\r\n");
    places.refuse_next();
    assert_bytes(&places.bench.read(id), &[BUSY, b"$-1\r\n", BUSY].concat());
    assert_bytes(&places.bench.read(other), BUSY);
    for session in [id, other] {
        places.bench.say(session, b"GET a\r\n");
    }
    assert_eq!(places.bench.router.next_link_to_open(), None, "at once");
    places.bench.pass(WHILE);
    let (_, sent) = places.flush().unwrap();
    assert_bytes(&sent, &request(&["GET", "a"]).repeat(2));
}

#[test]
fn a_transaction_on_a_busy_server_fails_at_exec_as_in_redis() {
    let (mut places, [id]) = Places::with_sessions_elsewhere();
    places.bench.say(id, b"MULTI\r\nSET k v\r\nFLUSHALL\r\nEXEC\r\nMULTI\r\nDISCARD\r\nGET k\r\n");
    places.refuse_next();
    let unknown = b"-ERR unknown command 'FLUSHALL', with args beginning with: \r\n";
    let wanted = [OK, BUSY, unknown, ABORTED, OK, OK, BUSY].concat();
    assert_bytes(&places.bench.read(id), &wanted);
    places.bench.pass(WHILE);
    assert_eq!(places.bench.router.lease_count(), 0);
}

#[test]
fn a_transaction_begun_without_a_link_fails_when_the_server_is_back() {
    let (mut places, [id]) = Places::with_sessions_elsewhere();
    places.bench.say(id, b"MULTI\r\nSET k v\r\n");
    places.refuse_next();
    assert_bytes(&places.bench.read(id), &[OK, BUSY].concat());
    // The request is answered with an error again, and then once more in parts.
    places.bench.say(id, b"SET k w\r\n");
    places.bench.pass(WHILE);
    places.refuse_next();
    assert_bytes(&places.bench.read(id), BUSY);
    places.bench.say(id, b"SET k x\r\n");
    places.bench.pass(WHILE);
    let (link, sent) = places.flush().unwrap();
    assert!(sent.starts_with(&request(&["MULTI"])) && sent.ends_with(&request(&["SET", "k", "x"])));
    places.bench.reply(link, b"+OK\r\n-ERR unknown command\r\n+QUEUED\r\n");
    assert_bytes(&places.bench.read(id), b"+QUEUED\r\n");
    let aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(places.turn(id, b"EXEC\r\n", aborted), link);
    assert_eq!(places.bench.router.lease_count(), 0);
}

#[test]
fn on_a_busy_server_subscribe_gets_one_error_and_hello_keeps_the_protocol() {
    let (mut places, [id]) = Places::with_sessions_elsewhere();
    places.bench.say(id, b"SUBSCRIBE a b c\r\nGET k\r\n");
    places.refuse_next();
    assert_bytes(&places.bench.read(id), &[BUSY, BUSY].concat());
    places.bench.say(id, b"HELLO 3\r\n");
    places.bench.pass(WHILE);
    places.refuse_next();
    assert_bytes(&places.bench.read(id), BUSY);
    places.local(id, b"CLIENT GETNAME\r\n", b"$-1\r\n");
}

#[test]
fn a_large_request_for_a_busy_server_is_answered_and_its_rest_discarded() {
    let (mut places, [id]) = Places::with_sessions_elsewhere();
    let value = vec![b'v'; 4 << 20];
    let head = [&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4194304\r\n"[..], &value[..1 << 20]].concat();
    places.bench.say(id, &head);
    places.refuse_next();
    assert_bytes(&places.bench.read(id), b"");
    let rest = [&value[1 << 20..], b"\r\nGET k\r\n"].concat();
    places.bench.say(id, &rest);
    assert_bytes(&places.bench.read(id), BUSY);
    places.bench.pass(WHILE);
    let (_, sent) = places.flush().unwrap();
    assert_bytes(&sent, &request(&["GET", "k"]));
}

#[test]
fn only_one_link_at_a_time_is_tried_on_a_busy_server() {
    let (mut places, sessions) = Places::with_sessions_elsewhere::<8>();
    places.bench.say(sessions[0], b"GET k\r\n");
    places.refuse_next();
    for session in sessions {
        places.bench.say(session, b"WATCH k\r\n");
    }
    for _ in 0..3 {
        places.bench.pass(WHILE);
        places.refuse_next();
        assert_eq!(places.bench.router.next_link_to_open(), None, "more than one");
        for (index, session) in sessions.into_iter().enumerate() {
            let wanted = if index == 0 { BUSY.len() } else { 0 } + BUSY.len();
            let read = places.bench.read(session);
            assert!([wanted, BUSY.len()].contains(&read.len()), "{}", read.escape_ascii());
            places.bench.say(session, b"WATCH k\r\n");
        }
    }
    // One session ends meanwhile, and its link is closed.
    places.leave(sessions[7]);
    places.bench.pass(WHILE);
    places.connect_links();
    places.bench.pass(WHILE);
    places.connect_links();
    assert_eq!(places.bench.router.lease_count(), 7);
    assert_eq!(places.bench.router.next_link_to_open(), None);
}

#[test]
fn links_of_database_0_are_opened_while_the_server_is_busy() {
    let (mut places, [id]) = Places::with_sessions_elsewhere();
    places.bench.say(id, b"GET k\r\n");
    places.refuse_next();
    let other = places.bench.authenticated();
    places.turn(other, b"BLPOP k 1\r\n", BUSY);
}
