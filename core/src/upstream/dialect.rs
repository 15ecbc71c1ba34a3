//! What servers and versions do differently where Redoubt answers in their place.

use crate::command::Version;

/// The behaviour of the upstream where Redoubt answers for it. Everything else is the upstream's own
/// answer, so that Redoubt need not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// An unauthenticated client gets `NOAUTH` also for commands that do not exist and for a wrong
    /// number of arguments, as Valkey answers from 9.1 on.
    pub authenticates_first: bool,
    /// `HELLO` applies its options only if all of them are right, and of several `AUTH` options the
    /// last, as from Redis 7.2 on. Before, each option is applied when it is read.
    pub hello_is_atomic: bool,
    /// Only the part of a client's name before its first NUL is checked, as from Redis 7.2 on.
    pub names_end_at_nul: bool,
    /// The two bytes after a length or an argument must be CRLF, as Valkey demands from 9.1 on. Others
    /// ignore the second byte, or both.
    pub checks_line_ends: bool,
    /// `CLIENT REPLY SKIP` hides the reply to the next command, as in Redis from 8.0 on. Others count
    /// an empty request for a command.
    pub skips_past_empty_requests: bool,
    /// Errors about a command that the user may not run name the user, as from Redis 7.2 on.
    pub names_refused_users: bool,
    /// Users may be limited to some databases, as in Valkey from 9.1 on.
    pub has_database_rights: bool,
}

impl Dialect {
    /// Redis 7.0.
    pub const REDIS_7_0: Self = Self {
        authenticates_first: false,
        hello_is_atomic: false,
        names_end_at_nul: false,
        checks_line_ends: false,
        skips_past_empty_requests: false,
        names_refused_users: false,
        has_database_rights: false,
    };

    /// The strictest behaviour of all, for an upstream that has not reported its version.
    pub const STRICTEST: Self = Self {
        authenticates_first: true,
        hello_is_atomic: true,
        names_end_at_nul: false,
        checks_line_ends: true,
        skips_past_empty_requests: false,
        names_refused_users: false,
        has_database_rights: false,
    };

    /// Returns the dialect of a server, by the fields `server` and `version` of its reply to `HELLO`.
    pub fn of(server: &str, version: Version) -> Self {
        let redis_7_2 = version >= Version::new(7, 2, 0);
        let valkey_9_1 = server == "valkey" && version >= Version::new(9, 1, 0);
        Self {
            authenticates_first: valkey_9_1,
            hello_is_atomic: redis_7_2,
            names_end_at_nul: redis_7_2,
            checks_line_ends: valkey_9_1,
            skips_past_empty_requests: server == "redis" && version >= Version::new(8, 0, 0),
            names_refused_users: redis_7_2,
            has_database_rights: valkey_9_1,
        }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::STRICTEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valkey_and_redis_of_the_same_number_differ() {
        let of =
            |server: &str, version: &str| Dialect::of(server, Version::parse(version).unwrap());
        assert_eq!(of("redis", "7.0.15"), Dialect::REDIS_7_0);
        assert!(of("valkey", "9.1.0").authenticates_first);
        assert!(!of("valkey", "8.1.1").authenticates_first);
        assert!(!of("redis", "9.1.0").checks_line_ends);
        assert!(of("redict", "7.3.6").hello_is_atomic);
        assert!(of("redis", "8.0.2").skips_past_empty_requests);
        assert!(!of("valkey", "8.1.1").skips_past_empty_requests);
        assert!(of("redis", "7.2.0").names_refused_users);
        assert!(of("valkey", "9.1.0").has_database_rights);
        assert!(!of("redis", "9.1.0").has_database_rights);
    }
}
