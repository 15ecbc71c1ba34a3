//! The server is the specification: the same bytes go to a plain server and to Redoubt, and the same bytes
//! must come back and the same closes happen, whether the input is sent at once or byte by byte.
//!
//! The plain Redis has the commands that Redoubt refuses renamed, so that it does not know them;
//! `tests/policy/escapes.rs` does the same for subcommands. Every case ends with a PING and a QUIT, and
//! is read to the end: a connection that closed early lacks their replies.

mod case;
mod generated;
mod scene;

use std::net::SocketAddr;
use std::time::Duration;

use case::{Case, Step};
use scene::Stage;
use support::{Redis, Redoubt, Wire, differences, frame, note, secret, shown};

macro_rules! tables {
    ($($name:ident),* $(,)?) => {
        const TABLES: &[&str] = &[$(include_str!(concat!("differential/", stringify!($name), ".cases"))),*];
        $(
            #[test]
            fn $name() {
                let table = include_str!(concat!("differential/", stringify!($name), ".cases"));
                compare(table, stringify!($name) == "allowed");
            }
        )*
    };
}

tables![
    allowed,
    auth,
    before_auth,
    client,
    commands,
    escapes,
    hello,
    inline,
    pipeline,
    protocol,
    pubsub,
    refused,
    transaction
];

#[test]
fn differential_tables_are_large_and_have_unique_names() {
    let cases: Vec<Case> = TABLES.iter().flat_map(|table| case::read(table, "")).collect();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let scenes = scene::read(SCENES);
    names.extend(scenes.iter().map(|scene| scene.case.name.as_str()));
    let all = cases.len() + scenes.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two cases share a name");
    assert!(all >= 500, "{all} cases");
    assert!(cases.iter().all(|case| !case.steps.is_empty()));
}

/// Scenes with several sessions.
const SCENES: &str = include_str!("differential/sessions.cases");

#[test]
fn sessions_get_the_same_bytes_from_redoubt_as_from_redis() {
    let password = secret();
    let redis = Redis::setup().password(&password).hide_refused().start();
    let ways = ways(&password, false);
    let mut differing = 0;
    for scene in scene::read(SCENES).iter().filter(|scene| is_wanted(&scene.case)) {
        let stage = Stage { address: redis.address(), password: &password, behind: &redis };
        redis.flush();
        let wanted = scene::play(scene, &stage);
        for (sharing, upstream, redoubt) in &ways {
            let stage = Stage::of(redoubt, upstream);
            stage.behind.flush();
            let got = scene::play(scene, &stage);
            for (wanted, got) in wanted.iter().zip(&got).filter(|(wanted, got)| wanted != got) {
                differing += 1;
                let name = &scene.case.name;
                note(&format!(
                    "--- {name}, sharing {sharing}\nRedis:   {wanted}\nRedoubt: {got}\n"
                ));
            }
        }
    }
    assert_eq!(differing, 0, "replies differ; REDOUBT_TEST_CASE=part-of-a-name runs one scene");
}

fn is_wanted(case: &Case) -> bool {
    case.name.contains(&std::env::var("REDOUBT_TEST_CASE").unwrap_or_default())
}

