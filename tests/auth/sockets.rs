//! Wrong passwords and too many sessions, over sockets: only the clients that cause them are delayed,
//! locked out or rejected.

use std::sync::mpsc;
use std::time::Duration;

use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, Wire, frame, lines, now, since};

const WRONGPASS: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const MAX_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";
const GUESSER: [u8; 4] = [127, 0, 0, 2];
const HONEST: [u8; 4] = [127, 0, 0, 3];

fn setup(redis: &Redis) -> Setup {
    Redoubt::setup(redis).set("throttle.exempt", "[]")
}

/// Returns the reply to one `AUTH`, or nothing if the connection is closed first.
fn ask(redoubt: &Redoubt, source: [u8; 4], password: &str) -> Vec<u8> {
    let mut wire = Wire::connect_from(source, redoubt.address());
    wire.offer(&frame::request(&["AUTH", password]));
    while frame::length(wire.received()).is_none() && wire.receive() > 0 {}
    wire.received().to_vec()
}

#[test]
fn a_guessing_address_is_locked_out_while_another_address_logs_in() {
    let redis = Redis::start();
    let redoubt = setup(&redis).start();
    let began = now();
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let redoubt = &redoubt;
        let guesser = scope.spawn(move || {
            let mut answers = Vec::new();
            std::thread::scope(|scope| {
                let mut guesses = Vec::new();
                // A guess does not wait for the reply to the previous guess.
                while stopped.recv_timeout(Duration::from_millis(50)).is_err() {
                    guesses.push(scope.spawn(|| ask(redoubt, GUESSER, "a guess")));
                }
                answers.extend(guesses.into_iter().map(|guess| guess.join().unwrap()));
            });
            answers
        });
        let mut slowest = 0.0_f64;
        while since(began) < 4.0 {
            let asked = now();
            assert_eq!(ask(redoubt, HONEST, redoubt.password()), b"+OK\r\n");
            slowest = slowest.max(since(asked));
        }
        assert!(slowest < 1.0, "an honest client waited {slowest} s");
        redoubt.log().wait(|line| line.contains("address locked out")).expect("a lock-out");
        stop.send(()).unwrap();
        let answers = guesser.join().unwrap();
        let answered = answers.iter().filter(|answer| *answer == WRONGPASS).count();
        let closed = answers.iter().filter(|answer| answer.is_empty()).count();
        assert_eq!(answered + closed, answers.len());
        assert_eq!(answered, 9, "the tenth wrong password is the first without a reply");
        assert!(closed >= 10, "{closed} of {}", answers.len());
    });
    let lines = redoubt.log().all();
    let locked_out: Vec<_> =
        lines.iter().filter(|line| line.contains("address locked out")).collect();
    assert!((1..=4).contains(&locked_out.len()), "1 s, 2 s and so on: {locked_out:?}");
    assert!(
        locked_out.iter().all(|line| lines::field(line, "peer").unwrap().starts_with("127.0.0.2:"))
    );
    let said = |line: &str| lines::field(line, "message") == Some("connections refused");
    let said = redoubt.log().wait(said).unwrap();
    assert_eq!(lines::field(&said, "reason"), Some("locked_out"));
}

#[test]
fn replies_are_delayed_before_a_lock_out_and_resume_after_it() {
    let redis = Redis::start();
    let redoubt = setup(&redis)
        .set("throttle.failures", 6)
        .set_text("throttle.lockout", "1s")
        .set_text("throttle.max_lockout", "1s")
        .start();
    let mut wire = Wire::connect_from(GUESSER, redoubt.address());
    for least in [0.0, 0.0, 0.1, 0.2, 0.4] {
        let asked = now();
        assert_eq!(wire.command(&["AUTH", "wrong"]), WRONGPASS);
        assert!(since(asked) >= least, "answered after {} s", since(asked));
    }
    let mut known = Wire::authenticated(redoubt.address(), redoubt.password());
    let locked_out = now();
    wire.send(&frame::request(&["AUTH", "wrong"]));
    assert_eq!(wire.read_to_close(), b"");
    assert_eq!(ask(&redoubt, GUESSER, redoubt.password()), b"");
    assert_eq!(known.command(&["PING"]), b"+PONG\r\n");
    let again =
        Deadline::standard().poll(|| ask(&redoubt, GUESSER, redoubt.password()) == b"+OK\r\n");
    assert!(again && since(locked_out) >= 0.9, "after {} s", since(locked_out));
    let reason = |line: &str| lines::field(line, "reason") == Some("locked_out");
    redoubt.log().wait(|line| line.contains("session closed") && reason(line)).unwrap();
}

