//! The cost of wrong passwords and of too many sessions, in the router, on a clock that the tests move.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use redoubt_core::auth::{ConnectionLimiter, ConnectionLimits, Networks, ThrottleLimits};
use redoubt_core::router::SessionId;
use redoubt_core::session::{CloseReason, Event};
use support::bench::{Bench, CLIENT_PASSWORD, assert_bytes, request};

const LIMITS: ConnectionLimits = ConnectionLimits {
    sessions: 100,
    per_source: None,
    per_identity: None,
    unauthenticated: 100,
    unauthenticated_memory: 100_000,
};
const WRONGPASS: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";

struct AuthBench {
    bench: Bench,
    limiter: Arc<ConnectionLimiter>,
}

impl AuthBench {
    /// Configures that the second wrong password gets the first delay and the fourth the first
    /// lock-out.
    fn new(limits: ConnectionLimits) -> Self {
        let throttle = ThrottleLimits {
            failures: 4,
            lockout: Duration::from_secs(1),
            max_lockout: Duration::from_secs(60),
        };
        let shared = vec!["198.51.100.0/24".parse().unwrap()];
        let networks = Networks { shared, ..Networks::default() };
        let limiter = ConnectionLimiter::new(networks, limits, throttle);
        Self { bench: Bench::new(), limiter: Arc::new(limiter) }
    }

    fn open(&mut self, client: [u8; 4]) -> SessionId {
        let permit = self.limiter.admit(Some(IpAddr::from(client)), self.bench.now).unwrap();
        self.bench.router.open_with(permit, self.bench.now)
    }

    fn say(&mut self, id: SessionId, words: &[&str]) {
        self.bench.say(id, &request(words));
    }

    fn closed(&mut self, id: SessionId) -> CloseReason {
        self.bench.close(id)
    }
}

const HERE: [u8; 4] = [192, 0, 2, 1];
const THERE: [u8; 4] = [192, 0, 2, 2];

#[test]
fn a_delayed_reply_delays_only_its_own_session() {
    let mut auth = AuthBench::new(LIMITS);
    let (slow, other) = (auth.open(HERE), auth.open(HERE));
    auth.say(slow, &["AUTH", "wrong"]);
    assert_bytes(&auth.bench.read(slow), WRONGPASS);
    // Requests pipelined behind a wrong password wait too, and are not parsed.
    let pipeline = [request(&["AUTH", "wrong"]), request(&["AUTH", CLIENT_PASSWORD])].concat();
    auth.bench.say(slow, &pipeline);
    assert!(!auth.bench.router.wants_read(slow));
    assert_bytes(auth.bench.router.output(slow), b"");
    auth.say(other, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(other), b"+OK\r\n");
    auth.bench.pass(Duration::from_millis(99));
    assert_bytes(auth.bench.router.output(slow), b"");
    assert_eq!(auth.limiter.unauthenticated(), 1);
    auth.bench.pass(Duration::from_millis(1));
    assert_bytes(&auth.bench.read(slow), &[WRONGPASS, b"+OK\r\n"].concat());
    assert!(auth.bench.router.wants_read(slow));
    assert_eq!(auth.limiter.unauthenticated(), 0);
}

#[test]
fn a_session_that_closes_during_a_delay_gets_its_reply_and_ends() {
    let mut auth = AuthBench::new(LIMITS);
    let id = auth.open(HERE);
    auth.say(id, &["AUTH", "wrong"]);
    auth.say(id, &["AUTH", "wrong"]);
    auth.bench.router.client_eof(id, auth.bench.now);
    assert!(!auth.bench.router.is_finished(id));
    auth.bench.pass(Duration::from_secs(1));
    auth.bench.read(id);
    assert_eq!(auth.closed(id), CloseReason::Client);
}

#[test]
fn shutdown_does_not_wait_for_delayed_replies() {
    let mut auth = AuthBench::new(LIMITS);
    let id = auth.open(HERE);
    auth.say(id, &["AUTH", "wrong"]);
    auth.say(id, &["AUTH", "wrong"]);
    auth.bench.router.drain();
    assert_bytes(&auth.bench.read(id), &WRONGPASS.repeat(2));
    assert_eq!(auth.closed(id), CloseReason::Shutdown);
}

