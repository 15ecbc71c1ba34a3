//! The limit of open files: it is raised as far as the system allows, reported where it is too low, and
//! enough where nothing is reported.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::{Client, Process, redis, redoubt};

const PASSWORD: &str = "9f4c1b7e60d25a83c7f19e04b6d8a352";
const TOO_FEW: &str = "files may be open";

fn write(dir: &Path, upstream: u16, sessions: usize) {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nallow_weak_passwords = true\n[client]\npassword = \"{PASSWORD}\"\n\
         [upstream]\nurl = \"redis://127.0.0.1:{upstream}\"\npassword = \"other-{PASSWORD}\"\n\
         sharing = \"off\"\n[limits]\nmax_sessions = {sessions}\n[admin]\nlisten = \"off\"\n"
    );
    fs::write(dir.join("redoubt.toml"), text).unwrap();
}

/// Returns the number of files that `redoubt check` reports as needed.
fn needed(dir: &Path) -> u64 {
    let config = dir.join("redoubt.toml");
    let reported = redoubt(&["check", "--config", config.to_str().unwrap()]).output().unwrap();
    let reported = String::from_utf8(reported.stdout).unwrap();
    let line =
        reported.lines().find_map(|line| line.strip_prefix("# Up to ")).expect("a line of it");
    line.split(' ').next().unwrap().parse().unwrap()
}

/// Starts the program with these limits of open files, and waits until it listens.
fn serve(dir: &Path, soft: u64, hard: u64) -> (Process, u16, bool) {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={soft}:{hard}")).arg(env!("CARGO_BIN_EXE_redoubt"));
    command.arg("serve").arg("--config").arg(dir.join("redoubt.toml")).env("NO_COLOR", "1");
    let mut process = Process::start(&mut command, "");
    let (mut is_reported, mut line) = (false, String::new());
    while !line.contains(" listening") {
        line = process.wait_for(" ");
        if line.contains(TOO_FEW) {
            assert!(line.contains(&format!("only {hard} files")), "{line}");
            assert!(line.contains(&format!("need {}:", needed(dir))), "{line}");
            is_reported = true;
        }
    }
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next());
    (process, port.unwrap().parse().unwrap(), is_reported)
}

/// Returns how many files the process may have open.
fn allowed(process: &Process) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_ascii_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn the_open_files_limit_is_raised_and_reported_if_still_too_low() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1, 40);
    let needed = needed(dir.path());
    assert!(needed > 2 * 40, "a session and a link each, and more: {needed}");
    for (hard, is_short) in [(needed - 1, true), (needed, false), (1000, false)] {
        let (process, _, is_reported) = serve(dir.path(), 64, hard);
        assert_eq!(allowed(&process), hard, "the limit is raised");
        assert_eq!(is_reported, is_short, "{hard} of {needed}");
    }
}

#[test]
fn a_reload_reports_an_open_files_limit_that_is_too_low() {
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), &format!("other-{PASSWORD}"));
    write(dir.path(), upstream, 40);
    let (mut process, _, is_reported) = serve(dir.path(), 400, 400);
    assert!(!is_reported);
    write(dir.path(), upstream, 400);
    process.signal("HUP");
    process.wait_for(TOO_FEW);
    process.wait_for("configuration reloaded");
}

#[test]
fn the_reported_number_of_open_files_suffices() {
    const SESSIONS: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let (_redis, upstream) = redis(dir.path(), &format!("other-{PASSWORD}"));
    write(dir.path(), upstream, SESSIONS);
    let needed = needed(dir.path());
    let (mut process, port, is_reported) = serve(dir.path(), needed, needed);
    assert!(!is_reported);
    let clients: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let mut client = Client::connect(port);
            assert_eq!(client.ask(&format!("AUTH {PASSWORD}")), "+OK");
            assert_eq!(client.ask("PING"), "+PONG");
            client
        })
        .collect();
    let open = fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    assert!(open > 2 * SESSIONS, "{open}");
    assert_eq!(Client::connect(port).ask("PING"), "-ERR max number of clients reached");
    drop(clients);
    process.signal("TERM");
    process.wait_for("stopped");
}
