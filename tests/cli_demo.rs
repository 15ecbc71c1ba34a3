//! `redoubt demo` as a person sees it.

mod cli_process;

use std::fs;

use cli_process::{Client, Process, redoubt};
use tempfile::TempDir;

/// Waits until it has ended as asked, with its directory and its Redis gone. Returns what it said.
fn ends_cleanly(process: Process, dir: &TempDir, upstream: u16) -> String {
    let (status, output) = process.end();
    assert_eq!(status.code(), Some(0), "{output}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "its directory is gone");
    let gone = std::net::TcpStream::connect(("127.0.0.1", upstream));
    assert!(gone.is_err(), "its Redis is gone");
    output
}

#[test]
fn the_demo_shows_the_checks_serves_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = redoubt(&["demo"]);
    let mut process = Process::start(command.env("TMPDIR", dir.path()), "");
    let heading = process.wait_for("before Redis");
    assert!(process.wait_for(" 1. ").contains("✓ 1. PING without a password"));
    process.wait_for(" 2. ");
    assert!(process.wait_for(" 3. ").contains("-ERR unknown command 'FLUSHDB'"));
    assert!(process.wait_for(" 4. ").contains("+PONG"));
    let url = process.wait_for("redis://default:");
    let (password, address) =
        url.trim().strip_prefix("redis://default:").and_then(|url| url.split_once('@')).unwrap();
    assert_eq!(password.len(), 64, "256 bits in hexadecimal");
    let port = address.strip_prefix("127.0.0.1:").unwrap();
    let line = process.wait_for("redis-cli");
    assert_eq!(line.trim(), format!("REDISCLI_AUTH={password} redis-cli -p {port}"));
    process.wait_for("Ctrl-C");

    // A directory of its own, and a Redis whose password is another.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let upstream = heading.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut client = Client::connect(upstream);
    assert!(client.ask("PING").starts_with("-NOAUTH"));
    assert!(client.ask(&format!("AUTH {password}")).starts_with("-WRONGPASS"));
    let mut client = Client::connect(port.parse().unwrap());
    assert_eq!(client.ask(&format!("AUTH {password}")), "+OK");
    assert_eq!(client.ask("SET key value"), "+OK");

    process.signal("INT");
    let output = ends_cleanly(process, &dir, upstream);
    assert!(!output.contains('\x1b'), "colour without a terminal: {output}");
}

#[test]
fn a_second_ctrl_c_leaves_no_redis_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = redoubt(&["demo"]);
    let mut process = Process::start(command.env("TMPDIR", dir.path()), "");
    let upstream = process.wait_for("before Redis").rsplit_once(':').unwrap().1.parse().unwrap();
    let url = process.wait_for("redis://default:");
    let (password, address) =
        url.trim().strip_prefix("redis://default:").and_then(|url| url.split_once('@')).unwrap();
    process.wait_for("Ctrl-C");
    let mut client = Client::connect(address.rsplit_once(':').unwrap().1.parse().unwrap());
    assert_eq!(client.ask(&format!("AUTH {password}")), "+OK");
    // A reply that is due keeps it from ending at the first.
    assert_eq!(client.ask("PING\r\nBLPOP nothing 0"), "+PONG");
    process.signal("INT");
    process.wait_for("SIGINT, stopping");
    process.signal("INT");
    drop(client);
    ends_cleanly(process, &dir, upstream);
}

#[test]
fn without_redis_the_demo_says_how_to_install_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = redoubt(&["demo"]);
    let (status, output) = Process::start(command.env("PATH", dir.path()), "").end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("apt-get install redis-server"), "{output}");
}
