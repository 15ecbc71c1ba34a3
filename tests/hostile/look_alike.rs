//! Data that looks like commands, and payloads that are none: nothing innocent is refused, and
//! nothing crafted gets in.

use crate::case::{Case, Holds, multibulk, says};
use crate::support::frame;

crate::in_every_mode!(data_is_no_command);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = innocent();
    cases.extend(payloads());
    cases
}

fn innocent() -> Vec<Case> {
    let case =
        |lines: &[&str], heard: &[&str]| Case::new(lines.join(", "), multibulk(lines), says(heard));
    vec![
        case(&["SET FLUSHALL x", "GET FLUSHALL", "DEL FLUSHALL"], &["+OK\r\n$1\r\nx\r\n:1\r\n"]),
        case(
            &["MSET CONFIG a DEBUG b", "MGET CONFIG DEBUG", "DEL CONFIG DEBUG"],
            &["+OK", "a", "b", ":2"],
        ),
        case(&["HSET ACL SETUSER x", "HGET ACL SETUSER", "DEL ACL"], &[":1\r\n$1\r\nx\r\n:1\r\n"]),
        case(&["SET CLIENT|KILL x", "DEL CLIENT|KILL"], &["+OK\r\n:1\r\n"]),
        case(&["ECHO FLUSHALL"], &["FLUSHALL"]),
        case(&["PING CONFIG"], &["CONFIG"]),
        case(&["PUBLISH SHUTDOWN FLUSHALL"], &[":"]),
        case(&["SUBSCRIBE MONITOR CONFIG"], &["MONITOR", "CONFIG", ":2"]),
        case(&["SORT canary:list BY nosort GET FLUSHALL"], &["*3\r\n"]),
        case(&["CLIENT SETNAME KILL", "CLIENT GETNAME"], &["+OK\r\n$4\r\nKILL"]),
        case(&["CLIENT LIST"], &["id="]),
        case(&["CLIENT INFO"], &["id="]),
        case(&["CLUSTER KEYSLOT FLUSHALL"], &["-ERR This instance has cluster support disabled"]),
        case(&["SCRIPT EXISTS FLUSH"], &["*1\r\n:0\r\n"]),
        case(&["FUNCTION LIST LIBRARYNAME FLUSH"], &["*0\r\n"]),
        case(&["COMMAND INFO FLUSHALL"], &["*1\r\n"]),
        case(&["COMMAND GETKEYS SET FLUSHALL x"], &["FLUSHALL"]),
        case(&["OBJECT ENCODING canary"], &["$"]),
        case(&["MEMORY USAGE canary"], &[":"]),
        case(&["XADD SYNC * FLUSHALL x", "DEL SYNC"], &["-", ":1"]),
        case(&["EXISTS FLUSHALL CONFIG DEBUG SHUTDOWN"], &[":0\r\n"]),
    ]
}

/// Payloads for RESTORE that Redis must not take, and that Redoubt must not change.
fn payloads() -> Vec<Case> {
    let restore = |payload: &[u8]| frame::request(&[b"RESTORE", &b"crafted"[..], b"0", payload]);
    // A string, version 10, with a checksum of zeros, of ones, and the right one of something else.
    let string = b"\x00\x05value\x0a\x00";
    let sums: [&[u8]; 3] = [&[0; 8], &[0xff; 8], b"\xc1\xad\x54\x6a\x5b\x0e\xa4\x97"];
    let bad = "-ERR DUMP payload version or checksum are wrong";
    let mut cases: Vec<_> = sums
        .iter()
        .filter(|sum| sum[..] != [0; 8])
        .map(|sum| Case::new("a wrong checksum", restore(&[string, *sum].concat()), says(&[bad])))
        .collect();
    let mut short =
        |name: &str, payload: &[u8]| cases.push(Case::new(name, restore(payload), says(&[bad])));
    short("no payload", b"");
    short("a short payload", b"\x00");
    short("a request as payload", b"*1\r\n$8\r\nFLUSHALL\r\n");
    short("a version of tomorrow", b"\x00\x05value\xff\xff\x01\x01\x01\x01\x01\x01\x01\x01");
    short("a function's payload", b"\xf5\xc3\x40\x11#!lua name=evil\n\x0a\x00aaaaaaaa");
    cases.push(Case::new(
        "over a key that is there",
        frame::request(&[b"RESTORE", &b"canary"[..], b"0", &[0; 20]]),
        says(&["-"]),
    ));
    let large = vec![0xaa; 200_000];
    cases.push(Case::new("200 kB of payload", restore(&large), says(&[bad])));
    cases.push(Case::new(
        "in MULTI",
        [multibulk(&["MULTI"]), restore(&large), multibulk(&["EXEC"])].concat(),
        says(&["+OK\r\n+QUEUED\r\n*1\r\n-ERR DUMP"]),
    ));
    cases.push(Case::new("cut off", restore(&large)[..100_000].to_vec(), Holds::Nothing));
    cases
}