#[test]
fn authenticated_sessions_survive_a_lock_out_of_their_address() {
    let redis = Redis::start();
    let redoubt =
        setup(&redis).set("throttle.failures", 1).set_text("throttle.lockout", "1h").start();
    let connect = || Wire::connect_from(GUESSER, redoubt.address());
    let (mut known, mut open, mut slip) = (connect(), connect(), connect());
    assert_eq!(known.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    assert_eq!(ask(&redoubt, GUESSER, "wrong"), b"");
    assert_eq!(ask(&redoubt, GUESSER, redoubt.password()), b"");
    assert_eq!(known.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(known.command(&["AUTH", "wrong"]), WRONGPASS);
    assert_eq!(known.command(&["PING"]), b"+PONG\r\n");
    slip.send(&frame::request(&["AUTH", "wrong"]));
    assert_eq!(slip.read_to_close(), b"");
    assert_eq!(open.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    assert_eq!(ask(&redoubt, HONEST, redoubt.password()), b"+OK\r\n");
}

#[test]
fn sessions_over_the_limits_by_address_and_identity_are_rejected() {
    let redis = Redis::start();
    let redoubt = setup(&redis)
        .set("limits.sessions_per_address", 2)
        .set("limits.sessions_per_identity", 3)
        .set("workers", 2)
        .start();
    let connect = |source| Wire::connect_from(source, redoubt.address());
    let log_in = |source| {
        let mut wire = connect(source);
        assert_eq!(wire.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
        wire
    };
    let mut held = vec![log_in(GUESSER), log_in(GUESSER), log_in(HONEST)];
    assert_eq!(connect(GUESSER).read_to_close(), MAX_CLIENTS);
    let mut wire = connect(HONEST);
    wire.send(&frame::request(&["AUTH", redoubt.password()]));
    assert_eq!(wire.read_to_close(), MAX_CLIENTS);
    for wire in &mut held {
        assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
    }
    drop(held.pop());
    drop(wire);
    let again =
        Deadline::standard().poll(|| ask(&redoubt, HONEST, redoubt.password()) == b"+OK\r\n");
    assert!(again, "the place of a closed session is not given out again");
}

#[test]
fn unauthenticated_sessions_are_limited_in_number_and_memory() {
    let redis = Redis::start();
    let redoubt = setup(&redis)
        .set("limits.unauthenticated_sessions", 16)
        .set_text("limits.unauthenticated_memory", "1mb")
        .set_text("limits.auth_timeout", "1m")
        .start();
    let mut known = Wire::authenticated(redoubt.address(), redoubt.password());
    let connect = || Wire::connect_from(GUESSER, redoubt.address());
    let mut silent: Vec<_> = (0..14).map(|_| connect()).collect();
    assert_eq!(connect().read_to_close(), MAX_CLIENTS, "one address has seven eighths");
    assert_eq!(ask(&redoubt, HONEST, redoubt.password()), b"+OK\r\n");
    // The request has ten arguments of 16 KiB, and the last is incomplete.
    let mut half = b"*10\r\n$4\r\nAUTH\r\n".to_vec();
    half.extend([&b"$16384\r\n"[..], &[b'x'; 16384], b"\r\n"].concat().repeat(8));
    for wire in &mut silent {
        wire.offer(&half);
    }
    let closed = |line: &str| lines::field(line, "reason") == Some("unauthenticated_memory");
    redoubt.log().wait(closed).expect("a session is closed");
    assert_eq!(ask(&redoubt, HONEST, redoubt.password()), b"+OK\r\n");
    assert_eq!(known.command(&["PING"]), b"+PONG\r\n");
    drop(silent);
    let again = Deadline::standard().poll(|| {
        let mut wire = connect();
        wire.offer(&frame::request(&["PING"]));
        wire.receive();
        wire.received().starts_with(b"-NOAUTH")
    });
    assert!(again, "the place of a closed session is not given out again");
}

#[test]
fn a_guessing_local_client_cannot_lock_the_service_out() {
    let redis = Redis::start();
    let mut redoubt = setup(&redis)
        .unset("throttle.shared")
        .set("throttle.failures", 2)
        .set_text("throttle.lockout", "1h")
        .set_text("throttle.max_lockout", "1h")
        .start();
    const LOCAL: [u8; 4] = [127, 0, 0, 1];
    // The guesser waits for no reply, and has more guesses in flight than may be delayed.
    let guess = |redoubt: &Redoubt| {
        let mut wire = Wire::connect_from(LOCAL, redoubt.address());
        wire.offer(&frame::request(&["AUTH", "wrong"]));
        wire
    };
    let mut guesses: Vec<_> = (0..100).map(|_| guess(&redoubt)).collect();
    // The service connects for the first time, so that no earlier login counts in its favour.
    for _ in 0..20 {
        guesses.extend((0..5).map(|_| guess(&redoubt)));
        assert_eq!(ask(&redoubt, LOCAL, redoubt.password()), b"+OK\r\n");
    }
    // A guesser that waits for its replies is delayed, however often the service has logged in.
    redoubt.log().wait(|line| lines::field(line, "reason") == Some("locked_out")).expect("closed");
    drop(guesses);
    let mut patient = Wire::connect_from(LOCAL, redoubt.address());
    let answered = Deadline::standard().poll(|| {
        patient.offer(&frame::request(&["AUTH", "wrong"]));
        let asked = now();
        let answer = patient.receive();
        if answer == 0 {
            patient = Wire::connect_from(LOCAL, redoubt.address());
        }
        answer > 0 && since(asked) >= 1.5
    });
    assert!(answered, "guesses are not slowed down");
    assert!(!redoubt.log().all().iter().any(|line| line.contains("address locked out")));
    // Without the list, the address is treated like any other.
    redoubt.write("throttle.shared", Some("[]"));
    redoubt.reload();
    ask(&redoubt, LOCAL, "wrong");
    assert_eq!(ask(&redoubt, LOCAL, redoubt.password()), b"");
}
