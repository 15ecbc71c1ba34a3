//! Clients that are not read while a blocking command of theirs is pending.
//!
//! What such a client has sent behind the command stays in its socket, and in front of the end of the
//! stream, so no read tells that the client has gone. Redis reads its socket all the same, and frees the
//! client with the command at the end of the stream, whether the client closed, reset, or only shut down its
//! sending side (Redis 7.0 and 8.0, Valkey 9.1). So a worker asks at every tick whether the stream has
//! ended. It does not learn that of a client that has sent more than the socket's buffer holds, since the
//! system tells of the end only when all bytes before it have arrived.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use redoubt_core::router::SessionId;
use slotmap::DefaultKey;

/// The sessions of such clients. The worker looks at each in turn.
#[derive(Default)]
pub(crate) struct BehindBlock {
    sessions: BTreeSet<DefaultKey>,
    /// The session that was looked at last.
    last: DefaultKey,
}

impl BehindBlock {
    /// Sessions that are looked at in one tick. All of 10,000 have their turn in two seconds.
    const MOST: usize = 1000;

    pub(crate) fn add(&mut self, id: SessionId) {
        self.sessions.insert(id.key());
    }

    pub(crate) fn remove(&mut self, id: SessionId) {
        self.sessions.remove(&id.key());
    }

    /// Returns the sessions that are to be looked at next, at most [`BehindBlock::MOST`].
    pub(crate) fn next(&mut self) -> Vec<SessionId> {
        let behind = self.sessions.range((Excluded(self.last), Unbounded));
        let all = behind.chain(self.sessions.range(..=self.last));
        let next: Vec<_> = all.take(Self::MOST).copied().collect();
        self.last = next.last().copied().unwrap_or_default();
        next.into_iter().map(SessionId::from_key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    #[test]
    fn every_session_has_its_turn_and_none_is_looked_at_twice_in_a_tick() {
        let mut keys = SlotMap::new();
        let ids: Vec<_> = (0..2500).map(|_| SessionId::from_key(keys.insert(()))).collect();
        let mut behind = BehindBlock::default();
        assert!(behind.next().is_empty());
        ids.iter().for_each(|id| behind.add(*id));
        let seen: Vec<_> = (0..5).flat_map(|_| behind.next()).collect();
        assert_eq!(seen.len(), 5 * BehindBlock::MOST);
        for id in &ids {
            assert_eq!(seen.iter().filter(|seen| *seen == id).count(), 2);
        }
        ids.iter().skip(1).for_each(|id| behind.remove(*id));
        assert_eq!(behind.next(), [ids[0]]);
        assert_eq!(behind.next(), [ids[0]]);
    }
}
