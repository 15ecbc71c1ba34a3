//! The queue of a session's pending replies, in order.
//!
//! A reply is either remote (the link that its entry names will bring it) or local (Redoubt made it).
//! Local replies wait behind the remote replies that were asked for before them. Consecutive plain remote
//! replies of one command from one link share an entry, so that a pipeline of any length of such
//! commands costs a few bytes.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::counts::{Counted, Counts, Outcome};
use super::expect::{Expect, Learn, Show};
use super::pubsub::Confirmations;
use crate::ids::LinkId;
use crate::resp::whole;

enum Entry {
    /// So many plain replies from one link.
    Plain(LinkId, Counted, u32),
    Remote(LinkId, Counted, Expect),
    Local(Bytes),
}

/// The queue of pending replies.
#[derive(Default)]
pub struct PendingReplies {
    entries: VecDeque<Entry>,
    remote: u32,
    /// Remote replies that have arrived since the start.
    answered: u64,
    local: u32,
    blocking: u32,
    confirming: u32,
    local_bytes: usize,
}

impl PendingReplies {
    /// Number of entries at which [`PendingReplies::is_full`]; they take at most 5 MiB.
    pub const MAX_ENTRIES: usize = 65_536;
    /// Number of entries whose memory an empty queue keeps.
    const KEPT_ENTRIES: usize = 64;
    /// Bytes of waiting local replies at which [`PendingReplies::is_full`].
    pub const MAX_LOCAL_BYTES: usize = 4 << 20;
    /// Bytes that a local reply takes in addition to its text.
    const ALLOCATION: usize = 32;
    /// Number of entries whose memory is kept.
    const KEPT: usize = 64;

    /// Returns true if no more requests of this client should be taken until replies have arrived:
    /// `in_flight` replies are pending, or they take too much memory.
    pub fn is_full(&self, in_flight: u32) -> bool {
        self.remote.saturating_add(self.local) >= in_flight
            || self.entries.len() >= Self::MAX_ENTRIES
            || self.local_bytes >= Self::MAX_LOCAL_BYTES
    }

    /// Returns a lower bound of the memory in bytes, which is cheap to compute.
    #[inline]
    pub fn memory_at_least(&self) -> usize {
        self.entries.capacity().saturating_mul(size_of::<Entry>()) | self.local_bytes
    }

    /// Returns the memory in bytes.
    pub fn memory(&self) -> usize {
        let entries = self.entries.capacity().saturating_mul(size_of::<Entry>());
        entries.saturating_add(self.local_weight())
    }

    /// Returns the bytes of memory that the pending replies need.
    pub fn weight(&self) -> usize {
        let entries = self.entries.len().saturating_mul(size_of::<Entry>());
        entries.saturating_add(self.local_weight())
    }

    fn local_weight(&self) -> usize {
        let replies = usize::try_from(self.local).unwrap_or(usize::MAX);
        self.local_bytes.saturating_add(replies.saturating_mul(Self::ALLOCATION))
    }

    /// Frees memory that is not needed now.
    pub fn compact(&mut self) {
        if self.entries.capacity() > Self::KEPT && self.entries.capacity() / 4 > self.entries.len()
        {
            self.entries.shrink_to(self.entries.len().saturating_mul(2));
        }
    }

    /// Returns the number of pending replies.
    pub fn len(&self) -> usize {
        usize::try_from(self.remote.saturating_add(self.local)).unwrap_or(usize::MAX)
    }

    /// Returns the number of replies that must still come from a link.
    pub fn remote(&self) -> u32 {
        self.remote
    }

    /// Returns the number of remote replies that have arrived since the start.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Returns the number of remote replies that were requested since the start.
    pub fn asked(&self) -> u64 {
        self.answered.saturating_add(u64::from(self.remote))
    }

    /// Returns true if a pending reply belongs to a command that may block.
    pub fn blocks(&self) -> bool {
        self.blocking > 0
    }

    /// Returns true if all pending replies belong to commands that may block.
    pub fn only_blocks(&self) -> bool {
        self.blocking > 0 && self.blocking == self.remote && self.local == 0
    }

    /// Returns true if a confirmation of a subscription is pending.
    pub fn confirming(&self) -> bool {
        self.confirming > 0
    }

