//! `redoubt demo`, started as a person starts it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::process::{Client, Process, redoubt};
use support::servers::{self, REDIS_7_0, STACK_7_4, on_each};
use tempfile::TempDir;

/// Waits until it has ended as requested, and its directory and its Redis are gone. Returns its output.
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
    // The checks and their texts are those of `redoubt verify`.
    process.wait_for("Without the password");
    for (what, found) in [
        ("PING ", "-NOAUTH Authentication required."),
        ("PING ", "+PONG"),
        ("FLUSHDB ", "-ERR unknown command 'FLUSHDB'"),
        ("FLUSHALL in a script", "Redis's ACL refuses it"),
        ("Redis at 127.0.0.1:", "requires a password of its own"),
    ] {
        let line = process.wait_for(found);
        assert!(line.starts_with("  ✓ holds") && line.contains(what), "{line}");
    }
    process.wait_for(" 0 fail, 1 warning, 1 skipped");
    let url = process.wait_for("redis://default:");
    let url = url.trim().strip_prefix("clients").unwrap().trim();
    let (password, address) =
        url.strip_prefix("redis://default:").and_then(|url| url.split_once('@')).unwrap();
    assert_eq!(password.len(), 64, "256 bits in hexadecimal");
    let port = address.strip_prefix("127.0.0.1:").unwrap();
    let line = process.wait_for("redis-cli");
    assert_eq!(
        line.trim().strip_prefix("shell").unwrap().trim(),
        format!("REDISCLI_AUTH={password} redis-cli -p {port}")
    );
    let line = process.wait_for("/readyz");
    let admin = line.split(' ').find_map(|word| word.strip_suffix("/readyz")).unwrap();
    let admin: u16 = admin.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
    assert!(line.contains(&format!("http://127.0.0.1:{admin}/metrics")), "{line}");
    let line = process.wait_for("redoubt sessions --admin ");
    let args: Vec<_> = line.trim().split(' ').skip_while(|word| *word != "sessions").collect();
    process.wait_for("Ctrl-C");
    assert!(redoubt(&args).output().unwrap().status.success(), "{line}");
    for path in ["readyz", "metrics"] {
        let mut http = Client::connect(admin);
        let request = format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        let status = http.ask(&request);
        assert!(status.starts_with("HTTP/1.1 200 "), "{path}: {status}");
    }

    // It has a directory of its own, and a Redis with another password.
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

/// The only server in the PATH is that of `servers`, under the name that its makers gave it.
#[test]
fn verify_holds_in_the_demo_of_each_server() {
    on_each(
        &[REDIS_7_0, STACK_7_4, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"],
        |server| {
            let (name, version) = server.split_once('-').unwrap();
            let name = if server == STACK_7_4 { "redis" } else { name };
            let (dir, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let file = bin.path().join(format!("{name}-server"));
            let (program, path) = (servers::program(server), std::env::var("PATH").unwrap());
            let (program, modules) = (program.display(), servers::options(server).join(" "));
            // The modules come behind the dash that stands for the configuration.
            let text = format!(
                "#!/bin/sh\nexport PATH='{path}'\n[ \"$1\" = - ] || exec {program} \"$@\"\n\
             exec {program} \"$@\" {modules}\n"
            );
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            let mut command = redoubt(&["demo"]);
            command.env("TMPDIR", dir.path()).env("PATH", bin.path());
            let mut process = Process::start(&mut command, "");
            let heading = process.wait_for(", before ").to_lowercase();
            assert!(heading.contains(&format!("before {name} {version}.")), "{heading}");
            process.wait_for(" 0 fail, 1 warning, 1 skipped");
            process.wait_for("Ctrl-C");
            process.signal("INT");
            let upstream = heading.rsplit_once(':').unwrap().1.parse().unwrap();
            ends_cleanly(process, &dir, upstream);
        },
    );
}

/// Runs it on a terminal, which `script` provides.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_redoubt");
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("exec {program} demo"), "/dev/null"]).env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("TMPDIR", dir.path()).envs(variables.iter().copied());
    // The interrupt is a key, as a person would press it.
    let mut process = Process::start_typing(&mut command);
    process.wait_for("Ctrl-C");
    process.type_in("\x03");
    let (_, output) = process.end();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{output}");
    output
}

#[test]
fn the_demo_uses_colour_on_terminals_unless_no_color_is_set() {
    let output = on_a_terminal(&[]);
    assert!(output.contains("\x1b[32m✓ holds  \x1b[0m"), "{output}");
    let output = on_a_terminal(&[("NO_COLOR", "1")]);
    assert!(output.contains("✓ holds") && !output.contains('\x1b'), "{output}");
}

#[test]
fn a_second_ctrl_c_of_the_demo_leaves_no_redis_running() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = redoubt(&["demo"]);
    let mut process = Process::start(command.env("TMPDIR", dir.path()), "");
    let upstream = process.wait_for("before Redis").rsplit_once(':').unwrap().1.parse().unwrap();
    let url = process.wait_for("redis://default:");
    let (password, address) =
        url.split_once("redis://default:").and_then(|(_, url)| url.split_once('@')).unwrap();
    process.wait_for("Ctrl-C");
    let mut client = Client::connect(address.rsplit_once(':').unwrap().1.parse().unwrap());
    assert_eq!(client.ask(&format!("AUTH {password}")), "+OK");
    // A pending reply keeps it from ending at the first interrupt.
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
