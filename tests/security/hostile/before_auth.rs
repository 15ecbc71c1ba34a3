//! Sessions that have not authenticated, or claim another identity.

use super::arena::{ADMIN, UPSTREAM_PASSWORD};
use super::case::{Case, Holds, multibulk, says, unknown};
use support::frame;

super::in_every_mode!(nothing_runs_before_auth_or_as_another);

const NOAUTH: &str = "-NOAUTH ";
const WRONG: &str = "-WRONGPASS ";

/// Returns `AUTH` with the clients' password, which the arena inserts.
fn auth() -> Vec<u8> {
    b"*2\r\n$4\r\nAUTH\r\n{password}".to_vec()
}

fn without_login(name: &str, said: Vec<u8>, holds: Holds) -> Case {
    Case::new(name, said, holds).without_login()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = pipelined();
    cases.extend(claimed());
    cases.extend(harmless_looking());
    cases
}

/// Returns cases whose requests arrive with, before or between the bytes of a right `AUTH`.
fn pipelined() -> Vec<Case> {
    let flush = multibulk(&["FLUSHALL"]);
    let set = multibulk(&["SET canary stolen"]);
    let refused = unknown("FLUSHALL");
    let ping = multibulk(&["PING"]);
    let join = |parts: &[&[u8]]| parts.concat();
    let mut cases = vec![
        without_login("write before AUTH", join(&[&set, &auth()]), says(&[NOAUTH, "+OK\r\n"])),
        without_login("flush before AUTH", join(&[&flush, &auth()]), Holds::SaysAsServer),
        without_login(
            "flush around AUTH",
            join(&[&flush, &auth(), &flush, &ping]),
            Holds::SaysAsServer,
        ),
        without_login(
            "script before AUTH",
            join(&[&multibulk(&["EVAL return{redis.call('FLUSHALL')} 0"]), &auth()]),
            says(&["-", "+OK\r\n"]),
        ),
        without_login(
            "transaction begun before AUTH",
            join(&[&multibulk(&["MULTI", "SET canary stolen"]), &auth(), &multibulk(&["EXEC"])]),
            says(&[NOAUTH, NOAUTH, "+OK\r\n", "-ERR EXEC without MULTI"]),
        ),
        without_login(
            "AUTH in a transaction before AUTH",
            join(&[&multibulk(&["MULTI"]), &auth(), &flush, &multibulk(&["EXEC"])]),
            says(&[NOAUTH, "+OK\r\n", &refused, "-ERR EXEC without MULTI"]),
        ),
        without_login(
            "subscribed before AUTH",
            join(&[&multibulk(&["SUBSCRIBE c", "PUBLISH c x"]), &auth()]),
            says(&[NOAUTH, NOAUTH, "+OK\r\n"]),
        ),
        without_login(
            "replies off before AUTH",
            join(&[&multibulk(&["CLIENT REPLY OFF"]), &set, &flush, &auth(), &ping]),
            Holds::SaysAsServer,
        ),
        without_login(
            "after RESET",
            join(&[&auth(), &multibulk(&["RESET"]), &set, &flush]),
            Holds::SaysAsServer,
        ),
        without_login(
            "after RESET in MULTI",
            join(&[&auth(), &multibulk(&["MULTI", "RESET"]), &set, &multibulk(&["EXEC"])]),
            says(&["+OK\r\n+OK\r\n+RESET\r\n", NOAUTH, "-EXECABORT"]),
        ),
        without_login(
            "AUTH inside a bulk string",
            join(&[b"*2\r\n$4\r\nECHO\r\n$80\r\n", &auth(), b"\r\n", &set]),
            Holds::NeverSays("+OK"),
        ),
    ];
    let whole = join(&[&set, &auth(), &flush, &ping]);
    let heard = [NOAUTH, "+OK\r\n", &refused, "+PONG"];
    cases.push(without_login("around AUTH, byte by byte", whole, says(&heard)).byte_by_byte());
    cases
}

