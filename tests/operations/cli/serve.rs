//! `redoubt serve` as a process: it starts, logs, stops on request and never logs a secret.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::process::{Client, Process, redis, redoubt};

/// A part of every secret and argument, which no output may contain.
const CANARY: &str = "canary";
const REDIS_PASSWORD: &str = "canary-of-redis-4d1f80b7a29c63e5";
const CLIENT_PASSWORD: &str = "canary-of-clients-92ce61d07fb3a8";

/// Returns the program, not started, with the Redis on the port `upstream`.
fn program(dir: &Path, upstream: u16, log: &str) -> Command {
    let config = dir.join("redoubt.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nshutdown_timeout = \"20s\"\n\
         [client]\nuser = \"app\"\npassword = \"{CLIENT_PASSWORD}\"\n\
         [upstream]\nurl = \"redis://127.0.0.1:{upstream}\"\npassword = \"{REDIS_PASSWORD}\"\n\
         [throttle]\nexempt = [\"127.0.0.1\"]\n\
         [admin]\nlisten = \"off\"\n[log]\n{log}\n"
    );
    fs::write(&config, text).unwrap();
    redoubt(&["serve", "--config", config.to_str().unwrap()])
}

/// Starts the program with the Redis on the port `upstream`, and returns the port that it listens on.
fn serve(dir: &Path, upstream: u16, log: &str) -> (Process, u16) {
    let mut process = Process::start(&mut program(dir, upstream, log), "");
    let port = port(&process.wait_for("listening"));
    (process, port)
}

/// Returns the port that a line of the log ends with.
fn port(line: &str) -> u16 {
    let digits = line.rsplit_once("127.0.0.1:").unwrap().1;
    let port = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    port.parse().unwrap()
}

/// Causes each kind of logged event, with a canary wherever a client may put text.
fn visit(port: u16) {
    let mut client = Client::connect(port);
    assert!(client.ask("SET canary canary").starts_with("-NOAUTH"));
    assert!(client.ask("AUTH app canary-wrong").starts_with("-WRONGPASS"));
    assert!(client.ask("HELLO 3 AUTH ghost canary-wrong").starts_with("-WRONGPASS"));
    assert_eq!(client.ask(&format!("AUTH app {CLIENT_PASSWORD}")), "+OK");
    assert_eq!(client.ask("SET canary canary"), "+OK");
    assert!(client.ask("FLUSHALL canary").starts_with("-ERR unknown command"));
    assert!(client.ask("CONFIG SET requirepass canary").starts_with("-ERR unknown command"));
    assert!(client.ask("NOSUCH canary").starts_with("-ERR unknown command"));
    assert_eq!(client.ask("EVAL \"return redis.call('GET','canary')\" 0"), "$6");
    drop(client);
    let mut client = Client::connect(port);
    assert!(client.ask("*1\r\ncanary").starts_with("-ERR Protocol error"));
    client.rest();
}

#[test]
fn at_trace_level_no_output_contains_a_secret_or_an_argument() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), REDIS_PASSWORD);
    for format in ["text", "json"] {
        let log = format!("level = \"trace\"\nformat = \"{format}\"");
        let (mut process, port) = serve(dir.path(), upstream, &log);
        visit(port);
        process.wait_for("protocol_error");
        process.signal("TERM");
        let (status, output) = process.end();
        assert_eq!(status.code(), Some(0), "{output}");
        assert!(!output.contains(CANARY), "a secret in:\n{output}");
    }
}

#[test]
fn log_lines_about_a_session_have_stable_texts() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), REDIS_PASSWORD);
    let (mut process, port) = serve(dir.path(), upstream, "");
    visit(port);
    process.wait_for("reason=protocol_error");
    process.signal("INT");
    let (status, output) = process.end();
    assert_eq!(status.code(), Some(0), "{output}");
    let lines: Vec<_> = output.lines().filter(|line| line.contains("redoubt::session")).collect();
    for (level, message, fields) in [
        ("INFO", "session opened", "session="),
        ("WARN", "AUTH failed", "user=app"),
        ("WARN", "AUTH failed", "user=ghost"),
        ("INFO", "authenticated", "user=app"),
        ("WARN", "command refused", "rule=flushall"),
        ("WARN", "command refused", "rule=config"),
        ("INFO", "session closed", "reason=client_closed"),
    ] {
        let found = lines.iter().any(|line| {
            [level, message, fields, "peer=127.0.0.1:"].iter().all(|part| line.contains(part))
        });
        assert!(found, "no {level} {message} {fields} in:\n{output}");
    }
    for field in ["duration_ms=", "commands=", "bytes_in=", "bytes_out="] {
        let closed = lines.iter().find(|line| line.contains("session closed")).unwrap();
        assert!(closed.contains(field), "{closed}");
    }
}

