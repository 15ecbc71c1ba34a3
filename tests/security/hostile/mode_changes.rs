//! Refused commands while a session is in a special state.

use super::case::{Case, Holds, multibulk, says};
use super::plain::refusal;

super::in_every_mode!(no_state_of_a_session_opens_anything);

const ATTACKS: [&str; 5] = [
    "FLUSHALL",
    "SWAPDB 0 1",
    "CONFIG SET maxmemory 1mb",
    "CLIENT KILL TYPE normal",
    "FUNCTION FLUSH",
];

/// A state, the requests that lead there, and the end of their replies.
const STATES: [(&str, &[&str], &str); 12] = [
    ("subscribed", &["SUBSCRIBE c"], "subscribe\r\n$1\r\nc\r\n:1\r\n"),
    ("subscribed in RESP3", &["HELLO 3", "SUBSCRIBE c"], "subscribe\r\n$1\r\nc\r\n:1\r\n"),
    ("subscribed to patterns", &["PSUBSCRIBE *"], "psubscribe\r\n$1\r\n*\r\n:1\r\n"),
    ("watching", &["WATCH canary"], "+OK\r\n"),
    ("in RESP3", &["HELLO 3"], "modules"),
    ("in another database", &["SELECT 1"], "+OK\r\n"),
    ("named", &["CLIENT SETNAME FLUSHALL"], "+OK\r\n"),
    ("tracking", &["HELLO 3", "CLIENT TRACKING ON BCAST"], "+OK\r\n"),
    ("with a lease for good", &["CLIENT ID"], ":"),
    ("with a command that nobody knows", &["FUTURE.COMMAND x"], "-ERR unknown command"),
    ("read-only", &["READONLY", "ASKING"], "-ERR"),
    ("after an empty transaction", &["MULTI", "EXEC"], "*0\r\n"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for attack in ATTACKS {
        let refused = refusal(attack);
        for (state, lines, heard) in STATES {
            let said = multibulk(&[lines, &[attack]].concat());
            let name = format!("{attack} while {state}");
            cases.push(Case::new(name, said, says(&[heard, &refused])));
        }
        let mut silent = |how: &str, lines: &[&str], heard: &[&str]| {
            cases.push(Case::new(format!("{attack}, {how}"), multibulk(lines), says(heard)));
        };
        silent(
            "replies off",
            &["CLIENT REPLY OFF", attack, "CLIENT REPLY ON", "PING"],
            &["+OK\r\n+PONG\r\n"],
        );
        silent("reply skipped", &["CLIENT REPLY SKIP", attack, "PING"], &["+PONG\r\n"]);
        silent(
            "replies off in MULTI",
            &["CLIENT REPLY OFF", "MULTI", attack, "EXEC", "CLIENT REPLY ON", "PING"],
            &["+OK\r\n+PONG\r\n"],
        );
        silent(
            "between transactions",
            &["MULTI", "DISCARD", attack, "MULTI", "EXEC"],
            &["+OK\r\n+OK\r\n", &refused, "*0"],
        );
        silent(
            "in a nested MULTI",
            &["MULTI", "MULTI", attack, "EXEC"],
            &["+OK\r\n-ERR", &refused, "-EXECABORT"],
        );
        silent(
            "behind WATCH and EXEC",
            &["WATCH k", "MULTI", attack, "EXEC", attack],
            &[&refused, "-EXECABORT", &refused],
        );
        silent("behind QUIT", &["QUIT", attack], &["+OK\r\n"]);
        for (blocking, heard) in [("BLPOP nothing 0.01", "*-1\r\n"), ("WAIT 0 0", ":0\r\n")] {
            let said = multibulk(&[blocking, attack]);
            let name = format!("{attack} behind {blocking}");
            cases.push(Case::new(name, said, says(&[heard, &refused])).quits());
        }
        // The session may have to end, since no reply can be put into such a stream.
        let opaque = ["CLIENT REPLY OFF", "SUBSCRIBE c", "CLIENT REPLY SKIP"];
        for inner in opaque {
            let said = multibulk(&["MULTI", inner, attack, "EXEC", attack]);
            cases.push(Case::new(
                format!("{attack} behind {inner} in MULTI"),
                said,
                Holds::Nothing,
            ));
            let said = multibulk(&["MULTI", inner, "EXEC", attack, "PING"]);
            cases.push(Case::new(
                format!("{attack} once {inner} ran in MULTI"),
                said,
                Holds::Nothing,
            ));
        }
    }
    cases
}
