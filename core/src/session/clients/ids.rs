//! The numbers by which clients know connections: `CLIENT ID` and `HELLO` show a session's own, never a
//! link's.
//!
//! `CLIENT TRACKING ON REDIRECT id` can name any connection of the server, also a link that other
//! sessions share or will use next. A push on such a link may arrive in the middle of another session's
//! reply (Redis 7.0). So a client may only name a session that has asked for its number by `CLIENT ID`.
//! The server is told the lease of that session, which no other session gets from then on. Sessions of other
//! identities cannot be named.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::auth::IdentityId;
use crate::resp::{Request, encode_command, integer, is_word};
use crate::session::decide::texts;

/// The numbers of sessions that have asked for theirs, and the leases behind them; shared by all workers.
#[derive(Debug, Clone, Default)]
pub struct ClientIds(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    base: i64,
    told: Mutex<HashMap<i64, Told>>,
    /// Number of sessions in `told` that are to have a lease.
    wanted: AtomicUsize,
}

/// A session that has asked for its number.
#[derive(Debug)]
struct Told {
    /// Whose session it is.
    identity: IdentityId,
    /// The server's number of its lease, while it has one.
    lease: Option<i64>,
    /// True if it is to have a lease, because messages are to be redirected to it.
    is_wanted: bool,
    /// True if another session has named its lease to the server, so that no other session may get the lease.
    is_target: bool,
}

/// A number of the server's that is shown to a client as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renumbered {
    /// The server's number of a lease.
    pub lease: i64,
    /// The number of the session that has the lease.
    pub session: i64,
}

/// What becomes of a `CLIENT TRACKING`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Tracking {
    /// It redirects nothing: it is sent unchanged.
    Unchanged,
    /// This is sent in its place, with the number of the lease; the client knows it by another.
    Redirected(Bytes, Renumbered),
    /// It waits until the session that it names has a lease.
    Waits,
    /// No session that it may name has this number: this is the reply.
    Refused(Bytes),
}

impl ClientIds {
    /// Sessions are numbered from 1 within a process. Redis numbers connections likewise, so the numbers
    /// that clients are shown begin with digits of the process, which no server's number reaches.
    const SESSIONS: i64 = 10_000_000_000;

    /// Returns the numbers of a process, made different from others' by `random`. They can be kept in 53 bits, as
    /// numbers of JavaScript are.
    pub fn new(random: u32) -> Self {
        let digits = i64::from(random % 800_000).saturating_add(100_000);
        let base = digits.saturating_mul(Self::SESSIONS);
        Self(Arc::new(Shared { base, ..Shared::default() }))
    }

    /// Returns the number that clients are shown for the session that the log calls `number`.
    pub fn of_session(&self, number: u64) -> i64 {
        let number = i64::try_from(number).unwrap_or_default();
        self.0.base.saturating_add(number.checked_rem(Self::SESSIONS).unwrap_or_default())
    }

    /// Notes that a session of `identity` has been told its number, now or before.
    pub(crate) fn tell(&self, id: i64, identity: IdentityId) {
        let new = Told { identity, lease: None, is_wanted: false, is_target: false };
        self.told().entry(id).or_insert(new).identity = identity;
    }

