//! Refused commands called from functions, which others may have loaded long before.

use super::case::{Case, Holds, multibulk};
use support::frame;

super::in_every_mode!(functions_run_nothing_that_is_refused);

/// Returns a library with one function, `evil`.
fn library(flags: &str, body: &str) -> String {
    format!(
        "#!lua name=evil\nredis.register_function{{function_name='evil', flags={{{flags}}}, \
         callback=function(keys, args) {body} end}}"
    )
}

fn load(library: &str) -> Vec<u8> {
    frame::request(&["FUNCTION", "LOAD", "REPLACE", library])
}

/// Function bodies, and the command that each executes where nothing restricts it.
const BODIES: [(&str, &str); 8] = [
    ("return redis.call('FLUSHALL')", "flushall"),
    ("return redis.pcall('flushall', 'async')", "flushall"),
    ("return redis.call('FLUSHDB')", "flushdb"),
    ("return redis.call(args[1])", "flushall"),
    ("return redis.call(keys[1])", "flushall"),
    ("redis.setresp(3) return redis.call('FLUSH' .. 'ALL')", "flushall"),
    ("return redis.call('SWAPDB', 0, 1)", "swapdb"),
    ("return redis.pcall('PFDEBUG', 'GETREG', 'canary')", "pfdebug"),
];

pub(crate) fn cases() -> Vec<Case> {
    let call = frame::request(&["FCALL", "evil", "1", "FLUSHALL", "FLUSHALL"]);
    let mut cases = Vec::new();
    for (body, reached) in BODIES {
        let text = library("", body);
        let case = |how: &str, said: Vec<u8>| {
            Case::new(format!("{body}, {how}"), said, Holds::Reaches(reached))
        };
        let operator = ["FUNCTION", "LOAD", "REPLACE", &text];
        let multi = [multibulk(&["MULTI"]), call.clone(), multibulk(&["EXEC"])].concat();
        cases.push(case("loaded by itself", [load(&text), call.clone()].concat()));
        cases.push(case("loaded by the operator", call.clone()).after(&operator));
        cases.push(case("loaded by another session", call.clone()).after_another(load(&text)));
        cases.push(case("in MULTI", multi).after(&operator));
    }
    cases.extend(ways(&call));
    cases.extend(held_by_redis());
    cases
}

/// Returns several ways to send a call.
fn ways(call: &[u8]) -> Vec<Case> {
    let text = library("", "return redis.call('FLUSHALL')");
    let operator = ["FUNCTION", "LOAD", "REPLACE", &text];
    let large = format!("{text}\n-- {}", "x".repeat(100_000));
    let flushes = |name: &str, said: Vec<u8>| Case::new(name, said, Holds::Reaches("flushall"));
    vec![
        flushes("lower case", frame::request(&["fcall", "evil", "0"])).after(&operator),
        flushes("name in upper case", frame::request(&["FCALL", "EVIL", "0"])).after(&operator),
        flushes("inline", b"\"\\x46CALL\" evil 0\r\n".to_vec()).after(&operator),
        flushes("byte by byte", call.to_vec()).after(&operator).byte_by_byte(),
        flushes("in RESP3", [&multibulk(&["HELLO 3"])[..], call].concat()).after(&operator),
        flushes("behind CLIENT ID", [&multibulk(&["CLIENT ID"])[..], call].concat())
            .after(&operator),
        flushes("a library of 100 kB", [&load(&large)[..], call].concat()),
        flushes("loaded byte by byte", [&load(&text)[..], call].concat()).byte_by_byte(),
        flushes(
            "with 100 kB of arguments",
            frame::request(&["FCALL", "evil", "0", &"x".repeat(100_000)]),
        )
        .after(&operator),
    ]
}

/// Returns functions whose calls Redis itself always refuses.
fn held_by_redis() -> Vec<Case> {
    let nothing = |name: &str, said: Vec<u8>| Case::new(name, said, Holds::ReachesNothing);
    let flush = "return redis.call('FLUSHALL')";
    let read_only = frame::request(&["FCALL_RO", "evil", "0"]);
    let config = library("", "return redis.pcall('CONFIG', 'SET', 'maxmemory', '1mb')");
    let acl = library("", "return redis.pcall('ACL', 'SETUSER', 'evil', 'on', 'nopass', '+@all')");
    let nested = library("", "return redis.pcall('FUNCTION', 'FLUSH')");
    let call = frame::request(&["FCALL", "evil", "0"]);
    vec![
        nothing("FCALL_RO", read_only.clone()).after(&[
            "FUNCTION",
            "LOAD",
            "REPLACE",
            &library("", flush),
        ]),
        nothing("FCALL_RO of one flagged no-writes", read_only).after(&[
            "FUNCTION",
            "LOAD",
            "REPLACE",
            &library("'no-writes'", flush),
        ]),
        nothing("CONFIG", [load(&config), call.clone()].concat()),
        nothing("ACL", [load(&acl), call.clone()].concat()),
        nothing("FUNCTION in a function", [load(&nested), call].concat()),
        nothing("while it is loaded", load("#!lua name=evil\nredis.call('FLUSHALL')")),
        nothing("by another engine", load("#!js name=evil\nredis.call('FLUSHALL')")),
    ]
}
