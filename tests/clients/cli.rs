//! `redis-cli`, in a terminal and without one.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use support::certificates::Authority;
use support::{Deadline, Lines, Redis, Redoubt, frame, shown};

const LARGE: usize = 32 << 20;

/// Returns a `redis-cli` for `redoubt`, which reads its password from the environment.
fn command(redoubt: &Redoubt, args: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &redoubt.address().port().to_string()]).args(args);
    command.env("REDISCLI_AUTH", redoubt.password());
    command
}

/// Runs `redis-cli` with `input` and returns its output.
fn run(redoubt: &Redoubt, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = command(redoubt, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is missing: run scripts/clients.sh");
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "redis-cli {args:?} fails");
        output.stdout
    })
}

#[track_caller]
fn answers(redoubt: &Redoubt, input: &str, wanted: &str) {
    let output = String::from_utf8(run(redoubt, &[], input.as_bytes())).unwrap();
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.join("|"), wanted);
}

#[test]
fn redis_cli_runs_commands_from_a_file() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    answers(&redoubt, "PING\nSET k \"two words\"\nGET k\nDEL k\n", "PONG|OK|two words|1");
    answers(&redoubt, "MULTI\nINCR n\nINCR n\nEXEC\n", "OK|QUEUED|QUEUED|1|2");
    let refused = "ERR unknown command 'FLUSHALL', with args beginning with: ";
    answers(
        &redoubt,
        "MULTI\nINCR n\nFLUSHALL\nEXEC\n",
        &format!("OK|QUEUED|{refused}|EXECABORT Transaction discarded because of previous errors."),
    );
    // The map contains the connection's id, so only a part of it is known.
    let hello = String::from_utf8(run(&redoubt, &["-3"], b"HELLO 3\n")).unwrap();
    assert!(hello.contains("server redis") && hello.contains("proto 3"), "{hello}");
}

#[test]
fn redis_cli_runs_scan_blocking_pop_and_pipe() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut requests = Vec::new();
    for number in 0..10_000 {
        requests.extend(frame::request(&["SET", &format!("scan:{number}"), "v"]));
    }
    let piped = run(&redoubt, &["--pipe"], &requests);
    let piped = String::from_utf8(piped).unwrap();
    assert!(piped.contains("errors: 0, replies: 10000"), "{piped}");

    let scanned = run(&redoubt, &["--scan", "--pattern", "scan:*"], b"");
    let scanned = String::from_utf8(scanned).unwrap();
    let mut names: Vec<&str> = scanned.lines().collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 10_000);

    let popper =
        command(&redoubt, &["BLPOP", "queue", "30"]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(redoubt.session().command(&["RPUSH", "queue", "work"]), b":1\r\n");
    assert_eq!(popper.wait_with_output().unwrap().stdout, b"queue\nwork\n");
}

#[test]
fn redis_cli_publishes_and_subscribes() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut child =
        command(&redoubt, &["PSUBSCRIBE", "news*"]).stdout(Stdio::piped()).spawn().unwrap();
    let output = Lines::default();
    output.collect(child.stdout.take().unwrap());
    assert!(output.wait(|line| line == "psubscribe").is_some());
    assert!(output.wait(|line| line == "1").is_some());
    assert_eq!(run(&redoubt, &["PUBLISH", "news:one", "hello there"], b""), b"1\n");
    assert!(output.wait(|line| line == "hello there").is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn redis_cli_moves_a_value_of_32_mib() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    a_large_value(&redoubt, &[]);
}