    /// Notes that the session has ended.
    pub(crate) fn forget(&self, id: i64) {
        if self.told().remove(&id).is_some_and(|told| told.is_wanted) {
            self.0.wanted.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Notes the server's number of the session's lease.
    pub(crate) fn lend(&self, id: i64, lease: i64) {
        if let Some(told) = self.told().get_mut(&id) {
            told.lease = Some(lease);
            if std::mem::take(&mut told.is_wanted) {
                told.is_target = true;
                self.0.wanted.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Notes that the session returns its lease. Returns false if the session must keep it.
    pub(crate) fn may_return(&self, id: i64) -> bool {
        let mut all = self.told();
        let Some(told) = all.get_mut(&id) else { return true };
        if !told.is_target {
            told.lease = None;
        }
        !told.is_target
    }

    /// Returns whether this session is to have a lease.
    pub(crate) fn wants_lease(&self, id: i64) -> bool {
        self.any_wanted() && self.told().get(&id).is_some_and(|told| told.is_wanted)
    }

    /// Returns whether any session is to have a lease.
    pub(crate) fn any_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed) > 0
    }

    /// Decides on a `CLIENT TRACKING` of a session of `identity`. Options are read as in Redis 7.0's `clientCommand`, which compares them
    /// up to a NUL.
    pub(in crate::session) fn track(
        &self,
        request: &Request<'_>,
        identity: IdentityId,
    ) -> Tracking {
        let (mut words, mut target): (Vec<Bytes>, _) = (Vec::new(), None);
        let mut args = request.args();
        while let Some(option) = args.next() {
            let place = words.len();
            words.push(Bytes::copy_from_slice(option));
            if place > 2 && is_word(option, b"redirect") {
                let unknown = || Tracking::Refused(texts::NO_SUCH_CLIENT.clone());
                let Some(session) = args.next().and_then(integer::parse) else { return unknown() };
                match self.target(session, identity) {
                    Ok(lease) => {
                        words.push(lease.to_string().into());
                        target = Some(Renumbered { lease, session });
                    }
                    Err(other) => return other,
                }
            } else if place > 2 && is_word(option, b"prefix") {
                words.extend(args.next().map(Bytes::copy_from_slice));
            }
        }
        let Some(target) = target else { return Tracking::Unchanged };
        let mut sent = BytesMut::new();
        encode_command(words.iter().map(|word| &**word), &mut sent);
        Tracking::Redirected(sent.freeze(), target)
    }

    /// Returns the lease of the session of `identity` with this number, which the session keeps from now on, so that
    /// what is sent about the lease concerns no other session; `None` if it has none, or has not asked for its
    /// number.
    pub(in crate::session) fn keep_lease(&self, id: i64, identity: IdentityId) -> Option<i64> {
        let mut all = self.told();
        let told = all.get_mut(&id).filter(|told| told.identity == identity)?;
        told.is_target |= told.lease.is_some();
        told.lease
    }

    /// Returns the lease of the session of `identity` with this number, to which messages are redirected from now
    /// on.
    fn target(&self, id: i64, identity: IdentityId) -> Result<i64, Tracking> {
        let mut all = self.told();
        let told = all.get_mut(&id).filter(|told| told.identity == identity);
        let told = told.ok_or_else(|| Tracking::Refused(texts::NO_SUCH_CLIENT.clone()))?;
        let Some(lease) = told.lease else {
            if !std::mem::replace(&mut told.is_wanted, true) {
                self.0.wanted.fetch_add(1, Ordering::Relaxed);
            }
            return Err(Tracking::Waits);
        };
        told.is_target = true;
        Ok(lease)
    }

    fn told(&self) -> MutexGuard<'_, HashMap<i64, Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser};

    fn track(ids: &ClientIds, options: &str) -> Tracking {
        let line = format!("CLIENT TRACKING on {options}\r\n");
        let mut parser = RequestParser::new();
        let parsed = parser.parse(line.as_bytes(), &RequestLimits::AUTHENTICATED).unwrap();
        assert_eq!(parsed, Parsed::Request { len: line.len() });
        ids.track(&parser.request(line.as_bytes()), IdentityId::FIRST)
    }

    fn redirected(words: &[&str], lease: i64) -> Tracking {
        let words = [&["CLIENT", "TRACKING", "on"], words].concat();
        let mut sent = BytesMut::new();
        encode_command(words.iter().map(|word| word.as_bytes()), &mut sent);
        Tracking::Redirected(sent.freeze(), Renumbered { lease, session: 7 })
    }

    #[test]
    fn numbers_of_sessions_fit_53_bits_and_differ_between_processes() {
        for random in [0, 799_999, u32::MAX] {
            let ids = ClientIds::new(random);
            assert!((1 << 49..1 << 53).contains(&ids.of_session(1)));
            assert_eq!(ids.of_session(18) - ids.of_session(1), 17);
            assert!(ids.of_session(u64::MAX) < 1 << 53);
        }
        assert_ne!(ClientIds::new(1).of_session(1), ClientIds::new(2).of_session(1));
    }

    #[test]
    fn tracking_redirects_only_to_leases_of_sessions_that_know_their_number() {
        let ids = ClientIds::default();
        ids.tell(7, IdentityId::FIRST);
        ids.lend(7, 31);
        assert_eq!(track(&ids, ""), Tracking::Unchanged);
        assert_eq!(track(&ids, "BCAST PREFIX redirect"), Tracking::Unchanged);
        assert_eq!(track(&ids, "REDIRECT 7"), redirected(&["REDIRECT", "31"], 31));
        let words = ["BCAST", "redirect", "31", "PREFIX", "redirect"];
        assert_eq!(track(&ids, "BCAST redirect 7 PREFIX redirect"), redirected(&words, 31));
        for options in [
            "REDIRECT 8",
            "REDIRECT 31",
            "redirect 8 BCAST",
            "BCAST \"REDIRECT\\x00x\" 8",
            "REDIRECT 7 REDIRECT 8",
            "PREFIX a REDIRECT 8",
            "REDIRECT x",
            "REDIRECT",
        ] {
            assert!(matches!(track(&ids, options), Tracking::Refused(_)), "{options}");
        }
        ids.forget(7);
        assert!(matches!(track(&ids, "REDIRECT 7"), Tracking::Refused(_)));
    }

    #[test]
    fn a_lease_that_messages_are_redirected_to_is_not_returned() {
        let ids = ClientIds::default();
        ids.tell(7, IdentityId::FIRST);
        ids.lend(7, 31);
        assert!(ids.may_return(7) && ids.may_return(8));
        assert_eq!(track(&ids, "REDIRECT 7"), Tracking::Waits);
        assert!(ids.wants_lease(7) && !ids.wants_lease(8));
        assert_eq!(track(&ids, "REDIRECT 7"), Tracking::Waits);
        ids.lend(7, 32);
        assert!(!ids.any_wanted() && !ids.may_return(7));
        assert_eq!(track(&ids, "REDIRECT 7"), redirected(&["REDIRECT", "32"], 32));
    }

    #[test]
    fn a_lease_that_is_named_to_unblock_its_session_is_kept() {
        let ids = ClientIds::default();
        assert_eq!(ids.keep_lease(7, IdentityId::FIRST), None);
        ids.tell(7, IdentityId::FIRST);
        assert_eq!(ids.keep_lease(7, IdentityId::FIRST), None);
        assert!(ids.may_return(7));
        ids.lend(7, 31);
        assert_eq!(ids.keep_lease(7, IdentityId::FIRST), Some(31));
        assert!(!ids.may_return(7));
    }

    #[test]
    fn sessions_of_other_identities_cannot_be_named() {
        let ids = ClientIds::default();
        let other = IdentityId::new(1).unwrap();
        ids.tell(7, other);
        ids.lend(7, 31);
        assert!(matches!(track(&ids, "REDIRECT 7"), Tracking::Refused(_)));
        assert_eq!(ids.keep_lease(7, IdentityId::FIRST), None);
        assert!(ids.may_return(7) && !ids.any_wanted());
        ids.lend(7, 31);
        assert_eq!(ids.keep_lease(7, other), Some(31));
        // The session becomes another.
        ids.tell(7, IdentityId::FIRST);
        assert_eq!(ids.keep_lease(7, other), None);
        assert_eq!(track(&ids, "REDIRECT 7"), redirected(&["REDIRECT", "31"], 31));
    }

    #[test]
    fn a_session_that_ends_is_wanted_no_more() {
        let ids = ClientIds::default();
        ids.tell(7, IdentityId::FIRST);
        assert_eq!(track(&ids, "REDIRECT 7"), Tracking::Waits);
        ids.forget(7);
        assert!(!ids.any_wanted() && !ids.wants_lease(7));
    }
}
