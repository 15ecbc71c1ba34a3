//! The upstream dies, comes back, or is unavailable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::redis::free_port;
use support::{Deadline, Lines, Redis, Redoubt, Wire, frame, lines, now, secret, since};

/// Returns the log lines that an operator should notice.
fn alarms(log: &Lines) -> Vec<String> {
    log.all().into_iter().filter(|line| is_alarm(line)).collect()
}

/// Returns true if a line of the log is a warning, except the warning about this machine's limit of
/// open files, and the number of sessions that were closed, which is logged at intervals.
fn is_alarm(line: &str) -> bool {
    matches!(lines::field(line, "level"), Some("WARN" | "ERROR"))
        && !line.contains("files may be open")
        && !line.contains("sessions closed at once")
}

/// Connects a client while the upstream is down. It must be closed soon, unserved.
fn assert_closed_unserved(redoubt: &Redoubt) {
    let came = now();
    let mut wire = redoubt.connect();
    wire.offer(&frame::request(&["AUTH", redoubt.password()]));
    wire.offer(&frame::request(&["PING"]));
    let reply = wire.read_to_close();
    assert!(
        !reply.windows(4).any(|bytes| bytes == b"PONG"),
        "the client was served without an upstream"
    );
    assert!(since(came) < 8.0, "closed only after {} s", since(came));
}

/// Connects clients at a time while the upstream is down.
fn many_are_closed_unserved(redoubt: &Redoubt) {
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_closed_unserved(redoubt));
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn killing_redis_under_load_closes_only_affected_sessions() {
    const SESSIONS: usize = 30;
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut unauthenticated = redoubt.connect();
    assert_eq!(unauthenticated.command(&["PING"]), b"-NOAUTH Authentication required.\r\n");

    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let (answered, mut session) = (&answered, redoubt.session());
                scope.spawn(move || load(&mut session, number, answered))
            })
            .collect();
        assert!(Deadline::standard().poll(|| answered.load(Ordering::Relaxed) > SESSIONS * 50));
        redis.kill();
        for session in sessions {
            session.join().expect("a session got a wrong reply or was not closed");
        }
    });

    assert_closed_unserved(&redoubt);
    redis.restart();
    redoubt.wait_until_it_serves();
    // This client had nothing pending at the upstream; it is still connected and authenticates now.
    assert_eq!(unauthenticated.command(&["AUTH", redoubt.password()]), b"+OK\r\n");
    assert_eq!(unauthenticated.command(&["SET", "k", "v"]), b"+OK\r\n");
}

/// Counts up until the connection closes; every third session blocks or subscribes meanwhile.
fn load(session: &mut Wire, number: usize, answered: &AtomicUsize) {
    let key = format!("counter:{number}");
    let increment = frame::request(&["INCR", &key]);
    let mut count = 0;
    loop {
        session.offer(&increment.repeat(10));
        for _ in 0..10 {
            count += 1;
            let wanted = format!(":{count}\r\n");
            while session.received().len() < wanted.len() {
                if session.receive() == 0 {
                    let rest = session.received();
                    assert!(wanted.as_bytes().starts_with(rest), "a wrong reply at the end");
                    return;
                }
            }
            session.expect(wanted.as_bytes());
            answered.fetch_add(1, Ordering::Relaxed);
        }
        if count == 60 && number.is_multiple_of(3) {
            let wait: [&str; 3] = if number.is_multiple_of(2) {
                ["BLPOP", "no", "0"]
            } else {
                ["SUBSCRIBE", "a", "b"]
            };
            session.offer(&frame::request(&wait));
            let confirmed = session.read_to_close();
            let wanted: &[u8] = if number.is_multiple_of(2) {
                b""
            } else {
                b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
            };
            assert!(wanted.starts_with(&confirmed), "a wrong reply at the end");
            return;
        }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn upstream_outages_are_logged_once_per_change() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let address = redis.url().trim_start_matches("redis://").to_owned();
    redoubt.wait_until_it_serves();
    let healthy = alarms(redoubt.log()).len();
    for times in 1..=2 {
        let mut linked = redoubt.session();
        assert_eq!(linked.command(&["BLPOP", "nothing", "0.01"]), b"*-1\r\n");
        linked.send(b"BLPOP nothing 0\r\n");
        redis.kill();
        assert_eq!(linked.read_to_close(), b"", "a session that is owed a reply is closed");
        many_are_closed_unserved(&redoubt);
        // Redis must not be back before its absence was noticed.
        let speaks = Deadline::standard().poll(|| alarms(redoubt.log()).len() >= healthy + times);
        assert!(speaks, "the log says nothing");
        let said = redoubt.log().count();
        redis.restart();
        redoubt.wait_until_it_serves();
        let back = |line: &str| line.contains("upstream is available");
        assert!(redoubt.log().wait_from(said, back).is_some(), "the log does not say it is back");
        let alarms = alarms(redoubt.log());
        assert_eq!(alarms.len(), healthy + times, "{}", alarms.join("\n"));
        let line = alarms.last().expect("a line");
        assert!(line.contains(&address), "it says which upstream: {line}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redoubt_starts_before_its_upstream() {
    // A Redis that is started and then killed leaves a port and a password for a later start.
    let mut redis = Redis::start();
    redis.kill();
    let redoubt = Redoubt::start(&redis);
    many_are_closed_unserved(&redoubt);
    assert!(
        Deadline::standard().poll(|| !alarms(redoubt.log()).is_empty()),
        "the log says nothing"
    );
    redis.restart();
    redoubt.wait_until_it_serves();
    assert_eq!(alarms(redoubt.log()).len(), 1, "{}", alarms(redoubt.log()).join("\n"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_silent_upstream_counts_as_down() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = silent.local_addr().unwrap().port();
    let redoubt =
        Redoubt::setup_for(port, &secret()).set_text("upstream.connect_timeout", "1s").start();
    assert_closed_unserved(&redoubt);
    let alarm = redoubt.log().wait(is_alarm);
    assert!(alarm.is_some_and(|line| line.contains(&port.to_string())));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_wrong_upstream_password_is_logged_as_the_reason() {
    let redis = Redis::start();
    let wrong = secret();
    let redoubt = Redoubt::setup_for(&redis, &wrong).start();
    assert_closed_unserved(&redoubt);
    let reason = redoubt.log().wait(|line| line.contains("WRONGPASS"));
    let all = || redoubt.log().all().join("\n");
    let reason = reason.unwrap_or_else(|| panic!("the log does not say why:\n{}", all()));
    assert!(matches!(lines::field(&reason, "level"), Some("WARN" | "ERROR")), "{reason}");
    for line in redoubt.log().all() {
        assert!(!line.contains(&wrong), "a password in the log");
    }
}

#[test]
fn a_slow_upstream_is_waited_for() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.connect_timeout", "1s").start();
    let mut session = redoubt.session();
    // The timeout is for connecting and logging in, not for replies.
    let asked = now();
    assert_eq!(session.command(&["BLPOP", "nothing", "2"]), b"*-1\r\n");
    assert!(since(asked) >= Duration::from_secs(2).as_secs_f64() - 0.1);
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
}
