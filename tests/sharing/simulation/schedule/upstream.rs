//! Events on links and in the upstream.

use redoubt_core::router::LinkFault;

use super::super::client::{COMMON, shorten};
use super::super::model::Conn;
use super::{About, Schedule, Wire, note};

impl Schedule {
    pub(super) fn connect(&mut self, index: usize) {
        if self.wires[index].connected {
            return;
        }
        let id = self.wires[index].id;
        let number = self.wires[index].number;
        if self.rng.one_in(30) {
            self.count("link refused");
            note!(self, "link {number} cannot be connected");
            self.excuse(number);
            self.router.link_failed(id, self.now);
        } else {
            let refused = self.rng.one_in(30);
            self.wires[index].connected = true;
            note!(
                self,
                "link {number} is connected{}",
                if refused { ", to be refused" } else { "" }
            );
            self.redis.connect(number, refused);
            self.router.link_connected(id, self.now);
        }
        self.after_call(About::Link(id));
    }

    pub(super) fn write_to_redis(&mut self, index: usize) {
        let Wire { id, number, connected, .. } = self.wires[index];
        let output = self.router.link_output(id);
        if !connected || output.is_empty() {
            return;
        }
        let len = self.rng.segment(output.len());
        let bytes = output[..len].to_vec();
        note!(self, "link {number} -> {}", shorten(&bytes));
        self.redis.receive(number, &bytes);
        self.router.link_output_written(id, len, self.now);
        self.after_call(About::Link(id));
    }

    pub(super) fn read_from_redis(&mut self, index: usize) {
        let Wire { id, number, connected, .. } = self.wires[index];
        let Some(conn) = self.redis.conns.get_mut(&number).filter(|_| connected) else { return };
        if conn.output.is_empty() || self.router.link_is_closed(id) {
            return;
        }
        if !self.router.link_wants_read(id, self.now) {
            self.count("link paused");
            return;
        }
        let len = self.rng.segment(conn.output.len());
        let bytes = conn.take_output(len);
        note!(self, "link {number} <- {}", shorten(&bytes));
        let was_ready = self.router.link_is_ready(id);
        let outcome = self.router.link_bytes(id, &bytes, self.now);
        if let Err(fault) = outcome {
            let refused = matches!(fault, LinkFault::Login(_)) && !was_ready;
            assert!(refused || self.may_be_faulty(number), "link {number}: {fault}");
            self.excuse(number);
            self.count(if refused { "login refused" } else { "faulty link" });
        }
        self.after_call(About::Link(id));
    }

    /// Ends a blocking pop, with a value or without.
    pub(super) fn unblock(&mut self) {
        let blocked = self.redis.conns.iter().filter_map(|(number, conn)| {
            let key = conn.blocked.as_ref()?;
            Some((*number, key.clone()))
        });
        let blocked: Vec<_> = blocked.collect();
        if blocked.is_empty() {
            return;
        }
        let (number, key) = self.rng.pick(&blocked).clone();
        let value = self.rng.one_in(2).then(|| [b"v", &key[..]].concat());
        note!(self, "link {number} is unblocked");
        self.redis.unblock(number, value.as_deref());
        self.moves += 1;
        self.count("unblocked");
    }

    /// Another client publishes on a common channel.
    pub(super) fn publish(&mut self) {
        self.published += 1;
        let heard = |channel: &&str| self.redis.hears(channel.as_bytes());
        let heard: Vec<&str> = COMMON.into_iter().filter(heard).collect();
        let channel = *self.rng.pick(if heard.is_empty() { &COMMON } else { &heard });
        let mut payload = format!("published {}", self.published).into_bytes();
        if self.rng.one_in(4) {
            payload.resize(payload.len() + self.rng.below(400), b'.');
        }
        note!(self, "published {} on {channel}", self.published);
        if self.redis.publish(None, channel.as_bytes(), &payload) > 0 {
            self.count("published");
        }
    }