#[test]
fn a_closed_log_pipe_does_not_stop_redoubt() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), REDIS_PASSWORD);
    let (mut process, port) = serve(dir.path(), upstream, "level = \"trace\"");
    process.close_output();
    for _ in 0..3 {
        visit(port);
    }
    assert!(process.is_running(), "the process stopped without its log");
}

#[test]
fn an_unread_log_pipe_delays_no_client() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), REDIS_PASSWORD);
    let mut child =
        program(dir.path(), upstream, "level = \"trace\"").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it listens");
    }
    // The output is far more than a pipe holds.
    for _ in 0..500 {
        visit(port(&line));
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn shutdown_completes_with_an_unread_log_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), REDIS_PASSWORD);
    // The log goes to standard error, the audit log to standard output.
    let mut command = program(dir.path(), upstream, "level = \"trace\"");
    let config = dir.path().join("redoubt.toml");
    let text = fs::read_to_string(&config).unwrap().replace("\"20s\"", "\"1s\"");
    fs::write(&config, text).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it listens");
    }
    // The lines are more than a pipe and the queue before it hold.
    let port = port(&line);
    for _ in 0..3000 {
        visit(port);
    }
    let pid = child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.expect("run kill").success());
    };
    signal("-TERM");
    // The pipe stays open, so that a write blocks and does not fail.
    let unread = (child.stdout.take(), log);
    let (ended, is_ended) = mpsc::channel();
    let waits = thread::spawn(move || ended.send(child.wait().unwrap()));
    let status = is_ended.recv_timeout(Duration::from_secs(30));
    if status.is_err() {
        signal("-KILL");
    }
    waits.join().unwrap().unwrap();
    assert_eq!(status.expect("it did not end").code(), Some(0));
    drop(unread);
}

#[test]
fn a_listener_port_in_use_exits_with_1_and_names_the_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = redoubt(&["serve"]);
    command.envs([
        ("REDIS_PASSWORD", REDIS_PASSWORD),
        ("REDOUBT_PASSWORD", CLIENT_PASSWORD),
        ("REDOUBT_UPSTREAM", "redis://127.0.0.1:1"),
        ("REDOUBT_LISTEN", address.as_str()),
        ("REDOUBT_ADMIN_LISTEN", "off"),
    ]);
    let (status, output) = Process::start(&mut command, "").end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&format!("redoubt: cannot listen on {address}: ")), "{output}");
    assert!(!output.contains(CANARY), "{output}");
}

#[test]
fn unusable_tls_files_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("redoubt.toml");
    for (listen, upstream, reported) in [
        (
            "tls://127.0.0.1:0",
            "redis://127.0.0.1:1\"",
            "tls.certificate: cannot read \"/none.crt\": ",
        ),
        (
            "127.0.0.1:0",
            "rediss://127.0.0.1:1\"\ntls_ca = \"/none.ca\"",
            "upstream.tls_ca: cannot read \"/none.ca\": ",
        ),
        (
            "127.0.0.1:0",
            "rediss://no..name:1\"\ntls_dangerously_accept_any_certificate = true",
            "\"no..name\" is not a name that a certificate can be for",
        ),
    ] {
        // The start fails although one of the two listeners works.
        let text = format!(
            "listen = [\"127.0.0.1:0\", \"{listen}\"]\n\
             [tls]\ncertificate = \"/none.crt\"\nkey = \"/none.key\"\n\
             [client]\npassword = \"{CLIENT_PASSWORD}\"\n\
             [upstream]\nurl = \"{upstream}\npassword = \"{REDIS_PASSWORD}\"\n"
        );
        fs::write(&config, text).unwrap();
        let mut program = redoubt(&["serve", "--config", config.to_str().unwrap()]);
        let (status, output) = Process::start(&mut program, "").end();
        assert_eq!(status.code(), Some(1), "{listen} {upstream}:\n{output}");
        assert!(output.contains(&format!("redoubt: {reported}")), "{reported}:\n{output}");
        assert!(!output.contains("listening") && !output.contains(CANARY), "{output}");
    }
}