    /// Returns true if no reply is pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a reply that `link` will bring, and the command that it is to be counted as then.
    pub fn push_remote(&mut self, link: LinkId, expect: Expect, counted: Counted) {
        if expect == Expect::PLAIN {
            return self.push_plain(link, counted);
        }
        self.remote = self.remote.saturating_add(1);
        if let Some(counter) = self.counter(expect.learn) {
            *counter = counter.saturating_add(1);
        }
        self.entries.push_back(Entry::Remote(link, counted, expect));
    }

    /// The same for a reply that is [`Expect::PLAIN`].
    #[inline]
    pub fn push_plain(&mut self, link: LinkId, counted: Counted) {
        self.remote = self.remote.saturating_add(1);
        if let Some(Entry::Plain(last_link, last, count)) = self.entries.back_mut()
            && *last == counted
            && *last_link == link
        {
            *count = count.saturating_add(1);
        } else {
            self.entries.push_back(Entry::Plain(link, counted, 1));
        }
    }

    /// Adds a reply that Redoubt made; it is sent after all earlier replies.
    pub fn push_local(&mut self, reply: Bytes) {
        self.local = self.local.saturating_add(1);
        self.local_bytes = self.local_bytes.saturating_add(reply.len());
        self.entries.push_back(Entry::Local(reply));
    }

    /// Returns how the next remote reply is handled; `None` if none is pending.
    ///
    /// When a frame of a link begins, no local reply is at the front: [`PendingReplies::pop_local`]
    /// takes it as soon as it gets there, or at the end of the message that the client was receiving.
    pub fn front(&self) -> Option<&Expect> {
        match self.entries.front()? {
            Entry::Plain(..) => Some(&Expect::PLAIN),
            Entry::Remote(_, _, expect) => Some(expect),
            Entry::Local(_) => None,
        }
    }

    /// The same; `None` also when another link than `link` is to bring that reply.
    pub fn front_from(&self, link: LinkId) -> Option<&Expect> {
        match self.entries.front()? {
            Entry::Plain(from, ..) if *from == link => Some(&Expect::PLAIN),
            Entry::Remote(from, _, expect) if *from == link => Some(expect),
            _ => None,
        }
    }

    /// Returns the confirmations that come next, so that the caller can count them down.
    pub fn front_confirmations(&mut self) -> Option<&mut Confirmations> {
        match self.entries.front_mut()? {
            Entry::Remote(_, _, Expect { learn: Learn::Confirmed(confirmations), .. }) => {
                Some(confirmations)
            }
            _ => None,
        }
    }

    /// Returns how many replies `link` is to bring next that go to the client as they are, tell nothing, and
    /// are of one command.
    #[inline]
    fn plain_from(&self, link: LinkId) -> u32 {
        match self.entries.front() {
            Some(Entry::Plain(from, _, count)) if *from == link => *count,
            _ => 0,
        }
    }

    /// Takes `many` of the plain replies at the front, which are complete; no more than
    /// [`PendingReplies::plain_from`] returned. Returns the command that they are counted as.
    #[inline]
    fn pop_plain(&mut self, many: u32) -> Option<Counted> {
        let Entry::Plain(_, counted, count) = self.entries.front_mut()? else { return None };
        let counted = *counted;
        *count = count.saturating_sub(many);
        if *count == 0 {
            self.entries.pop_front();
        }
        self.came(many);
        Some(counted)
    }

    /// Finds the whole replies at the start of `input` that `link` is to bring next, that are no errors, go to
    /// the client unchanged and do not change the session's state; at most `most`. Returns their number of
    /// bytes and their number. The caller then calls [`PendingReplies::take_plain`]. The link must be between
    /// two frames.
    #[inline]
    pub(crate) fn find_plain(&self, input: &[u8], link: LinkId, most: u32) -> (usize, u32) {
        let most = most.min(self.plain_from(link));
        let (mut len, mut many) = (0_usize, 0_u32);
        while many < most
            && let Some(reply) = input.get(len..).and_then(whole)
        {
            len = len.saturating_add(reply);
            many = many.saturating_add(1);
        }
        (len, many)
    }

    /// Returns true if `link` is to bring next a reply that goes to the client unchanged and only says whether a
    /// request of a transaction succeeded.
    #[inline]
    pub(crate) fn expects_success(&self, link: LinkId) -> bool {
        matches!(
            self.entries.front(),
            Some(Entry::Remote(from, _, Expect {
                show: Show::Reply,
                learn: Learn::Multi | Learn::Watch | Learn::Unwatch | Learn::Discard,
            })) if *from == link
        )
    }

