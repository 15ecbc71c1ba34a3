//! Counts subscriptions by Redis's confirmations.
//!
//! `UNSUBSCRIBE` without arguments gets one reply for each channel, so the number of channels must be
//! known to know which reply answers which request. Each confirmation ends with the number of
//! subscriptions that remain (channels and patterns together; shard channels separately); the
//! difference to the last number shows whether a channel was added or removed. Names of channels are
//! not kept.

use crate::command::ChannelKind as Kind;

/// The confirmations that answer one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmations {
    kind: Kind,
    /// Confirmations that are missing; `None` until the first one arrives, if the command is for all
    /// channels.
    left: Option<u32>,
}

impl Confirmations {
    /// Returns the confirmations of a command that names `channels` channels.
    pub fn named(kind: Kind, channels: u32) -> Self {
        Self { kind, left: Some(channels) }
    }

    /// Returns the confirmations of an unsubscription from everything of `kind`.
    pub fn all(kind: Kind) -> Self {
        Self { kind, left: None }
    }
}

/// A pub/sub frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The frame is `subscribe`, `psubscribe` or `ssubscribe`.
    Subscribed(Kind),
    /// The frame is `unsubscribe`, `punsubscribe` or `sunsubscribe`.
    Unsubscribed(Kind),
    /// The frame is `message`, `pmessage` or `smessage`.
    Message,
}

impl Notice {
    /// Parses the first element of an array or push.
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

/// The number of a session's subscriptions that Redis has confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::session) struct Subscriptions {
    channels: u32,
    patterns: u32,
    shards: u32,
}

impl Subscriptions {
    /// Returns true if the connection is in Redis's subscribed state.
    pub(in crate::session) fn any(&self) -> bool {
        self.channels > 0 || self.patterns > 0 || self.shards > 0
    }

    /// Returns the number of all subscriptions.
    pub(in crate::session) fn total(&self) -> u32 {
        self.channels.saturating_add(self.patterns).saturating_add(self.shards)
    }

    /// Returns the numbers of channels, patterns and shard channels.
    pub(in crate::session) fn counts(&self) -> [u32; 3] {
        [self.channels, self.patterns, self.shards]
    }

    fn of(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// Returns the number that Redis reports in a confirmation of `kind`.
    fn printed(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.saturating_add(self.patterns),
            Kind::Shard => self.shards,
        }
    }

    /// Applies a confirmation and the number at its end. Returns true if it completes `answering`, the
    /// confirmations that are pending now.
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
    fn subscription_counts_come_from_confirmations() {
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
        assert!(
            subs.confirm(gone, 1, Some(&mut none)),
            "one confirmation comes without subscriptions"
        );
        assert!(subs.any());
    }

    #[test]
    fn shard_channels_are_counted_separately() {
        let mut subs = Subscriptions::default();
        subs.confirm(Notice::Subscribed(Kind::Channel), 1, None);
        subs.confirm(Notice::Subscribed(Kind::Shard), 1, None);
        assert_eq!(subs, Subscriptions { channels: 1, patterns: 0, shards: 1 });
        subs.confirm(Notice::Unsubscribed(Kind::Shard), 0, None);
        assert_eq!(subs, Subscriptions { channels: 1, patterns: 0, shards: 0 });
    }

    #[test]
    fn only_pubsub_frames_are_notices() {
        assert_eq!(Notice::parse(b"pmessage"), Some(Notice::Message));
        assert_eq!(Notice::parse(b"invalidate"), None);
        assert_eq!(Notice::parse(b"Message"), None);
    }
}
