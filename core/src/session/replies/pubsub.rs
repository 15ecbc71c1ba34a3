//! Counting subscriptions from Redis's own confirmations.
//!
//! `UNSUBSCRIBE` without arguments is answered once for each channel, so the number of channels has
//! to be known to know which reply is whose. Each confirmation ends with the number of
//! subscriptions that remain (channels and patterns together; shard channels on their own); the
//! difference to the last number tells whether a channel came or went. No names are kept.

use crate::command::ChannelKind as Kind;

/// The confirmations that answer one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmations {
    kind: Kind,
    /// `None` until the first arrives: "all channels", a number known only then.
    left: Option<u32>,
}

impl Confirmations {
    /// For a command that names `channels` channels.
    pub fn named(kind: Kind, channels: u32) -> Self {
        Self { kind, left: Some(channels) }
    }

    /// For an unsubscription from everything of `kind`.
    pub fn all(kind: Kind) -> Self {
        Self { kind, left: None }
    }
}

/// A frame that pub/sub puts on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// `subscribe`, `psubscribe` or `ssubscribe`.
    Subscribed(Kind),
    /// `unsubscribe`, `punsubscribe` or `sunsubscribe`.
    Unsubscribed(Kind),
    /// `message`, `pmessage` or `smessage`.
    Message,
}

impl Notice {
    /// Reads the first element of an array or push.
    pub(in crate::session) fn parse(head: &[u8]) -> Option<Self> {
        Some(match head {
            b"message" | b"pmessage" | b"smessage" => Self::Message,
            b"subscribe" => Self::Subscribed(Kind::Channel),
            b"psubscribe" => Self::Subscribed(Kind::Pattern),
            b"ssubscribe" => Self::Subscribed(Kind::Shard),
            b"unsubscribe" => Self::Unsubscribed(Kind::Channel),
            b"punsubscribe" => Self::Unsubscribed(Kind::Pattern),
            b"sunsubscribe" => Self::Unsubscribed(Kind::Shard),
            _ => return None,
        })
    }
}

/// How many subscriptions a session holds, by what Redis has confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::session) struct Subscriptions {
    channels: u32,
    patterns: u32,
    shards: u32,
}

impl Subscriptions {
    /// Returns whether Redis holds this connection to be in subscribed state.
    pub(in crate::session) fn any(&self) -> bool {
        self.channels > 0 || self.patterns > 0 || self.shards > 0
    }

    /// All of them together.
    pub(in crate::session) fn total(&self) -> u32 {
        self.channels.saturating_add(self.patterns).saturating_add(self.shards)
    }

    fn of(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// The number that Redis prints in a confirmation of `kind`.
    fn printed(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.saturating_add(self.patterns),
            Kind::Shard => self.shards,
        }
    }

    /// Takes a confirmation in, with the number it ended with. Returns whether it completes
    /// `answering`, the confirmations that are due now.
    pub(in crate::session) fn confirm(
        &mut self,
        notice: Notice,
        remaining: u32,
        answering: Option<&mut Confirmations>,
    ) -> bool {
        let (kind, before) = match notice {
            Notice::Subscribed(kind) | Notice::Unsubscribed(kind) => (kind, *self.of(kind)),
            Notice::Message => return false,
        };
        let printed = self.printed(kind);
        let count = self.of(kind);
        if remaining > printed {
            *count = count.saturating_add(1);
        } else if remaining < printed {
            *count = count.saturating_sub(1);
        }
        let Some(answering) = answering.filter(|due| due.kind == kind) else { return false };
        let left = answering.left.unwrap_or(before.max(1)).saturating_sub(1);
        answering.left = Some(left);
        left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_from_the_confirmations() {
        let mut subs = Subscriptions::default();
        let mut due = Confirmations::named(Kind::Channel, 3);
        let subscribed = Notice::Subscribed(Kind::Channel);
        assert!(!subs.confirm(subscribed, 1, Some(&mut due)));
        assert!(!subs.confirm(subscribed, 1, Some(&mut due)), "the same channel again");
        assert!(subs.confirm(subscribed, 2, Some(&mut due)));
        let mut due = Confirmations::named(Kind::Pattern, 1);
        assert!(subs.confirm(Notice::Subscribed(Kind::Pattern), 3, Some(&mut due)));
        assert_eq!(subs, Subscriptions { channels: 2, patterns: 1, shards: 0 });

        let mut all = Confirmations::all(Kind::Channel);
        let gone = Notice::Unsubscribed(Kind::Channel);
        assert!(!subs.confirm(gone, 2, Some(&mut all)));
        assert!(subs.confirm(gone, 1, Some(&mut all)));
        assert_eq!(subs, Subscriptions { channels: 0, patterns: 1, shards: 0 });

        let mut none = Confirmations::all(Kind::Channel);
        assert!(subs.confirm(gone, 1, Some(&mut none)), "one answer when there was nothing");
        assert!(subs.any());
    }

    #[test]
    fn shard_channels_count_apart() {
        let mut subs = Subscriptions::default();
        subs.confirm(Notice::Subscribed(Kind::Channel), 1, None);
        subs.confirm(Notice::Subscribed(Kind::Shard), 1, None);
        assert_eq!(subs, Subscriptions { channels: 1, patterns: 0, shards: 1 });
        subs.confirm(Notice::Unsubscribed(Kind::Shard), 0, None);
        assert_eq!(subs, Subscriptions { channels: 1, patterns: 0, shards: 0 });
    }

    #[test]
    fn only_pubsub_words_are_notices() {
        assert_eq!(Notice::parse(b"pmessage"), Some(Notice::Message));
        assert_eq!(Notice::parse(b"invalidate"), None);
        assert_eq!(Notice::parse(b"Message"), None);
    }
}