    /// Counts plain replies that have gone to the client, and appends the local replies that follow them to
    /// `output`.
    #[inline]
    pub(crate) fn take_plain(&mut self, many: u32, output: &mut BytesMut, counts: &mut Counts) {
        if let Some(counted) = self.pop_plain(many) {
            counts.add_many(counted, Outcome::Ok, many);
        }
        self.deliver_local(output);
    }

    /// Moves the local replies at the front to `output`.
    pub(in crate::session) fn deliver_local(&mut self, output: &mut BytesMut) {
        while let Some(reply) = self.pop_local() {
            output.reserve(reply.remaining());
            output.put(reply);
        }
    }

    /// Removes the first entry, whose reply has arrived. Returns the command that it is counted as; how the reply
    /// is handled is read before, from [`PendingReplies::front`], so that the entry is not moved.
    #[inline]
    pub fn pop_remote(&mut self) -> Option<Counted> {
        match self.entries.front()? {
            Entry::Plain(..) => self.pop_plain(1),
            Entry::Remote(_, counted, expect) => {
                let (counted, learn) = (*counted, expect.learn);
                drop(self.entries.pop_front());
                if let Some(counter) = self.counter(learn) {
                    *counter = counter.saturating_sub(1);
                }
                self.came(1);
                Some(counted)
            }
            Entry::Local(_) => None,
        }
    }

    /// Counts remote replies that have arrived.
    fn came(&mut self, many: u32) {
        self.remote = self.remote.saturating_sub(many);
        self.answered = self.answered.saturating_add(many.into());
    }

    /// Returns true if more memory is allocated than the queue keeps.
    #[inline]
    pub fn has_room_to_spare(&self) -> bool {
        self.entries.capacity() > Self::KEPT_ENTRIES
    }

    /// Frees the memory of a queue that was long and is empty now.
    pub fn release(&mut self) {
        if self.entries.is_empty() && self.has_room_to_spare() {
            self.entries = VecDeque::new();
        }
    }

    /// Counts the replies that will not arrive.
    pub fn give_up(&self, counts: &mut Counts) {
        for entry in &self.entries {
            match entry {
                Entry::Plain(_, counted, count) => {
                    counts.add_many(*counted, Outcome::Unanswered, *count);
                }
                Entry::Remote(_, counted, _) => counts.add(*counted, Outcome::Unanswered),
                Entry::Local(_) => {}
            }
        }
    }

    /// Removes a local reply that has come to the front.
    pub fn pop_local(&mut self) -> Option<Bytes> {
        let Some(Entry::Local(_)) = self.entries.front() else { return None };
        let Some(Entry::Local(reply)) = self.entries.pop_front() else { return None };
        self.local = self.local.saturating_sub(1);
        self.local_bytes = self.local_bytes.saturating_sub(reply.len());
        Some(reply)
    }

