//! Client libraries and `redis-cli` work through Redoubt as they do with Redis.
//!
//! `scripts/clients.sh` installs the libraries of other languages; the tests here run the programs in
//! `python`, `node`, `ai` and `programs`.
//!
//! | module | what it tests |
//! |---|---|
//! | `ai` | libraries of AI services, on Redis with modules |
//! | `cli` | `redis-cli` |
//! | `connect` | what libraries send when they connect that cannot run here |
//! | `learned` | what an identity's program does becomes its rule |
//! | `maintenance` | maintenance notifications, and a Redoubt that is replaced |
//! | `outage` | clients while Redis is down |
//! | `programs` | programs on top of client libraries, such as job queues and socket servers |
//! | `redis_rs` | the crate `redis` |
//! | `redis_rs_state` | the crate `redis` where the connection's state matters |
//! | `semantic_cache` | the example `examples/semantic-cache` |

mod ai;
mod cli;
mod connect;
mod learned;
mod maintenance;
mod outage;
mod programs;
mod redis_rs;
mod redis_rs_state;
mod semantic_cache;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use support::certificates::{Authority, Kind};
use support::{Deadline, Lines, Redis, Redoubt, TIME_LIMIT, target_is_redis};

/// Returns the URL that a client gets.
fn url(redoubt: &Redoubt) -> String {
    format!("redis://:{}@{}/", redoubt.password(), redoubt.address())
}

/// Returns the directory of the client programs in other languages.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Returns the directory in which the libraries of `language` are installed.
fn installed(language: &str) -> PathBuf {
    installed_by(language, "ai")
}

/// Returns the directory `name` of what `scripts/clients.sh` with that argument installs.
fn installed_by(name: &str, argument: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let dir = target.join("clients").join(name);
    assert!(dir.join("installed").exists(), "{name} is missing: run scripts/clients.sh {argument}");
    dir
}

/// Runs a client program with each protocol, with shared links and without.
///
/// The program may ask by a line that Redis is restarted, and gets an answer when that is done.
fn run(program: impl Fn() -> Command, protocols: &[&str]) {
    for sharing in ["auto", "off"] {
        for protocol in protocols {
            let (redis, redoubt);
            let mut program = program();
            // If a plain Redis stands in for Redoubt, it is the server to restart.
            if target_is_redis() {
                redis = Redis::setup().hide_refused().start();
                program.arg(format!("redis://:{}@{}/", redis.password(), redis.address()));
            } else {
                redis = Redis::start();
                redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
                program.arg(url(&redoubt));
            }
            program.arg(protocol);
            let said = converse(program, redis);
            assert!(said.ends_with("all is well"), "RESP{protocol}, sharing {sharing}: {said}");
        }
    }
}

/// Runs a client program with a client certificate, in TLS on both sides of Redoubt.
fn run_in_tls(mut program: Command, protocol: &str) {
    let authority = Authority::new();
    let server = authority.server("server");
    let app = authority.issue("app", &["app"], Kind::Good);
    let redis = Redis::setup().tls(&server, &authority.ca(), "no").start();
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let redoubt = Redoubt::setup(&redis)
        .set_text("listen", "tls://127.0.0.1:0")
        .set_text("tls.certificate", &text(&server.certificate))
        .set_text("tls.key", &text(&server.key))
        .set_text("tls.client_ca", &text(&authority.ca()))
        .set_text("upstream.url", &format!("rediss://127.0.0.1:{}", redis.tls_port()))
        .set_text("upstream.tls_ca", &text(&authority.ca()))
        .start();
    let files = [("ca_certs", authority.ca()), ("certfile", app.certificate), ("keyfile", app.key)];
    let files = files.map(|(name, path)| format!("ssl_{name}={}", text(&path))).join("&");
    let url = format!("rediss://:{}@{}/?{files}", redoubt.password(), redoubt.address());
    program.args([&url, protocol]);
    let said = converse(program, redis);
    assert!(said.ends_with("all is well"), "{said}");
}

/// Starts the program, whose input the test writes and whose output it collects.
fn start(program: &mut Command) -> (Child, ChildStdin, Lines) {
    let mut client = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the client");
    let stdin = client.stdin.take().expect("stdin");
    let output = Lines::of(&mut client);
    (client, stdin, output)
}

/// Waits for the end of the client, which must succeed, and returns the lines of its output.
#[track_caller]
fn end(mut client: Child, output: &Lines) -> Vec<String> {
    let mut status = None;
    Deadline::after(TIME_LIMIT * 6).poll(|| {
        status = client.try_wait().expect("the client's state");
        status.is_some()
    });
    if status.is_none() {
        drop(client.kill());
        client.wait().expect("the client's end");
    }
    output.wait_for_end();
    let said = output.all();
    assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", said.join("\n"));
    said
}

/// Runs the program, restarts Redis when it asks for that, and returns its output.
fn converse(program: Command, mut redis: Redis) -> String {
    converse_with(program, &mut redis)
}

/// The same, with a Redis that goes on afterwards.
fn converse_with(mut program: Command, redis: &mut Redis) -> String {
    let (client, mut stdin, output) = start(&mut program);
    if output.wait(|line| line == "restart redis").is_some() {
        redis.kill();
        redis.restart();
        drop(stdin.write_all(b"restarted\n"));
    }
    end(client, &output).join("\n")
}

fn python(program: &str) -> Command {
    python_of("python", program)
}

/// Returns a program of the directory `name`, which runs with the packages that are installed for it.
fn python_of(name: &str, program: &str) -> Command {
    let mut python = Command::new(installed(name).join("bin/python"));
    // Otherwise Python writes its cache among the sources.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(sources().join(name).join(program));
    python
}

fn node(program: &str) -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed("node").join("node_modules"));
    node.arg(sources().join("node").join(program));
    node
}

#[test]
fn redis_py_works() {
    run(|| python("redis_py.py"), &["2", "3"]);
}

#[test]
fn redis_py_works_with_asyncio() {
    run(|| python("redis_py_asyncio.py"), &["2", "3"]);
}

#[test]
fn valkey_glide_works() {
    run(|| python("valkey_glide.py"), &["2", "3"]);
}

#[test]
fn node_redis_works() {
    run(|| node("node_redis.cjs"), &["2", "3"]);
}

#[test]
fn ioredis_works() {
    // The library supports no other protocol.
    run(|| node("ioredis.cjs"), &["2"]);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redis_py_works_over_tls() {
    run_in_tls(python("redis_py.py"), "3");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn ioredis_works_over_tls() {
    run_in_tls(node("ioredis.cjs"), "2");
}