/// Returns cases with names and passwords of Redis's own users, which are not this client's.
fn claimed() -> Vec<Case> {
    let [admin, secret] = ADMIN;
    let after = "SET canary stolen";
    let claim = |name: &str, line: String| {
        without_login(name, multibulk(&[&line, after]), says(&[WRONG, NOAUTH]))
    };
    vec![
        claim("AUTH as an admin of Redis", format!("AUTH {admin} {secret}")),
        claim("AUTH with the admin's password", format!("AUTH {secret}")),
        claim("AUTH with Redis's own password", format!("AUTH {UPSTREAM_PASSWORD}")),
        claim("AUTH default with Redis's own", format!("AUTH default {UPSTREAM_PASSWORD}")),
        claim("AUTH as the guard", "AUTH redoubt x".into()),
        claim("HELLO as an admin of Redis", format!("HELLO 3 AUTH {admin} {secret}")),
        claim("HELLO with Redis's own", format!("HELLO 2 AUTH default {UPSTREAM_PASSWORD}")),
        claim("HELLO as an admin, named", format!("HELLO 3 SETNAME x AUTH {admin} {secret}")),
        Case::new(
            "AUTH as an admin later",
            multibulk(&[&format!("AUTH {admin} {secret}"), "ACL LIST", "CONFIG GET dir"]),
            says(&[WRONG, &unknown("ACL"), &unknown("CONFIG")]),
        ),
        Case::new(
            "HELLO as an admin later",
            multibulk(&[&format!("HELLO 3 AUTH {admin} {secret}"), "ACL LIST", "CONFIG GET dir"]),
            says(&[WRONG, &unknown("ACL"), &unknown("CONFIG")]),
        ),
        Case::new(
            "AUTH as an admin in MULTI",
            multibulk(&["MULTI", &format!("AUTH {admin} {secret}"), "FLUSHALL", "EXEC"]),
            says(&["+OK\r\n", &unknown("FLUSHALL"), "-EXECABORT"]),
        ),
        Case::new(
            "HELLO as an admin in MULTI",
            multibulk(&["MULTI", &format!("HELLO 3 AUTH {admin} {secret}"), "FLUSHALL", "EXEC"]),
            says(&["+OK\r\n", &unknown("FLUSHALL"), "-EXECABORT"]),
        ),
        Case::new(
            "AUTH as an admin while subscribed",
            multibulk(&["HELLO 3", "SUBSCRIBE c", &format!("AUTH {admin} {secret}"), "FLUSHALL"]),
            says(&["subscribe", WRONG, &unknown("FLUSHALL")]),
        ),
    ]
}

/// Returns cases with passwords that are almost right, and requests that Redis answers before
/// authentication.
fn harmless_looking() -> Vec<Case> {
    let with = |before: &[u8], after: &[u8]| {
        [b"*2\r\n$4\r\nAUTH\r\n", before, after, &multibulk(&["SET canary stolen"])].concat()
    };
    let bulk = |text: &[u8]| frame::bulk(text);
    vec![
        without_login("an empty password", with(&bulk(b""), b""), says(&[WRONG, NOAUTH])),
        without_login("a NUL", with(&bulk(b"\0"), b""), says(&[WRONG, NOAUTH])),
        without_login("many NULs", with(&bulk(&[0; 64]), b""), says(&[WRONG, NOAUTH])),
        without_login(
            "16 KiB of password",
            with(&bulk(&[b'x'; 16_384]), b""),
            says(&[WRONG, NOAUTH]),
        ),
        without_login(
            "more than 16 KiB",
            with(&bulk(&[b'x'; 16_385]), b""),
            says(&["-ERR Protocol error: unauthenticated bulk length"]),
        ),
        without_login(
            "eleven arguments",
            multibulk(&["AUTH a b c d e f g h i j"]),
            says(&["-ERR Protocol error: unauthenticated multibulk length"]),
        ),
        without_login(
            "HELLO without AUTH",
            multibulk(&["HELLO 3", "GET canary"]),
            says(&["-NOAUTH", NOAUTH]),
        ),
        without_login("QUIT and on", multibulk(&["QUIT", "SET canary stolen"]), says(&["+OK\r\n"])),
        without_login(
            "POST, as a browser",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET canary stolen\r\n".to_vec(),
            Holds::NeverSays("+"),
        ),
    ]
}
