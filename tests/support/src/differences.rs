//! What Redoubt answers otherwise than a server, on purpose: the one list of the exceptions that tests
//! make for some servers. `docs/servers.md` is made from it.

use super::servers::{STACK_7_4, TESTED};

/// A difference between Redoubt and some servers.
pub struct Difference {
    /// The servers that differ from Redoubt.
    pub servers: &'static [&'static str],
    /// What the server does, and what Redoubt does.
    pub what: &'static str,
    /// The cases of `tests/protocol/differential` that show it.
    pub cases: &'static [&'static str],
}

/// The differences that a case shows. The others are in `docs/differences.md`.
pub const ALL: [Difference; 7] = [
    Difference {
        servers: &["redis-8.0", "valkey-8.1", STACK_7_4],
        what: "The server sends no reply to a wrong `AUTH` while replies or messages are pending, or inside \
               `EXEC`. Redoubt sends `WRONGPASS`; inside `EXEC` a reply is missing, as without Redoubt.",
        cases: &[
            "a pipeline of local commands",
            "auth between remote commands",
            "auth help and other words as user",
            "auth right, then wrong, stays authenticated",
            "auth wrong when authenticated",
            "RESP3 auth while subscribed",
            "a wrong auth inside multi",
        ],
    },
    Difference {
        servers: &["redis-8.0", "valkey-8.1", "valkey-9.1", STACK_7_4],
        what: "A message that a RESP3 client publishes to itself follows the reply to `PUBLISH`. The error for \
               a refused command that was sent after `PUBLISH` may come before that message.",
        cases: &["RESP3 local replies among messages"],
    },
    Difference {
        servers: &TESTED,
        what: "After `CLIENT REPLY OFF`, `SUBSCRIBE` inside `MULTI` brings only confirmations and messages. \
               Redoubt closes the session.",
        cases: &["a pattern subscribed inside multi without replies"],
    },
    Difference {
        servers: &["redis-8.0"],
        what: "After a protocol error behind a blocking command, the server neither answers nor closes. \
               Redoubt sends the error and closes.",
        cases: &["an error after a blocking command"],
    },
    Difference {
        servers: &["valkey-8.1", "valkey-9.1"],
        what: "The server rejects a length with a NUL at once. Redoubt waits for more, as Redis does.",
        cases: &["a NUL in a multibulk header", "a NUL in a bulk header"],
    },
    Difference {
        servers: &["valkey-8.1", "valkey-9.1"],
        what: "In an inline request, the server drops a byte 255 at the beginning of an argument, and Valkey \
               9.1 accepts text behind a closing quote. Redoubt splits the line as Redis does.",
        cases: &[
            "inline with binary bytes",
            "inline quote closed without a space behind",
            "inline single quote closed without a space behind",
        ],
    },
    Difference {
        servers: &["valkey-9.1"],
        what: "The server parses a pipeline ahead, so that requests behind `RESET` may be as large as before \
               it. Redoubt applies the limits for unauthenticated clients to them.",
        cases: &["limits hold again after reset", "bulk limit holds again after reset"],
    },
];

/// Returns true if the case shows a difference to `server`.
pub fn is_expected(server: &str, case: &str) -> bool {
    ALL.iter().any(|of| of.servers.contains(&server) && of.cases.contains(&case))
}