    fn counter(&mut self, learn: Learn) -> Option<&mut u32> {
        match learn {
            Learn::Unblocked => Some(&mut self.blocking),
            Learn::Confirmed(_) => Some(&mut self.confirming),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use slotmap::{DefaultKey, Key, SlotMap};

    use super::*;
    use crate::command::lookup;

    /// The counter does not matter in most tests.
    const ANY: Counted = Counted::NOT;

    /// Removes the first entry. Returns how the reply is handled, and the command that it is counted as.
    fn pop(due: &mut PendingReplies) -> Option<(Expect, Counted)> {
        let expect = due.front()?.clone();
        Some((expect, due.pop_remote()?))
    }

    /// The link that brings all replies but where a test says otherwise.
    fn link() -> LinkId {
        LinkId(DefaultKey::null())
    }

    #[test]
    fn local_replies_wait_for_earlier_remote_replies() {
        let mut due = PendingReplies::default();
        due.push_remote(link(), Expect::PLAIN, ANY);
        due.push_remote(link(), Expect::PLAIN, ANY);
        due.push_local(Bytes::from_static(b"a"));
        due.push_remote(link(), Expect::DROPPED, ANY);
        due.push_local(Bytes::from_static(b"b"));
        assert_eq!(due.remote(), 3);
        assert_eq!(due.pop_local(), None);
        assert_eq!(pop(&mut due), Some((Expect::PLAIN, ANY)));
        assert_eq!(due.pop_local(), None);
        assert_eq!(pop(&mut due), Some((Expect::PLAIN, ANY)));
        assert_eq!(pop(&mut due), None, "a local reply is in the way");
        assert_eq!(due.pop_local().as_deref(), Some(&b"a"[..]));
        assert_eq!(due.front(), Some(&Expect::DROPPED));
        assert_eq!(pop(&mut due), Some((Expect::DROPPED, ANY)));
        assert_eq!(due.pop_local().as_deref(), Some(&b"b"[..]));
        assert!(due.is_empty());
        assert_eq!(due.remote(), 0);
    }

    #[test]
    fn a_long_plain_pipeline_takes_one_pending_entry() {
        let mut due = PendingReplies::default();
        for _ in 0..100_000 {
            due.push_remote(link(), Expect::PLAIN, ANY);
        }
        assert_eq!(due.entries.len(), 1);
        assert_eq!(due.remote(), 100_000);
        assert!(!due.is_full(u32::MAX));
    }

    #[test]
    fn a_reply_is_pending_from_the_link_that_its_request_went_over() {
        let other = LinkId(SlotMap::new().insert(()));
        let mut due = PendingReplies::default();
        due.push_remote(link(), Expect::PLAIN, ANY);
        due.push_remote(other, Expect::PLAIN, ANY);
        due.push_remote(other, Expect::DROPPED, ANY);
        assert_eq!((due.plain_from(link()), due.plain_from(other)), (1, 0));
        assert_eq!((due.front_from(link()), due.front_from(other)), (Some(&Expect::PLAIN), None));
        due.pop_plain(1);
        assert_eq!((due.plain_from(link()), due.plain_from(other)), (0, 1));
        due.pop_remote();
        assert_eq!((due.front_from(link()), due.front_from(other)), (None, Some(&Expect::DROPPED)));
    }

    #[test]
    fn replies_add_to_the_counters_of_their_commands() {
        let [get, set] = [b"get", b"set"].map(|name| Counted::of(lookup(name)));
        let mut due = PendingReplies::default();
        for counted in [get, get, set, get, get, get] {
            due.push_remote(link(), Expect::PLAIN, counted);
        }
        due.push_remote(link(), Expect::DROPPED, set);
        due.push_local(Bytes::from_static(b"a"));
        let popped = [(); 4].map(|()| due.pop_remote().unwrap());
        assert_eq!(popped, [get, get, set, get]);
        let mut counts = Counts::default();
        due.give_up(&mut counts);
        let mut lost = Vec::new();
        counts.take(|name, outcome, count| lost.push((name, outcome, count)));
        assert_eq!(lost, [("get", Outcome::Unanswered, 2), ("set", Outcome::Unanswered, 1)]);
    }

    #[test]
    fn waiting_local_replies_fill_the_pending_queue() {
        let mut due = PendingReplies::default();
        due.push_remote(link(), Expect::PLAIN, ANY);
        let reply = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..4 {
            assert!(!due.is_full(u32::MAX));
            due.push_local(reply.clone());
        }
        assert!(due.is_full(u32::MAX));
        due.pop_remote();
        due.pop_local();
        assert!(!due.is_full(u32::MAX));
    }

    #[test]
    fn every_request_in_flight_counts_toward_the_limit() {
        let mut due = PendingReplies::default();
        due.push_remote(link(), Expect::PLAIN, ANY);
        due.push_remote(link(), Expect::PLAIN, ANY);
        assert!(due.is_full(2) && !due.is_full(3));
        due.push_local(Bytes::from_static(b"a"));
        assert!(due.is_full(3) && !due.is_full(4));
        due.pop_remote();
        assert!(!due.is_full(3));
        due.pop_remote();
        due.pop_local();
        assert!(!due.is_full(1));
    }

    #[test]
    fn pending_replies_of_many_kinds_fill_the_queue() {
        let mut due = PendingReplies::default();
        for _ in 0..PendingReplies::MAX_ENTRIES / 2 {
            assert!(!due.is_full(u32::MAX));
            due.push_remote(link(), Expect::PLAIN, ANY);
            due.push_remote(link(), Expect::DROPPED, ANY);
        }
        assert!(due.is_full(u32::MAX));
        assert!(PendingReplies::MAX_ENTRIES * size_of::<Entry>() <= 5 << 20);
    }

    #[test]
    fn blocking_commands_are_counted_until_answered() {
        let mut due = PendingReplies::default();
        due.push_remote(link(), Expect { show: Show::Reply, learn: Learn::Unblocked }, ANY);
        assert!(due.blocks() && due.only_blocks() && !due.confirming());
        due.push_remote(link(), Expect::PLAIN, ANY);
        assert!(!due.only_blocks());
        due.pop_remote();
        assert!(!due.blocks() && !due.only_blocks());
    }
}
