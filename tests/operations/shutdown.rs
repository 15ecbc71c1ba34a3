//! SIGTERM and SIGINT: no new sessions, pending replies arrive, exit code 0.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Deadline, Redis, Redoubt, Wire, frame, now, shown, signal, since};

/// Waits until connections are refused.
fn wait_until_refused(redoubt: &Redoubt) {
    let refuses = Deadline::standard().poll(|| TcpStream::connect(redoubt.address()).is_err());
    assert!(refuses, "it still accepts connections");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_closes_idle_sessions_and_exits_with_0() {
    for name in ["TERM", "INT"] {
        let redis = Redis::start();
        let mut redoubt = Redoubt::start(&redis);
        let mut session = redoubt.session();
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
        let mut unauthenticated = redoubt.connect();
        let asked = now();
        signal(redoubt.pid(), name);
        assert_eq!(session.read_to_close(), b"");
        assert_eq!(unauthenticated.read_to_close(), b"");
        assert_eq!(redoubt.wait().code(), Some(0));
        assert!(since(asked) < 5.0, "shutdown without pending replies took {} s", since(asked));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_delivers_pending_replies() {
    const WAITING: usize = 10;
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", "20s").start();
    let mut waiting: Vec<_> = (0..WAITING).map(|_| redoubt.session()).collect();
    for (number, session) in waiting.iter_mut().enumerate() {
        let mut requests = frame::request(&["BLPOP", &format!("job:{number}"), "0"]);
        requests.extend(frame::request(&["CONFIG", "GET", "x"]));
        requests.extend(frame::request(&["ECHO", &number.to_string()]));
        session.send(&requests);
    }
    let mut direct = redis.direct();
    let all_wait = Deadline::standard().poll(|| {
        let clients = direct.command(&["INFO", "clients"]);
        let wanted = format!("blocked_clients:{WAITING}\r\n");
        String::from_utf8_lossy(&clients).contains(&wanted)
    });
    assert!(all_wait, "not all sessions wait");

    signal(redoubt.pid(), "TERM");
    wait_until_refused(&redoubt);
    for number in 0..WAITING {
        let key = format!("job:{number}");
        assert_eq!(direct.command(&["RPUSH", &key, "work"]), b":1\r\n");
    }
    for (number, session) in waiting.iter_mut().enumerate() {
        let (key, number) = (format!("job:{number}"), number.to_string());
        let wanted = [
            b"*2\r\n".to_vec(),
            frame::bulk(key.as_bytes()),
            frame::bulk(b"work"),
            b"-ERR unknown command 'CONFIG', with args beginning with: 'GET' 'x' \r\n".to_vec(),
            frame::bulk(number.as_bytes()),
        ]
        .concat();
        let got = session.read_to_close();
        assert!(got == wanted, "wanted {}, got {}", shown(&wanted), shown(&got));
    }
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_gives_up_replies_after_shutdown_timeout() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", "1s").start();
    let mut session = redoubt.session();
    // GET waits behind a command that blocks in Redis, so the session waits for more than that command.
    session.send(b"BLPOP nothing 0\r\nGET k\r\n");
    let mut direct = redis.direct();
    let waits = Deadline::standard().poll(|| {
        let clients = direct.command(&["INFO", "clients"]);
        String::from_utf8_lossy(&clients).contains("blocked_clients:1\r\n")
    });
    assert!(waits, "the session does not wait");
    let asked = now();
    signal(redoubt.pid(), "TERM");
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(redoubt.wait().code(), Some(0));
    assert!((0.9..8.0).contains(&since(asked)), "it took {} s", since(asked));
}

/// Waits until this many clients are blocked in Redis.
fn wait_until_blocked(redis: &Redis, clients: usize) {
    let mut direct = redis.direct();
    let wait = Deadline::standard().poll(|| {
        let info = direct.command(&["INFO", "clients"]);
        String::from_utf8_lossy(&info).contains(&format!("blocked_clients:{clients}\r\n"))
    });
    assert!(wait, "not {clients} sessions wait");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_closes_blocked_clients_at_once() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", "60s").start();
    let mut waiting = [(); 5].map(|()| redoubt.session());
    for (session, request) in waiting.iter_mut().zip([
        "BLPOP nothing 0\r\n",
        "XREAD BLOCK 0 STREAMS nothing $\r\n",
        "WAIT 5 0\r\n",
        "BLPOP nothing 0\r\nBLPOP nothing 0\r\n",
        // Replies before the blocking command arrive first.
        "GET k\r\nBZPOPMIN nothing 0\r\n",
    ]) {
        session.send(request.as_bytes());
    }
    let mut listens = redoubt.session();
    let confirmed = listens.command(&["SUBSCRIBE", "c"]);
    assert!(confirmed.starts_with(b"*3\r\n"));
    wait_until_blocked(&redis, 5);
    signal(redoubt.pid(), "TERM");
    for (index, session) in waiting.iter_mut().enumerate() {
        let wanted: &[u8] = if index == 4 { b"$-1\r\n" } else { b"" };
        assert_eq!(session.read_to_close(), wanted, "{index}");
    }
    assert_eq!(listens.read_to_close(), b"");
    // It ends in less than half of the time that it waits for replies.
    assert_eq!(redoubt.wait().code(), Some(0));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_delivers_values_that_were_popped_before() {
    const SESSIONS: usize = 40;
    let redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("shutdown_timeout", "60s").start();
    let mut sessions: Vec<_> = (0..SESSIONS).map(|_| redoubt.session()).collect();
    for session in &mut sessions {
        session.send(b"BLPOP list 0\r\n");
    }
    wait_until_blocked(&redis, SESSIONS);
    // When the stop is requested, Redis has sent the popped value and nobody has read it.
    signal(redoubt.pid(), "STOP");
    for _ in 0..SESSIONS / 2 {
        assert_eq!(redis.direct().command(&["RPUSH", "list", "v"]), b":1\r\n");
    }
    wait_until_blocked(&redis, SESSIONS - SESSIONS / 2);
    signal(redoubt.pid(), "TERM");
    signal(redoubt.pid(), "CONT");
    let got = sessions.iter_mut().map(Wire::read_to_close).filter(|got| got == POPPED).count();
    assert_eq!(redoubt.wait().code(), Some(0));
    assert_eq!(got, SESSIONS / 2, "something was lost");
    assert_eq!(redis.direct().command(&["LLEN", "list"]), b":0\r\n");
}

/// The reply to a client that has waited for the list.
const POPPED: &[u8] = b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n";

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn shutdown_under_load_truncates_no_reply() {
    const SESSIONS: usize = 30;
    const VALUE: usize = 20_000;
    let redis = Redis::start();
    assert_eq!(redis.direct().command(&["SET", "k", &"v".repeat(VALUE)]), b"+OK\r\n");
    let mut redoubt = Redoubt::start(&redis);
    let reply = frame::bulk("v".repeat(VALUE).as_bytes());
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            let (answered, reply, mut session) = (&answered, &reply, redoubt.session());
            scope.spawn(move || {
                let request = frame::request(&["GET", "k"]).repeat(5);
                loop {
                    session.offer(&request);
                    for _ in 0..5 {
                        while session.received().len() < reply.len() {
                            if session.receive() == 0 {
                                let rest = session.received();
                                assert!(rest.is_empty(), "a reply of {} bytes", rest.len());
                                return;
                            }
                        }
                        session.expect(reply);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        assert!(Deadline::standard().poll(|| answered.load(Ordering::Relaxed) > SESSIONS * 20));
        signal(redoubt.pid(), "TERM");
        wait_until_refused(&redoubt);
    });
    assert_eq!(redoubt.wait().code(), Some(0));
}
