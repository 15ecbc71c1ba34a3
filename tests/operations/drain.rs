//! Stopping: which clients are still accepted, which process may listen on the same port, and what a
//! second signal does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use support::{Deadline, Redis, Redoubt, Wire, frame, now, shown, signal, since};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_are_accepted_until_drain_delay_has_passed() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("drain_delay", "1s").start();
    let mut before = redoubt.session();
    let asked = now();
    ask_to_stop(&redoubt);
    let mut during = redoubt.session();
    assert_eq!(during.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(before.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(during.read_to_close(), b"");
    assert_eq!(before.read_to_close(), b"");
    assert!(since(asked) >= 1.0, "sessions ended after {} s", since(asked));
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_that_asked_for_it_are_notified_before_their_connections_end() {
    const SESSIONS: usize = 8;
    let redis = Redis::start();
    let setup = Redoubt::setup(&redis).set_text("drain_delay", "4s").set("workers", 3);
    let mut redoubt = setup.set_text("admin.listen", "127.0.0.1:0").start();
    let mut asked: Vec<_> = (0..SESSIONS).map(|_| notified(&redoubt)).collect();
    let mut subscriber = notified(&redoubt);
    let confirmed = subscriber.command(&["SUBSCRIBE", "news"]);
    assert!(confirmed.starts_with(b">3\r\n$9\r\nsubscribe\r\n"), "{}", shown(&confirmed));
    let mut blocked = notified(&redoubt);
    blocked.send(&frame::request(&["BLPOP", "jobs", "0"]));
    wait_until_blocked(&redis, 1);
    let mut silent = resp3(&redoubt);

    ask_to_stop(&redoubt);
    let pushes: Vec<_> = asked.iter_mut().map(Wire::frame).collect();
    let (start, end) = (b">4\r\n$6\r\nMOVING\r\n:", b"\r\n:4\r\n_\r\n");
    let push = &pushes[0];
    assert!(push.starts_with(start) && push.ends_with(end), "{}", shown(push));
    // A pool of connections acts once on a number, whichever workers serve it.
    assert!(pushes.iter().all(|other| other == push), "the numbers differ");
    assert_eq!(subscriber.frame(), *push);
    redis.direct().command(&["RPUSH", "jobs", "work"]);
    blocked.expect(b"*2\r\n$4\r\njobs\r\n$4\r\nwork\r\n");
    let late = blocked.frame();
    assert!(late.starts_with(start) && late.ends_with(b"\r\n_\r\n"), "{}", shown(&late));
    redoubt.metric_becomes("redoubt_maint_notifications_total", (SESSIONS + 2) as f64);
    for session in asked.iter_mut().chain([&mut blocked, &mut silent]) {
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    }
    for mut session in asked.into_iter().chain([subscriber, blocked, silent]) {
        let rest = session.read_to_close();
        assert_eq!(rest, b"", "{}", shown(&rest));
    }
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn nobody_is_notified_of_an_end_that_comes_at_once() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = notified(&redoubt);
    ask_to_stop(&redoubt);
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_second_signal_ends_the_process_at_once() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("drain_delay", "60s").start();
    ask_to_stop(&redoubt);
    signal(redoubt.pid(), "INT");
    assert_eq!(redoubt.wait().code(), Some(1));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_in_the_accept_queue_are_served_at_shutdown() {
    const WAITING: usize = 600;
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    // The stopped process accepts no connection; the kernel still does.
    signal(redoubt.pid(), "STOP");
    let mut waiting: Vec<_> = (0..WAITING).map(|_| redoubt.connect()).collect();
    for wire in &mut waiting {
        wire.send(&frame::request(&["AUTH", redoubt.password()]));
    }
    signal(redoubt.pid(), "TERM");
    signal(redoubt.pid(), "CONT");
    for wire in &mut waiting {
        assert_eq!(wire.read_to_close(), b"+OK\r\n");
    }
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_successor_process_listens_on_the_same_address() {
    let redis = Redis::start();
    let first = Redoubt::setup(&redis).set("reuse_port", true).start();
    let second = successor(&redis, &first).start();
    assert_eq!(first.address(), second.address());
    drop(first);
    let mut session = second.session();
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_rolling_replacement_fails_no_command_and_runs_none_twice() {
    const CLIENTS: usize = 6;
    const REPLACEMENTS: usize = 3;
    const BETWEEN: u64 = 500;
    let redis = Redis::start();
    let mut old = Redoubt::setup(&redis).set("reuse_port", true).start();
    let (address, password) = (old.address(), old.password().to_owned());
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let (went_on, failed) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| increment(address, &password, &done, &answered)))
            .collect();
        let wait_for_more = || {
            let wanted = answered.load(Ordering::Relaxed) + BETWEEN;
            Deadline::standard().poll(|| answered.load(Ordering::Relaxed) >= wanted)
        };
        let mut went_on = true;
        for _ in 0..REPLACEMENTS {
            went_on &= wait_for_more();
            let new = successor(&redis, &old).start();
            signal(old.pid(), "TERM");
            went_on &= old.wait().code() == Some(0);
            old = new;
            went_on &= wait_for_more();
        }
        done.store(true, Ordering::Relaxed);
        let failed: Vec<_> = clients.into_iter().map(|c| c.join().expect("a client")).collect();
        (went_on, failed)
    });
    assert_eq!(failed.concat(), Vec::<String>::new(), "commands failed");
    assert!(went_on, "the clients came to a stop, or a predecessor did not end well");
    let counted = redis.direct().command(&["GET", "counter"]);
    let wanted = frame::bulk(answered.load(Ordering::Relaxed).to_string().as_bytes());
    assert_eq!(counted, wanted, "commands ran that were not answered");
}

/// Returns a session in RESP3.
fn resp3(redoubt: &Redoubt) -> Wire {
    let mut session = redoubt.session();
    let greeting = session.command(&["HELLO", "3"]);
    assert!(greeting.starts_with(b"%"), "{}", shown(&greeting));
    session
}

/// Returns a session that has asked for maintenance notifications.
fn notified(redoubt: &Redoubt) -> Wire {
    let mut session = resp3(redoubt);
    let on = ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none"];
    assert_eq!(session.command(&on), b"+OK\r\n");
    session
}

/// Waits until so many clients are blocked in Redis.
fn wait_until_blocked(redis: &Redis, clients: usize) {
    let mut direct = redis.direct();
    let wanted = format!("blocked_clients:{clients}\r\n");
    let are_blocked = Deadline::standard().poll(|| {
        let clients = direct.command(&["INFO", "clients"]);
        String::from_utf8_lossy(&clients).contains(&wanted)
    });
    assert!(are_blocked, "not {clients} clients are blocked");
}

/// Sends SIGTERM and waits until the log confirms it.
fn ask_to_stop(redoubt: &Redoubt) {
    signal(redoubt.pid(), "TERM");
    let reported = |line: &str| line.contains("SIGTERM, stopping");
    assert!(redoubt.log().wait(reported).is_some(), "the signal is not logged");
}

/// Returns the setup of a process that listens where `first` does and accepts the same clients.
fn successor(redis: &Redis, first: &Redoubt) -> support::redoubt::Setup {
    Redoubt::setup(redis)
        .set("reuse_port", true)
        .set_text("listen", &first.address().to_string())
        .client_password(first.password())
}

/// Increments until `done`, as client libraries do: with a new connection and one more try where the
/// first try got no reply. Returns the increments that failed nevertheless.
fn increment(
    address: SocketAddr,
    password: &str,
    done: &AtomicBool,
    answered: &AtomicU64,
) -> Vec<String> {
    let mut failed = Vec::new();
    let mut connection = None;
    while !done.load(Ordering::Relaxed) {
        let first = increment_once(address, password, &mut connection);
        let outcome = first.or_else(|_| increment_once(address, password, &mut connection));
        match outcome {
            Ok(()) => drop(answered.fetch_add(1, Ordering::Relaxed)),
            Err(error) => failed.push(error.to_string()),
        }
    }
    failed
}

fn increment_once(
    address: SocketAddr,
    password: &str,
    connection: &mut Option<redis::Connection>,
) -> redis::RedisResult<()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => {
            let url = format!("redis://:{password}@{address}/?protocol=resp2");
            let open = redis::Client::open(url)?.get_connection_with_timeout(TIME_LIMIT)?;
            open.set_read_timeout(Some(TIME_LIMIT))?;
            open
        }
    };
    redis::cmd("INCR").arg("counter").exec(&mut open)?;
    *connection = Some(open);
    Ok(())
}

/// Longest time that a client waits for a connection or a reply.
const TIME_LIMIT: Duration = Duration::from_secs(10);
