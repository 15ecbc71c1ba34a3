//! Publishing and subscribing in the model.

use super::super::wire::{bulk, integer};
use super::conn::Conn;
use super::{Redis, Side};

impl Redis {
    pub(super) fn subscribe(&mut self, conn: &mut Conn, name: &str, channels: &[Vec<u8>]) {
        for channel in channels {
            let set = if name == "subscribe" { &mut conn.channels } else { &mut conn.patterns };
            set.insert(channel.clone());
            let count = integer(conn.subscriptions());
            conn.notice(name, &[channel], &count);
        }
    }

    pub(super) fn unsubscribe(&mut self, conn: &mut Conn, name: &str, channels: &[Vec<u8>]) {
        let set = if name == "unsubscribe" { &mut conn.channels } else { &mut conn.patterns };
        let channels = if channels.is_empty() {
            set.iter().cloned().collect::<Vec<_>>()
        } else {
            channels.to_vec()
        };
        if channels.is_empty() {
            let last = [conn.null(), &integer(conn.subscriptions())].concat();
            let lead = if conn.resp3 { ">3\r\n" } else { "*3\r\n" };
            conn.put(&[lead.as_bytes(), &bulk(name.as_bytes()), &last].concat());
        }
        for channel in &channels {
            let set = if name == "unsubscribe" { &mut conn.channels } else { &mut conn.patterns };
            set.remove(channel);
            let count = integer(conn.subscriptions());
            conn.notice(name, &[channel], &count);
        }
    }

    /// Delivers to every connection, including `own`, and returns the number of receivers.
    ///
    /// A single client's model does not deliver on common channels: those messages come from elsewhere.
    pub(crate) fn publish(
        &mut self,
        own: Option<&mut Conn>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        if self.side == Side::Client && channel.starts_with(b"all:") {
            return 0;
        }
        let mut count = 0;
        let late = self.server.publishes_late;
        let others = self.conns.values_mut().map(|conn| (conn, false));
        for (conn, late) in others.chain(own.map(|conn| (conn, late))) {
            let notice = if late && conn.resp3 { Conn::notice_late } else { Conn::notice };
            if conn.channels.contains(channel) {
                notice(conn, "message", &[channel], &bulk(payload));
                count += 1;
            }
            let matches = |pattern: &Vec<u8>| channel.starts_with(&pattern[..pattern.len() - 1]);
            let patterns = conn.patterns.iter().filter(|p| matches(p)).cloned().collect::<Vec<_>>();
            for pattern in patterns {
                notice(conn, "pmessage", &[&pattern, channel], &bulk(payload));
                count += 1;
            }
        }
        count
    }

    /// Returns true if a connection is subscribed to the channel by its name.
    pub(crate) fn hears(&self, channel: &[u8]) -> bool {
        self.conns.values().any(|conn| conn.channels.contains(channel))
    }
}
