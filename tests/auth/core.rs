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

struct Dispatcher {
    bench: Bench,
    gate: Arc<ConnectionLimiter>,
}

impl Dispatcher {
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
        let gate = ConnectionLimiter::new(networks, limits, throttle);
        Self { bench: Bench::new(), gate: Arc::new(gate) }
    }

    fn open(&mut self, client: [u8; 4]) -> SessionId {
        let pass = self.gate.admit(Some(IpAddr::from(client)), self.bench.now).unwrap();
        self.bench.router.open_with(pass, self.bench.now)
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
fn a_delayed_answer_holds_up_its_session_alone() {
    let mut door = Dispatcher::new(LIMITS);
    let (slow, other) = (door.open(HERE), door.open(HERE));
    door.say(slow, &["AUTH", "wrong"]);
    assert_bytes(&door.bench.read(slow), WRONGPASS);
    // Requests pipelined behind a wrong password wait too, and are not parsed.
    let pipeline = [request(&["AUTH", "wrong"]), request(&["AUTH", CLIENT_PASSWORD])].concat();
    door.bench.say(slow, &pipeline);
    assert!(!door.bench.router.wants_read(slow));
    assert_bytes(door.bench.router.output(slow), b"");
    door.say(other, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(other), b"+OK\r\n");
    door.bench.pass(Duration::from_millis(99));
    assert_bytes(door.bench.router.output(slow), b"");
    assert_eq!(door.gate.unauthenticated(), 1);
    door.bench.pass(Duration::from_millis(1));
    assert_bytes(&door.bench.read(slow), &[WRONGPASS, b"+OK\r\n"].concat());
    assert!(door.bench.router.wants_read(slow));
    assert_eq!(door.gate.unauthenticated(), 0);
}

#[test]
fn a_session_that_leaves_while_it_waits_is_answered_and_ends() {
    let mut door = Dispatcher::new(LIMITS);
    let id = door.open(HERE);
    door.say(id, &["AUTH", "wrong"]);
    door.say(id, &["AUTH", "wrong"]);
    door.bench.router.client_eof(id, door.bench.now);
    assert!(!door.bench.router.is_finished(id));
    door.bench.pass(Duration::from_secs(1));
    door.bench.read(id);
    assert_eq!(door.closed(id), CloseReason::Client);
}

#[test]
fn a_stop_waits_for_nobody() {
    let mut door = Dispatcher::new(LIMITS);
    let id = door.open(HERE);
    door.say(id, &["AUTH", "wrong"]);
    door.say(id, &["AUTH", "wrong"]);
    door.bench.router.drain();
    assert_bytes(&door.bench.read(id), &WRONGPASS.repeat(2));
    assert_eq!(door.closed(id), CloseReason::Shutdown);
}

#[test]
fn a_lock_out_ends_those_that_guess_on_and_no_others() {
    let mut door = Dispatcher::new(LIMITS);
    let [guesser, late, known, slip] = [(); 4].map(|()| door.open(HERE));
    door.say(known, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(known), b"+OK\r\n");
    for _ in 0..3 {
        door.say(guesser, &["AUTH", "wrong"]);
        door.bench.pass(Duration::from_millis(300));
        assert_bytes(&door.bench.read(guesser), WRONGPASS);
    }
    drop(door.bench.events());
    door.say(guesser, &["AUTH", "wrong"]);
    assert_bytes(door.bench.router.output(guesser), b"");
    let events = door.bench.events();
    assert!(matches!(events[..], [Event::AuthFailed { .. }, Event::LockedOut { lasts }]
        if lasts == Duration::from_secs(1)));
    assert_eq!(door.closed(guesser), CloseReason::LockedOut);
    assert!(door.gate.admit(Some(HERE.into()), door.bench.now).is_err());
    assert!(door.gate.admit(Some(THERE.into()), door.bench.now).is_ok());

    door.say(slip, &["HELLO", "3", "AUTH", "default", "wrong"]);
    assert_bytes(door.bench.router.output(slip), b"");
    assert_eq!(door.closed(slip), CloseReason::LockedOut);
    door.say(late, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(late), b"+OK\r\n");
    door.say(known, &["AUTH", "wrong"]);
    assert_bytes(door.bench.router.output(known), b"");
    door.bench.pass(Duration::from_secs(2));
    assert_bytes(&door.bench.read(known), WRONGPASS);
    assert!(!door.bench.router.is_finished(known));
}

#[test]
fn one_more_of_an_identity_is_told_so_and_nothing_of_it_travels() {
    let mut door = Dispatcher::new(ConnectionLimits { per_identity: Some(1), ..LIMITS });
    let [first, second, third] = [(); 3].map(|()| door.open(HERE));
    door.say(first, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(first), b"+OK\r\n");
    let pipeline = [request(&["AUTH", CLIENT_PASSWORD]), request(&["SET", "k", "v"])].concat();
    door.bench.say(second, &pipeline);
    door.say(third, &["HELLO", "3", "AUTH", "default", CLIENT_PASSWORD]);
    for id in [second, third] {
        assert_bytes(&door.bench.read(id), b"-ERR max number of clients reached\r\n");
        assert_eq!(door.closed(id), CloseReason::IdentityLimit);
    }
    assert!(door.bench.router.next_link_to_open().is_none());
    // RESET returns the place, and AUTH takes it again.
    let fourth = door.open(HERE);
    door.say(first, &["RESET"]);
    assert_bytes(&door.bench.read(first), b"+RESET\r\n");
    door.say(fourth, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(fourth), b"+OK\r\n");
    door.say(first, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(first), b"-ERR max number of clients reached\r\n");
}

#[test]
fn half_sent_requests_are_held_up_to_a_bound() {
    let mut door = Dispatcher::new(LIMITS);
    let half = [b"*2\r\n$4\r\nAUTH\r\n$16000\r\n".as_slice(), &[b'x'; 10_000]].concat();
    let ids: Vec<_> = (0..20).map(|_| door.open(HERE)).collect();
    for id in &ids {
        door.bench.say(*id, &half);
    }
    assert!(door.gate.unauthenticated_memory() <= LIMITS.unauthenticated_memory + 20_000);
    let (over, held): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|id| door.bench.router.is_finished(*id));
    assert!(held.len() >= 5, "{} are held", held.len());
    assert!(over.len() >= 5, "{} are closed", over.len());
    for id in over {
        assert_eq!(door.closed(id), CloseReason::UnauthenticatedMemory);
    }
    assert!(door.gate.unauthenticated_memory() <= LIMITS.unauthenticated_memory);
    // A client with the right password is not delayed.
    let id = door.open(THERE);
    door.say(id, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(id), b"+OK\r\n");
    for id in held {
        door.bench.router.client_lost(id);
        assert_eq!(door.closed(id), CloseReason::Client);
    }
    assert_eq!(door.gate.unauthenticated_memory(), 0);
    assert_eq!((door.gate.sessions(), door.gate.unauthenticated()), (1, 0));
}