#[test]
fn a_lock_out_closes_only_sessions_that_send_further_wrong_passwords() {
    let mut auth = AuthBench::new(LIMITS);
    let [guesser, late, known, slip] = [(); 4].map(|()| auth.open(HERE));
    auth.say(known, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(known), b"+OK\r\n");
    for _ in 0..3 {
        auth.say(guesser, &["AUTH", "wrong"]);
        auth.bench.pass(Duration::from_millis(300));
        assert_bytes(&auth.bench.read(guesser), WRONGPASS);
    }
    drop(auth.bench.events());
    auth.say(guesser, &["AUTH", "wrong"]);
    assert_bytes(auth.bench.router.output(guesser), b"");
    let events = auth.bench.events();
    assert!(matches!(events[..], [Event::AuthFailed { .. }, Event::LockedOut { lasts }]
        if lasts == Duration::from_secs(1)));
    assert_eq!(auth.closed(guesser), CloseReason::LockedOut);
    assert!(auth.limiter.admit(Some(HERE.into()), auth.bench.now).is_err());
    assert!(auth.limiter.admit(Some(THERE.into()), auth.bench.now).is_ok());

    auth.say(slip, &["HELLO", "3", "AUTH", "default", "wrong"]);
    assert_bytes(auth.bench.router.output(slip), b"");
    assert_eq!(auth.closed(slip), CloseReason::LockedOut);
    auth.say(late, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(late), b"+OK\r\n");
    auth.say(known, &["AUTH", "wrong"]);
    assert_bytes(auth.bench.router.output(known), b"");
    auth.bench.pass(Duration::from_secs(2));
    assert_bytes(&auth.bench.read(known), WRONGPASS);
    assert!(!auth.bench.router.is_finished(known));
}

#[test]
fn a_session_over_the_identity_limit_gets_an_error_and_sends_nothing_upstream() {
    let mut auth = AuthBench::new(ConnectionLimits { per_identity: Some(1), ..LIMITS });
    let [first, second, third] = [(); 3].map(|()| auth.open(HERE));
    auth.say(first, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(first), b"+OK\r\n");
    let pipeline = [request(&["AUTH", CLIENT_PASSWORD]), request(&["SET", "k", "v"])].concat();
    auth.bench.say(second, &pipeline);
    auth.say(third, &["HELLO", "3", "AUTH", "default", CLIENT_PASSWORD]);
    for id in [second, third] {
        assert_bytes(&auth.bench.read(id), b"-ERR max number of clients reached\r\n");
        assert_eq!(auth.closed(id), CloseReason::IdentityLimit);
    }
    assert!(auth.bench.router.next_link_to_open().is_none());
    // RESET returns the place, and AUTH takes it again.
    let fourth = auth.open(HERE);
    auth.say(first, &["RESET"]);
    assert_bytes(&auth.bench.read(first), b"+RESET\r\n");
    auth.say(fourth, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(fourth), b"+OK\r\n");
    auth.say(first, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(first), b"-ERR max number of clients reached\r\n");
}

#[test]
fn half_sent_requests_before_auth_are_buffered_up_to_a_limit() {
    let mut auth = AuthBench::new(LIMITS);
    let half = [b"*2\r\n$4\r\nAUTH\r\n$16000\r\n".as_slice(), &[b'x'; 10_000]].concat();
    let ids: Vec<_> = (0..20).map(|_| auth.open(HERE)).collect();
    for id in &ids {
        auth.bench.say(*id, &half);
    }
    assert!(auth.limiter.unauthenticated_memory() <= LIMITS.unauthenticated_memory + 20_000);
    let (over, held): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|id| auth.bench.router.is_finished(*id));
    assert!(held.len() >= 5, "{} are held", held.len());
    assert!(over.len() >= 5, "{} are closed", over.len());
    for id in over {
        assert_eq!(auth.closed(id), CloseReason::UnauthenticatedMemory);
    }
    assert!(auth.limiter.unauthenticated_memory() <= LIMITS.unauthenticated_memory);
    // A client with the right password is not delayed.
    let id = auth.open(THERE);
    auth.say(id, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(id), b"+OK\r\n");
    for id in held {
        auth.bench.router.client_lost(id);
        assert_eq!(auth.closed(id), CloseReason::Client);
    }
    assert_eq!(auth.limiter.unauthenticated_memory(), 0);
    assert_eq!((auth.limiter.sessions(), auth.limiter.unauthenticated()), (1, 0));
}

const SHARED: [u8; 4] = [198, 51, 100, 1];

#[test]
fn wrong_passwords_from_a_shared_address_are_delayed_and_the_right_one_is_not() {
    let mut auth = AuthBench::new(LIMITS);
    let guessers: Vec<_> = (0..80).map(|_| auth.open(SHARED)).collect();
    for id in &guessers {
        auth.say(*id, &["AUTH", "wrong"]);
    }
    // This many answers wait; every further client with a wrong password is closed.
    let (over, waiting): (Vec<_>, Vec<_>) =
        guessers.into_iter().partition(|id| auth.bench.router.is_finished(*id));
    assert_eq!((over.len(), waiting.len()), (80 - 65, 65), "the first was answered at once");
    for id in over {
        assert_bytes(auth.bench.router.output(id), b"");
        assert_eq!(auth.closed(id), CloseReason::LockedOut);
    }
    let honest = auth.open(SHARED);
    auth.say(honest, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&auth.bench.read(honest), b"+OK\r\n");
    auth.bench.pass(Duration::from_secs(2));
    for id in waiting {
        assert_bytes(&auth.bench.read(id), WRONGPASS);
    }
    let late = auth.open(SHARED);
    auth.say(late, &["AUTH", "wrong"]);
    assert!(!auth.bench.router.is_finished(late), "a further reply may be delayed again");
    let events = auth.bench.events();
    assert!(!events.iter().any(|event| matches!(event, Event::LockedOut { .. })));
}
