//! Unix sockets.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::{logged, path, wait_for_blocked};
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, TIME_LIMIT, signal};

/// A client that sends inline requests and reads lines.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        Self(BufReader::new(stream))
    }

    fn session(socket: &Path, redoubt: &Redoubt) -> Self {
        let mut client = Self::connect(socket);
        assert_eq!(client.ask(&format!("AUTH {}", redoubt.password())), "+OK");
        client
    }

    fn ask(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn on(redis: &Redis, socket: &Path) -> Setup {
    Redoubt::setup(redis).set_text("listen", &format!("unix://{}", path(socket)))
}

#[test]
fn a_client_of_a_unix_socket_is_served_like_any_other() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("redoubt.sock");
    let listen = format!("[\"unix://{}\", \"127.0.0.1:0\"]", path(&socket));
    // Networks do not apply to clients without an IP address.
    let redoubt = Redoubt::setup(&redis)
        .set("listen", listen)
        .set("allow", "[\"192.0.2.0/24\"]")
        .set_text("audit.output", "stdout")
        .start();
    let mut client = Client::connect(&socket);
    assert!(client.ask("GET k").starts_with("-NOAUTH"));
    assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS"));
    let mut client = Client::session(&socket, &redoubt);
    assert_eq!(client.ask("SET k v"), "+OK");
    assert!(client.ask("FLUSHALL").starts_with("-ERR unknown command"));
    assert!(client.ask("CONFIG GET *").starts_with("-ERR unknown command"));
    assert!(client.ask("EVAL \"return redis.call('FLUSHALL')\" 0").starts_with('-'));
    assert_eq!(client.ask("STRLEN k"), ":1");
    let peer = format!("unix:pid={}:uid=", std::process::id());
    logged(&redoubt, "session opened", &[&peer]);
    assert!(
        redoubt
            .log()
            .wait(|line| line.contains("auth_succeeded") && line.contains(&peer))
            .is_some()
    );
    // Requests before the client's end of sending are answered.
    client.0.get_mut().write_all(&b"INCR n\r\n".repeat(100)).unwrap();
    client.0.get_mut().shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.lines().count(), 100);
    let mut networked = support::Wire::connect(redoubt.address_of("127.0.0.1:"));
    assert!(networked.read_to_close().is_empty(), "not from a network that is allowed");
}

#[test]
fn a_large_value_passes_unchanged_over_a_unix_socket() {
    const SIZE: usize = 32 << 20;
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("s");
    let redoubt = on(&redis, &socket).start();
    let mut client = Client::session(&socket, &redoubt);
    let value: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let stream = client.0.get_mut();
    stream.write_all(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${SIZE}\r\n").as_bytes()).unwrap();
    stream.write_all(&value).unwrap();
    assert_eq!(client.ask(""), "+OK");
    assert_eq!(client.ask("GET k"), format!("${SIZE}"));
    let mut got = vec![0; SIZE];
    client.0.read_exact(&mut got).unwrap();
    assert!(got == value);
}

#[test]
fn wrong_passwords_over_a_unix_socket_cause_no_lock_out() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("s");
    let redoubt =
        on(&redis, &socket).set("throttle.exempt", "[]").set("limits.auth_attempts", 3).start();
    for _ in 0..10 {
        let mut client = Client::connect(&socket);
        for _ in 0..2 {
            assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS"));
        }
    }
    assert_eq!(Client::session(&socket, &redoubt).ask("PING"), "+PONG");
}

#[test]
fn a_socket_file_has_its_mode_replaces_only_a_stale_file_and_is_removed_at_the_stop() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("s");
    // A killed process left this socket file behind.
    drop(UnixListener::bind(&socket).unwrap());
    let mut redoubt = on(&redis, &socket).set_text("unix_socket_mode", "600").start();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut client = Client::session(&socket, &redoubt);
    assert_eq!(client.ask("PING"), "+PONG");

    let mut second = std::process::Command::new(env!("CARGO_BIN_EXE_redoubt"));
    let config = dir.path().join("second.toml");
    let text = format!(
        "listen = \"unix://{}\"\nallow_weak_passwords = true\nadmin.listen = \"off\"\n\
         upstream.url = \"redis://127.0.0.1:1\"\nupstream.password = \"x\"\n",
        path(&socket)
    );
    fs::write(&config, text).unwrap();
    let output = second.args(["serve", "--config", path(&config)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot listen on") && said.contains("in use"), "{said}");
    assert_eq!(client.ask("PING"), "+PONG", "the first process still serves");
    assert_eq!(Client::session(&socket, &redoubt).ask("PING"), "+PONG");

    signal(redoubt.pid(), "TERM");
    assert!(redoubt.wait().success());
    assert!(!socket.exists());
}

#[test]
fn a_client_that_leaves_ends_its_blocking_command_although_more_requests_wait_behind_it() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("s");
    let redoubt = on(&redis, &socket).start();
    for half in [false, true] {
        let mut client = Client::session(&socket, &redoubt);
        client.0.get_mut().write_all(b"BLPOP list 0\r\nRESET\r\n").unwrap();
        wait_for_blocked(&redis, 1);
        if half {
            client.0.get_ref().shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.0.read(&mut [0; 16]).unwrap(), 0);
        }
        drop(client);
        wait_for_blocked(&redis, 0);
    }
}

#[test]
fn clients_connected_to_a_unix_socket_before_a_stop_are_served() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let socket = dir.path().join("s");
    let mut redoubt = on(&redis, &socket).start();
    let mut client = Client::session(&socket, &redoubt);
    client.0.get_mut().write_all(b"BLPOP list 1\r\nPING\r\n").unwrap();
    wait_for_blocked(&redis, 1);
    signal(redoubt.pid(), "TERM");
    assert!(Deadline::standard().poll(|| !socket.exists()), "the socket file stays after the stop");
    let mut reply = String::new();
    client.0.read_line(&mut reply).unwrap();
    assert_eq!(reply, "*-1\r\n");
    assert!(redoubt.wait().success());
}