const SHARED: [u8; 4] = [198, 51, 100, 1];

#[test]
fn guesses_from_a_shared_address_wait_and_the_right_password_does_not() {
    let mut door = Dispatcher::new(LIMITS);
    let guessers: Vec<_> = (0..80).map(|_| door.open(SHARED)).collect();
    for id in &guessers {
        door.say(*id, &["AUTH", "wrong"]);
    }
    // This many answers wait; every further client with a wrong password is closed.
    let (over, waiting): (Vec<_>, Vec<_>) =
        guessers.into_iter().partition(|id| door.bench.router.is_finished(*id));
    assert_eq!((over.len(), waiting.len()), (80 - 65, 65), "the first was answered at once");
    for id in over {
        assert_bytes(door.bench.router.output(id), b"");
        assert_eq!(door.closed(id), CloseReason::LockedOut);
    }
    let honest = door.open(SHARED);
    door.say(honest, &["AUTH", CLIENT_PASSWORD]);
    assert_bytes(&door.bench.read(honest), b"+OK\r\n");
    door.bench.pass(Duration::from_secs(2));
    for id in waiting {
        assert_bytes(&door.bench.read(id), WRONGPASS);
    }
    let late = door.open(SHARED);
    door.say(late, &["AUTH", "wrong"]);
    assert!(!door.bench.router.is_finished(late), "there is room to wait again");
    let events = door.bench.events();
    assert!(!events.iter().any(|event| matches!(event, Event::LockedOut { .. })));
}
