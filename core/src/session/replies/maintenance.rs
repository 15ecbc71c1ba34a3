//! Maintenance notifications: pushes of RESP3 by which a server says that a connection will end.
//!
//! A client asks for them by `CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type TYPE`. The servers that Redoubt
//! is tested with do not know this subcommand; Redis Enterprise does. What the libraries send and parse, by
//! their sources (redis-py 8.1.0, node-redis 5.9.0 and 5.12.1, go-redis 9.22.0, Lettuce 7.8):
//!
//! | push | fields behind its name |
//! |---|---|
//! | `MOVING` | number of the notification, seconds that remain, new address or null |
//! | `MIGRATING`, `FAILING_OVER` | number, seconds |
//! | `MIGRATED`, `FAILED_OVER` | number |
//! | `SMIGRATING`, `SMIGRATED` | number, slots or addresses with slots |
//!
//! On a `MOVING` with null in the place of the address, each library opens a new connection to the address that
//! it is configured with, after half of the seconds, and closes the old one when that has no reply pending.
//! node-redis does so only if it has asked for the type `none`; otherwise an assertion fails, which ends the
//! program. So Redoubt agrees to no other type ([`crate::session::decide()`]).

use bytes::{Bytes, BytesMut};

use crate::resp::is_word;

/// Names of the pushes, which are at most 16 bytes long, as the scanner keeps no longer ones.
const NAMES: [&[u8]; 7] = [
    b"MOVING",
    b"MIGRATING",
    b"MIGRATED",
    b"FAILING_OVER",
    b"FAILED_OVER",
    b"SMIGRATING",
    b"SMIGRATED",
];

/// Returns whether a push with this first element is a maintenance notification.
pub(in crate::session) fn is_maintenance(head: &[u8]) -> bool {
    NAMES.iter().any(|name| is_word(head, name))
}

/// Returns the push `MOVING` without an address: the client is to connect again, to the address that it has used,
/// before `seconds` have passed.
///
/// redis-py acts once for all connections of a pool that get the same `number`, and ignores the others.
pub(crate) fn moving(number: u64, seconds: u64) -> Bytes {
    let mut push = BytesMut::with_capacity(64);
    push.extend_from_slice(b">4\r\n$6\r\nMOVING\r\n");
    push.extend_from_slice(format!(":{number}\r\n:{seconds}\r\n_\r\n").as_bytes());
    push.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_has_a_null_in_the_place_of_the_address() {
        let push = moving(1_700_000_000_123, 30);
        assert_eq!(&push[..], b">4\r\n$6\r\nMOVING\r\n:1700000000123\r\n:30\r\n_\r\n");
    }

    #[test]
    fn names_of_other_pushes_are_not_maintenance() {
        for name in [&b"MOVING"[..], b"FAILED_OVER", b"smigrated"] {
            assert!(is_maintenance(name), "{}", name.escape_ascii());
        }
        for name in [&b""[..], b"message", b"invalidate", b"MOVED", b"MOVINGS", b"subscribe"] {
            assert!(!is_maintenance(name), "{}", name.escape_ascii());
        }
    }
}
