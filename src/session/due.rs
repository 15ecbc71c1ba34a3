//! The in-order queue of replies that a session is owed.
//!
//! A reply is either remote (a link will bring it) or local (Redoubt made it). Local replies wait
//! behind the remote ones that were asked for before them. Runs of plain remote replies are one
//! entry, so that a pipeline of any length costs a few bytes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::pubsub::Confirmations;

/// What is done with a reply that a link brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It goes to the client.
    Plain,
    /// It goes to the client; the command may block for long, so a client that leaves meanwhile
    /// takes the link with it.
    Blocking,
    /// It is dropped (the client switched replies off, or Redoubt asked for itself).
    Swallow,
    /// It is dropped, and these bytes go to the client in its place.
    Replace(Bytes),
    /// A `(P|S)(UN)SUBSCRIBE`, answered by one confirmation for each channel, or by one error.
    Confirm(Confirmations),
}

#[derive(Debug)]
enum Entry {
    Plain(u32),
    Remote(Expect),
    Local(Bytes),
}

/// The queue itself. Its length is bounded by the caller, through [`DueQueue::remote`].
#[derive(Debug, Default)]
pub struct DueQueue {
    entries: VecDeque<Entry>,
    remote: u32,
    blocking: u32,
}

impl DueQueue {
    /// Replies still to come from a link.
    pub fn remote(&self) -> u32 {
        self.remote
    }

    /// Whether any of them belongs to a command that may block.
    pub fn blocks(&self) -> bool {
        self.blocking > 0
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a reply that a link will bring.
    pub fn push_remote(&mut self, expect: Expect) {
        self.remote = self.remote.saturating_add(1);
        match expect {
            Expect::Plain => {
                if let Some(Entry::Plain(count)) = self.entries.back_mut()
                    && let Some(more) = count.checked_add(1)
                {
                    *count = more;
                } else {
                    self.entries.push_back(Entry::Plain(1));
                }
            }
            other => {
                if other == Expect::Blocking {
                    self.blocking = self.blocking.saturating_add(1);
                }
                self.entries.push_back(Entry::Remote(other));
            }
        }
    }

    /// Adds a reply that Redoubt made; it goes out when all before it have.
    pub fn push_local(&mut self, reply: Bytes) {
        self.entries.push_back(Entry::Local(reply));
    }

    /// What the next remote reply is for; `None` when none is owed.
    ///
    /// A local reply is never at the front: [`DueQueue::pop_local`] takes it as soon as it gets there.
    pub fn front(&self) -> Option<&Expect> {
        match self.entries.front()? {
            Entry::Plain(_) => Some(&Expect::Plain),
            Entry::Remote(expect) => Some(expect),
            Entry::Local(_) => None,
        }
    }

    /// The same, to count down confirmations.
    pub fn front_confirm(&mut self) -> Option<&mut Confirmations> {
        match self.entries.front_mut()? {
            Entry::Remote(Expect::Confirm(confirm)) => Some(confirm),
            _ => None,
        }
    }

    /// Takes the expectation at the front, whose reply is now complete.
    pub fn pop_remote(&mut self) -> Option<Expect> {
        match self.entries.front_mut()? {
            Entry::Plain(count) if *count > 1 => {
                *count = count.saturating_sub(1);
                self.remote = self.remote.saturating_sub(1);
                return Some(Expect::Plain);
            }
            Entry::Local(_) => return None,
            Entry::Plain(_) | Entry::Remote(_) => {}
        }
        self.remote = self.remote.saturating_sub(1);
        match self.entries.pop_front()? {
            Entry::Remote(expect) => {
                if expect == Expect::Blocking {
                    self.blocking = self.blocking.saturating_sub(1);
                }
                Some(expect)
            }
            _ => Some(Expect::Plain),
        }
    }

    /// Takes a local reply that has come to the front.
    pub fn pop_local(&mut self) -> Option<Bytes> {
        if !matches!(self.entries.front(), Some(Entry::Local(_))) {
            return None;
        }
        match self.entries.pop_front() {
            Some(Entry::Local(reply)) => Some(reply),
            _ => None,
        }
    }

    /// Whether a confirmation of a subscription is still owed.
    pub fn confirming(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Remote(Expect::Confirm(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_replies_wait_for_the_remote_ones_before_them() {
        let mut due = DueQueue::default();
        due.push_remote(Expect::Plain);
        due.push_remote(Expect::Plain);
        due.push_local(Bytes::from_static(b"a"));
        due.push_remote(Expect::Swallow);
        due.push_local(Bytes::from_static(b"b"));
        assert_eq!(due.remote(), 3);
        assert_eq!(due.pop_local(), None);
        assert_eq!(due.pop_remote(), Some(Expect::Plain));
        assert_eq!(due.pop_local(), None);
        assert_eq!(due.pop_remote(), Some(Expect::Plain));
        assert_eq!(due.pop_remote(), None, "a local reply is in the way");
        assert_eq!(due.pop_local().as_deref(), Some(&b"a"[..]));
        assert_eq!(due.front(), Some(&Expect::Swallow));
        assert_eq!(due.pop_remote(), Some(Expect::Swallow));
        assert_eq!(due.pop_local().as_deref(), Some(&b"b"[..]));
        assert!(due.is_empty());
        assert_eq!(due.remote(), 0);
    }

    #[test]
    fn a_long_pipeline_is_one_entry() {
        let mut due = DueQueue::default();
        for _ in 0..100_000 {
            due.push_remote(Expect::Plain);
        }
        assert_eq!(due.entries.len(), 1);
        assert_eq!(due.remote(), 100_000);
    }

    #[test]
    fn blocking_commands_are_counted_until_answered() {
        let mut due = DueQueue::default();
        due.push_remote(Expect::Blocking);
        assert!(due.blocks());
        due.pop_remote();
        assert!(!due.blocks());
    }
}
