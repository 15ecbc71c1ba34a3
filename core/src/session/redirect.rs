//! Restricts the connections to which a client may redirect invalidation messages.
//!
//! `CLIENT TRACKING ON REDIRECT id` can name any connection of the server, also a link that other
//! sessions share or will use next. A push on such a link may arrive in the middle of another session's
//! reply (Redis 7.0). So a client may only name a connection that is the lease of a client which has
//! asked for its number by `CLIENT ID`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::decide::texts;
use crate::resp::{Request, integer, is_word};

/// The connection ids that `CLIENT ID` has returned to clients, each the id of a lease; shared by all
/// workers.
#[derive(Debug, Clone, Default)]
pub struct ClientIds(Arc<Mutex<HashSet<i64>>>);

impl ClientIds {
    /// Replaces the id that a client knows its connection by: `before` is removed and `now` is added.
    /// Takes the lock only if they differ.
    pub fn change(&self, before: Option<i64>, now: Option<i64>) {
        if before != now {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            before.map(|id| known.remove(&id));
            known.extend(now);
        }
    }

    fn contains(&self, id: i64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Returns the error for a `CLIENT TRACKING` that names a connection which belongs to no client:
    /// Redis's error for a missing connection. Returns `None` if it names none, or one that is
    /// permitted.
    ///
    /// Options are read as in Redis 7.0's `clientCommand`, which compares them up to a NUL.
    pub(super) fn refuse(&self, request: &Request<'_>) -> Option<Bytes> {
        let mut args = request.args().skip(3);
        while let Some(option) = args.next() {
            if is_word(option, b"redirect") {
                let id = args.next().and_then(integer::parse);
                if !id.is_some_and(|id| self.contains(id)) {
                    return Some(texts::NO_SUCH_CLIENT.clone());
                }
            } else if is_word(option, b"prefix") {
                args.next();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser};

    #[test]
    fn tracking_redirects_only_to_connections_of_clients() {
        let ids = ClientIds::default();
        ids.change(None, Some(7));
        let refused = |options: &str| {
            let line = format!("CLIENT TRACKING on {options}\r\n");
            let mut parser = RequestParser::new();
            let parsed = parser.parse(line.as_bytes(), &RequestLimits::AUTHENTICATED).unwrap();
            assert_eq!(parsed, Parsed::Request { len: line.len() });
            ids.clone().refuse(&parser.request(line.as_bytes())).is_some()
        };
        assert!(!refused("REDIRECT 7") && !refused("BCAST PREFIX redirect") && !refused(""));
        for options in [
            "REDIRECT 8",
            "redirect 8 BCAST",
            "BCAST \"REDIRECT\\x00x\" 8",
            "REDIRECT 7 REDIRECT 8",
            "PREFIX a REDIRECT 8",
            "REDIRECT x",
            "REDIRECT",
        ] {
            assert!(refused(options), "{options}");
        }
        ids.change(Some(7), None);
        assert!(refused("REDIRECT 7"));
    }
}