#[track_caller]
fn a_large_value(redoubt: &Redoubt, options: &[&str]) {
    let value = b"0123456789abcdef".repeat(LARGE / 16);
    assert_eq!(run(redoubt, &[options, &["-x", "SET", "large"]].concat(), &value), b"OK\n");
    let got = run(redoubt, &[options, &["--raw", "GET", "large"]].concat(), b"");
    assert!(got.strip_suffix(b"\n") == Some(&value[..]), "{}", shown(&got));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_cli_connects_over_tls_and_a_unix_socket() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let (server, app) = (authority.server("server"), authority.server("app"));
    let socket = authority.dir().join("socket");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (ca, socket) = (text(&authority.ca()), text(&socket));
    let redoubt = Redoubt::setup(&redis)
        .set("listen", format!("[\"tls://127.0.0.1:0\", \"unix://{socket}\"]"))
        .set_text("tls.certificate", &text(&server.certificate))
        .set_text("tls.key", &text(&server.key))
        .set_text("tls.client_ca", &ca)
        .start();
    let (certificate, key) = (text(&app.certificate), text(&app.key));
    let tls = ["--tls", "--cacert", &ca, "--cert", &certificate, "--key", &key];
    for options in [&tls[..], &["-s", &socket]] {
        let piped = run(&redoubt, options, b"PING\nSET k v\nGET k\nFLUSHALL\nCONFIG GET *\n");
        let said = String::from_utf8(piped).unwrap();
        assert!(said.starts_with("PONG\nOK\nv\nERR unknown command 'FLUSHALL'"), "{said}");
        assert!(said.contains("ERR unknown command 'CONFIG'"), "{said}");
        a_large_value(&redoubt, options);
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_cli_does_not_run_a_script_whose_debugger_is_refused() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.lua");
    std::fs::write(&script, "return redis.call('SET', KEYS[1], 'ran')").unwrap();
    let script = script.to_str().unwrap();
    for mode in ["--ldb", "--ldb-sync-mode"] {
        let output = command(&redoubt, &[mode, "--eval", script, "k"])
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is missing: run scripts/clients.sh");
        assert!(!output.status.success(), "{output:?}");
    }
    assert_eq!(redoubt.session().command(&["EXISTS", "k"]), b":0\r\n");
    run(&redoubt, &["--eval", script, "k"], b"");
    assert_eq!(redoubt.session().command(&["GET", "k"]), b"$3\r\nran\r\n");
}

/// `redis-cli` on a terminal of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Lines,
}

impl Terminal {
    fn open(redoubt: &Redoubt) -> Self {
        let port = redoubt.address().port();
        let mut child = Command::new("script")
            .args(["-q", "-e", "-f", "-c", &format!("redis-cli -p {port}"), "/dev/null"])
            .env("TERM", "dumb")
            .env_remove("REDISCLI_AUTH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is missing: run scripts/clients.sh");
        let (keys, screen) = (child.stdin.take().unwrap(), Lines::default());
        screen.collect(child.stdout.take().unwrap());
        Self { child, keys, screen }
    }

    /// Types a line and waits for an answer below it.
    #[track_caller]
    fn asks(&mut self, line: &str, answer: &str) {
        let from = self.screen.count();
        writeln!(self.keys, "{line}").unwrap();
        let shows = |shown: &str| shown.trim_end().ends_with(answer);
        let shown = self.screen.wait_from(from, shows);
        assert!(shown.is_some(), "{line}: no {answer} on {:?}", self.screen.all());
    }
}

#[test]
fn redis_cli_works_on_a_terminal() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut terminal = Terminal::open(&redoubt);
    terminal.asks("ping", "(error) NOAUTH Authentication required.");
    terminal.asks(
        "auth nonsense",
        "(error) WRONGPASS invalid username-password pair or user is disabled.",
    );
    terminal.asks(&format!("auth {}", redoubt.password()), "OK");
    terminal.asks("ping", "PONG");
    terminal.asks("set greeting \"hello world\"", "OK");
    terminal.asks("get greeting", "\"hello world\"");
    terminal.asks("incr counter", "(integer) 1");
    terminal.asks("flushall", "(error) ERR unknown command 'flushall', with args beginning with:");
    terminal.asks(
        "config get *",
        "(error) ERR unknown command 'config', with args beginning with: 'get' '*'",
    );
    terminal.asks("multi", "OK");
    terminal.asks("incr counter", "QUEUED");
    terminal.asks("exec", "1) (integer) 2");
    terminal.asks("select 3", "OK");
    terminal.asks("get greeting", "(nil)");
    terminal.asks("blpop nothing 0.1", "(nil)");
    writeln!(terminal.keys, "exit").unwrap();
    let ended = Deadline::standard().poll(|| terminal.child.try_wait().unwrap().is_some());
    assert!(ended, "redis-cli does not end");
}