    /// Closes a link's connection.
    pub(super) fn lose(&mut self, index: usize) {
        let Wire { id, number, connected, .. } = self.wires[index];
        if !connected || self.router.link_is_closed(id) {
            return;
        }
        note!(self, "link {number} is lost");
        self.excuse(number);
        self.router.link_lost(id, self.now);
        self.count("link lost");
        self.after_call(About::Link(id));
    }

    /// Sends a push over a link whose sessions have not asked for it.
    pub(super) fn push(&mut self, index: usize) {
        let Wire { id, number, connected, .. } = self.wires[index];
        let ready = connected && self.router.link_is_ready(id);
        let Some(conn) = self.redis.conns.get_mut(&number).filter(|_| ready) else { return };
        if conn.resp3 {
            note!(self, "link {number} is sent a push");
            conn.pushed = true;
            conn.put(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\npush\r\n");
            self.count("pushed");
        }
    }

    /// Returns true if a lease may bring an unexpected reply: it was sent a push, or one of its
    /// sessions has made the upstream send too many replies.
    fn may_be_faulty(&self, number: u32) -> bool {
        let pushed = self.redis.conns.get(&number).is_some_and(|conn| conn.pushed);
        let heard = self.redis.heard.iter().filter(|heard| heard.0 == number);
        let faulty = |session: u32| {
            let mut peers = self.peers.iter();
            peers.any(|peer| peer.client.number == session && peer.client.faulty)
        };
        pushed || heard.into_iter().any(|heard| faulty(heard.1))
    }

    /// Sends an unexpected reply over a link.
    pub(super) fn send_unexpected_reply(&mut self, index: usize) {
        let Wire { id, number, connected, .. } = self.wires[index];
        let idle = connected
            && !self.may_be_faulty(number)
            && self.redis.conns.get(&number).is_some_and(Conn::is_silent)
            && self.router.link_output(id).is_empty()
            && self.router.link_is_ready(id);
        if !idle {
            return;
        }
        note!(self, "link {number} brings what nothing expects");
        let outcome = self.router.link_bytes(id, b"+nobody asked\r\n", self.now);
        match outcome {
            Err(LinkFault::Unexpected(_)) => {
                assert!(self.router.link_is_closed(id));
                self.excuse(number);
            }
            Err(fault) => panic!("link {number}: {fault}"),
            // The reply is dropped if the lease's session has received its last reply. Behind a barrier
            // it ends the session that has sent last, and only that. A link from the pool belonged to
            // other sessions before.
            Ok(()) => {
                let heard: Vec<_> =
                    self.redis.heard.iter().filter(|(link, _)| *link == number).copied().collect();
                let router = &self.router;
                let peers = self.peers.iter_mut().filter(|peer| !peer.seen.over);
                let mut ended: Vec<_> = peers.filter(|peer| router.is_finished(peer.id)).collect();
                assert!(ended.len() <= 1, "it has ended {} sessions", ended.len());
                for peer in &mut ended {
                    assert!(heard.contains(&(number, peer.client.number)));
                    peer.client.faulty = true;
                }
                let is_ended = !ended.is_empty();
                // A session that was over already may get an event nevertheless.
                for peer in self.peers.iter_mut().filter(|peer| peer.seen.over) {
                    peer.client.faulty |= heard.contains(&(number, peer.client.number));
                }
                let lively = heard.iter().filter(|(_, session)| {
                    let mut peers = self.peers.iter();
                    let peer = peers.find(|peer| peer.client.number == *session);
                    peer.is_some_and(|peer| {
                        !peer.seen.over && !peer.client.said_last && !peer.client.lost_scripts
                    })
                });
                assert!(
                    is_ended || lively.count() < heard.len() || heard.is_empty(),
                    "link {number} brought what nothing expects"
                );
            }
        }
        self.count("unexpected reply");
        self.after_call(About::Link(id));
    }
}
