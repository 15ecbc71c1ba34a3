//! Data that looks like commands is not refused.

use super::case::{Case, Holds, multibulk, says};

super::in_every_mode!(data_is_no_command);

pub(crate) fn cases() -> Vec<Case> {
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
        Case::new(
            "CLUSTER KEYSLOT FLUSHALL",
            multibulk(&["CLUSTER KEYSLOT FLUSHALL"]),
            Holds::SaysAsServer,
        ),
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
