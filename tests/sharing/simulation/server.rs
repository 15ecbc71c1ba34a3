//! The servers that a schedule may have: what versions do differently, as far as the model shows it.
//!
//! It uses nothing of the proxy's own table of differences, which it is there to check.

use redoubt_core::command::Version;
use redoubt_core::upstream::Dialect;
use support::rng::Rng;

/// How a version of a server behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    /// The name that a run counts it by.
    pub(crate) title: &'static str,
    /// Its name and version in the reply to `HELLO`.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// `NOAUTH` comes before the checks of the command's name and arguments.
    pub(crate) asks_for_login_first: bool,
    /// `HELLO` does all or nothing, and of several `AUTH` options only the last counts.
    pub(crate) hello_is_atomic: bool,
    /// A client's name is checked up to its first NUL.
    pub(crate) names_end_at_nul: bool,
    /// A length or an argument without CRLF behind it is a protocol error.
    pub(crate) checks_line_ends: bool,
    /// An empty request does not end `CLIENT REPLY SKIP`.
    pub(crate) skips_past_empty_requests: bool,
    /// A wrong `AUTH` gets no reply while others are pending.
    pub(crate) mutes: bool,
    /// A message that a client publishes to itself follows the reply to `PUBLISH`.
    pub(crate) publishes_late: bool,
    /// The error by which `MULTI` and `WATCH` make a transaction fail, with `*` for the command. Others
    /// reject them, and the transaction goes on.
    pub(crate) fails_in_multi: Option<&'static str>,
}

const REDIS_7_0: Server = Server {
    title: "Redis 7.0",
    name: "redis",
    version: "7.0.15",
    asks_for_login_first: false,
    hello_is_atomic: false,
    names_end_at_nul: false,
    checks_line_ends: false,
    skips_past_empty_requests: false,
    mutes: false,
    publishes_late: false,
    fails_in_multi: None,
};

const REDIS_7_4: Server = Server {
    title: "Redis 7.4",
    version: "7.4.0",
    hello_is_atomic: true,
    names_end_at_nul: true,
    mutes: true,
    publishes_late: true,
    ..REDIS_7_0
};

const REDIS_8_0: Server =
    Server { title: "Redis 8.0", version: "8.0.2", skips_past_empty_requests: true, ..REDIS_7_4 };

const VALKEY_8_1: Server = Server {
    title: "Valkey 8.1",
    name: "valkey",
    version: "8.1.1",
    fails_in_multi: Some("ERR Command not allowed inside a transaction"),
    ..REDIS_7_4
};

const VALKEY_9_1: Server = Server {
    title: "Valkey 9.1",
    version: "9.1.0",
    asks_for_login_first: true,
    checks_line_ends: true,
    mutes: false,
    fails_in_multi: Some("ERR Command '*' not allowed inside a transaction"),
    ..VALKEY_8_1
};

/// A server that has not reported its version, which Redoubt takes for the strictest.
const UNREPORTED: Server =
    Server { title: "unreported", names_end_at_nul: false, mutes: true, ..VALKEY_9_1 };

pub(crate) const SERVERS: [Server; 6] =
    [REDIS_7_0, REDIS_7_4, REDIS_8_0, VALKEY_8_1, VALKEY_9_1, UNREPORTED];

impl Server {
    pub(crate) fn choose(rng: &mut Rng) -> Self {
        *rng.pick(&SERVERS)
    }

    /// Returns the version that it has reported.
    pub(crate) fn reported(&self) -> Option<Version> {
        let reports = self.title != UNREPORTED.title;
        reports.then(|| Version::parse(self.version).unwrap())
    }

    /// Returns what Redoubt takes it for.
    pub(crate) fn dialect(&self) -> Dialect {
        self.reported().map_or(Dialect::STRICTEST, |version| Dialect::of(self.name, version))
    }
}
