//! The actions of clients.

use super::super::client::shorten;
use super::{About, Schedule, note};

impl Schedule {
    pub(super) fn speak(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        for _ in 0..1 + self.rng.below(4) {
            if peer.client.said_last || peer.eof.is_some() || peer.client.to_send.len() > 1 << 20 {
                return;
            }
            let said = peer.client.speak(&mut self.rng);
            note!(self, "session {} says {said}", peer.client.number);
            let bad = u64::from(said.starts_with("(bad line end)"));
            *self.event_counts.entry("bad line end").or_default() += bad;
        }
    }

    /// Delivers a part of what the client has sent.
    pub(super) fn send(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let id = peer.id;
        if peer.left || peer.seen.over {
            return;
        }
        if self.router.waits_for_turn(id) {
            note!(self, "session {} has one more turn", peer.client.number);
            self.router.take_turn(id, self.now);
            self.count("turn");
            self.after_call(About::Session(id));
            return;
        }
        if peer.client.to_send.is_empty() {
            return;
        }
        if !self.router.wants_read(id) {
            self.count("client paused");
            return;
        }
        let len = self.rng.segment(peer.client.to_send.len());
        let segment: Vec<u8> = peer.client.to_send.drain(..len).collect();
        peer.active = self.now;
        note!(self, "session {} <- {}", peer.client.number, shorten(&segment));
        self.router.client_bytes(id, &segment, self.now);
        self.after_call(About::Session(id));
    }

    pub(super) fn read_if_quick(&mut self, index: usize) {
        if !self.peers[index].slow || self.rng.one_in(20) {
            self.read_by_client(index);
        }
    }

    /// Delivers a part of what waits for the client.
    pub(super) fn read_by_client(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let output = self.router.output(peer.id);
        if output.is_empty() || peer.left || peer.seen.over {
            return;
        }
        let len = self.rng.segment(output.len());
        let bytes = output[..len].to_vec();
        peer.active = self.now;
        note!(self, "session {} -> {}", peer.client.number, shorten(&bytes));
        peer.client.receive(&bytes);
        let id = peer.id;
        self.router.output_written(id, len, self.now);
        self.after_call(About::Session(id));
    }

    pub(super) fn leave(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        if peer.left {
            return;
        }
        peer.left = true;
        let id = peer.id;
        note!(self, "session {} is broken off", peer.client.number);
        self.router.client_lost(id);
        self.count("left");
        self.after_call(About::Session(id));
    }

    pub(super) fn half_close(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let id = peer.id;
        let ready = peer.client.to_send.is_empty() && peer.eof.is_none() && !peer.left;
        if !ready || !self.router.wants_read(id) {
            return;
        }
        peer.eof = Some(peer.client.waits_for_a_pop());
        peer.client.said_last = true;
        note!(self, "session {} sends no more", peer.client.number);
        self.router.client_eof(id, self.now);
        self.count("half-closed");
        self.after_call(About::Session(id));
    }
}
