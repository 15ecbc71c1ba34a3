//! Handshakes while the audit log cannot be written.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::{path, speaking};
use support::certificates::Authority;
use support::tls::Caller;
use support::{Deadline, Redis, TIME_LIMIT, signal};

#[test]
fn no_tls_handshake_happens_while_clients_wait_for_the_audit_log() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let log = authority.dir().join("audit.log");
    assert!(Command::new("mkfifo").arg(&log).status().expect("apt install coreutils").success());
    let mut redoubt = speaking(&redis, &authority.server("server"))
        .set_text("audit.output", "file")
        .set_text("audit.file", path(&log))
        .set_text("audit.on_full", "block")
        // With keys, each refused command has a line.
        .set_text("audit.keys", "plain")
        .set("audit.queue", 100)
        .set_text("shutdown_timeout", "2s")
        .start();
    let caller = Caller::trusting(&authority.ca());
    let mut waiting = TcpStream::connect(redoubt.address()).unwrap();
    // The session's connection is accepted after the other connection.
    let mut session = caller.session(redoubt.address(), redoubt.password());
    session.send(&b"RESTORE-ASKING x\r\n".repeat(3000));
    redoubt.log().wait(|line| line.contains("clients wait")).expect("a warning");
    // The session is served until the pipe is full.
    let written = || redoubt.metric("redoubt_audit_events_total");
    let is_full = || {
        let before = written();
        before > 100.0 && (0..20).all(|_| written() == before)
    };
    assert!(Deadline::standard().poll(is_full), "the audit log takes all of it");
    waiting.write_all(&caller.hello()).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let answer = waiting.read(&mut [0; 64]).expect_err("no answer");
    assert_eq!(answer.kind(), ErrorKind::WouldBlock);
    let reader = std::thread::spawn(move || std::fs::read_to_string(log).unwrap());
    waiting.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut answer = [0; 3];
    waiting.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [22, 3, 3], "a handshake");
    for _ in 0..3000 {
        assert!(session.frame().starts_with(b"-ERR unknown command"));
    }
    signal(redoubt.pid(), "TERM");
    assert!(redoubt.wait().success());
    let lines = reader.join().unwrap();
    assert_eq!(lines.matches("\"event\":\"command_refused\"").count(), 3000);
}