/// Returns a server with shared links and one without, which must not differ. With `escapes`, escapes
/// may run.
fn ways(password: &str, escapes: bool) -> [(&'static str, Redis, Redoubt); 2] {
    ["auto", "off"].map(|sharing| {
        let upstream = Redis::start();
        let redoubt = Redoubt::setup(&upstream)
            .client_password(password)
            .set("limits.auth_attempts", 1_000_000)
            .set_text("upstream.sharing", sharing)
            .set_text("policy.escapes", if escapes { "allow" } else { "deny" })
            .start();
        (sharing, upstream, redoubt)
    })
}

/// Inputs are sent byte by byte up to this many bytes, and in steps of a prime beyond.
const BYTEWISE_LIMIT: usize = 100_000;
const LARGE_STEP: usize = 4099;

const TIME_LIMIT: Duration = Duration::from_secs(10);
const STUCK: &[u8] = b" (and then nothing)";

fn compare(table: &str, escapes: bool) {
    let password = secret();
    let cases = case::read(table, &password);
    let redis = Redis::setup().password(&password);
    let redis = if escapes { redis.hide_blocked() } else { redis.hide_refused() }.start();
    let ways = ways(&password, escapes);
    let mut differing = 0;
    let compared =
        |case: &&Case| is_wanted(case) && !differences::is_expected(redis.server(), &case.name);
    for case in cases.iter().filter(compared) {
        for bytewise in [false, true] {
            redis.flush();
            let wanted = run(case, bytewise, (redis.address(), &password), &redis);
            for (sharing, upstream, redoubt) in &ways {
                let behind = redoubt.stand_in().unwrap_or(upstream);
                behind.flush();
                let got = run(case, bytewise, (redoubt.address(), &password), behind);
                if wanted != got || wanted.ends_with(STUCK) {
                    differing += 1;
                    let how = if bytewise { "byte by byte" } else { "whole" };
                    let (name, wanted, got) = (&case.name, shown(&wanted), shown(&got));
                    note(&format!(
                        "--- {name}, {how}, sharing {sharing}\nRedis:   {wanted}\nRedoubt: {got}\n"
                    ));
                }
            }
        }
    }
    assert_eq!(differing, 0, "replies differ; REDOUBT_TEST_CASE=part-of-a-name runs one case");
}

/// Runs `case` against `target`, whose data is in `behind`. Returns all bytes that came back.
fn run(case: &Case, bytewise: bool, target: (SocketAddr, &str), behind: &Redis) -> Vec<u8> {
    let (address, password) = target;
    let mut wire =
        if case.noauth { Wire::connect(address) } else { Wire::authenticated(address, password) };
    wire.set_time_limit(TIME_LIMIT);
    let mut other = None;
    let mut pending = Vec::new();
    let mut syncs = 0;
    for step in &case.steps {
        match step {
            Step::Send(bytes) => pending.extend_from_slice(bytes),
            Step::Sync => {
                syncs += 1;
                let marker = format!("sync-{syncs}");
                pending.extend(frame::request(&["PING", &marker]));
                let answered = format!("{marker}\r\n").into_bytes();
                let done = |received: &[u8]| received.ends_with(&answered);
                if !wire.exchange(&pending, step_of(bytewise, pending.len()), false, done) {
                    return stuck(&wire);
                }
                pending.clear();
            }
            Step::Other(request) => {
                let other = other.get_or_insert_with(|| behind.direct());
                other.send(request);
                other.frame();
            }
        }
    }
    if !case.eof {
        pending.extend(frame::request(&["PING", "the end"]));
        pending.extend(frame::request(&["QUIT"]));
    }
    if !wire.exchange(&pending, step_of(bytewise, pending.len()), case.eof, |_| false) {
        return stuck(&wire);
    }
    mask(case, without_modules(wire.read_to_close()))
}

/// Returns a text in the place of the replies when the other side neither answers nor closes.
fn stuck(wire: &Wire) -> Vec<u8> {
    [wire.received(), STUCK].concat()
}

fn step_of(bytewise: bool, length: usize) -> usize {
    match (bytewise, length) {
        (false, _) => length.max(1),
        (true, ..BYTEWISE_LIMIT) => 1,
        (true, _) => LARGE_STEP,
    }
}

/// Removes the descriptions of modules from replies to `HELLO` and `MODULE LIST`, which have no certain
/// order. The number of modules stays.
fn without_modules(mut bytes: Vec<u8>) -> Vec<u8> {
    for head in [&b"*8\r\n$4\r\nname\r\n"[..], b"%4\r\n$4\r\nname\r\n"] {
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&bytes[from..], head) {
            from += at;
            let length = frame::length(&bytes[from..]).unwrap_or(0);
            let description = &bytes[from..from + length];
            if memchr::memmem::find(description, b"\r\n$3\r\nver\r\n:").is_some() {
                bytes.drain(from..from + length);
            } else {
                from += head.len();
            }
        }
    }
    bytes
}

/// Replaces parts that may differ by `N`.
fn mask(case: &Case, bytes: Vec<u8>) -> Vec<u8> {
    // The first reply has no line before it.
    let mut out = if case.mask_integers { b"\r\n".to_vec() } else { Vec::new() };
    let mut skipping = false;
    for byte in bytes {
        if skipping && byte.is_ascii_digit() {
            continue;
        }
        skipping = false;
        if case.mask_letters && out.ends_with(b"\r\n$1\r\n") {
            out.push(b'N');
            continue;
        }
        out.push(byte);
        let id = case.mask_id && out.ends_with(b"$2\r\nid\r\n:");
        if id || case.mask_integers && out.ends_with(b"\r\n:") {
            out.push(b'N');
            skipping = true;
        }
    }
    out
}
