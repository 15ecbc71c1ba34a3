//! The checks after each step of a schedule, and at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use redoubt_core::router::{SessionEvent, Sharing};
use redoubt_core::session::{CloseReason, Event};

use super::super::model::Conn;
use super::super::server::SERVERS;
use super::{About, Observed, Peer, Schedule, Wire, note};

const AUTH_TIMEOUT: Duration = super::TIMEOUTS.auth;
const IDLE_TIMEOUT: Duration = super::TIMEOUTS.idle;
/// The interval at which the program checks time limits, and how many such checks may pass until
/// everything is idle.
const TICK: Duration = Duration::from_millis(200);
/// How long the right password waits for a link.
const UPSTREAM_WAIT: Duration = Duration::from_secs(4);
const MAX_TICKS: usize = 1000;
const LINGER: Duration = Duration::from_secs(30);
/// Most bytes that may wait for a client with a lease. The lease is read until 256 KiB wait, 64 KiB at
/// a time; Redoubt's own replies, here a few KiB, come on top.
const MAX_OUTPUT: usize = (256 + 64 + 64) << 10;
/// Most bytes that may wait for a client on shared links: a session is closed beyond it.
const MAX_SHARED_OUTPUT: usize = (32 << 20) + (64 << 10);
/// Most bytes that may wait for one link: requests are taken until 256 KiB wait, one request of at most
/// 64 KiB, or one piece of a larger request (buffered and new bytes, 64 KiB each), at a time.
const MAX_LINK_OUTPUT: usize = (256 + 128 + 64) << 10;

pub(super) fn max_output(sharing: Sharing) -> usize {
    match sharing {
        Sharing::Off => MAX_OUTPUT,
        Sharing::Auto => MAX_SHARED_OUTPUT,
    }
}

impl Schedule {
    /// Marks link `number` as closed. Sessions with pending replies on it must end, and other sessions
    /// that have used it may; the following call shows which.
    pub(super) fn excuse(&mut self, number: u32) {
        let owed = self.redis.conns.get(&number).map(Conn::sessions_owed);
        let owed = owed.unwrap_or_default();
        for peer in &mut self.peers {
            peer.doomed |= owed.contains(&peer.client.number) && !peer.seen.over;
        }
        self.redis.conns.remove(&number);
        self.broken = Some(number);
    }

    /// Returns true if a session may have used link `number`: its requests arrived there, or no
    /// requests did. A waiting session may have sent a request there that has not arrived yet.
    fn may_have_used(&self, number: u32, session: u32) -> bool {
        let mut heard = self.redis.heard.iter().filter(|heard| heard.0 == number).peekable();
        heard.peek().is_none() || heard.any(|heard| heard.1 == session)
    }

    /// Closes sockets of finished sessions and links.
    pub(super) fn close_finished(&mut self) {
        for index in (0..self.peers.len()).rev() {
            if self.router.is_finished(self.peers[index].id) {
                let peer = self.peers.remove(index);
                note!(self, "session {} is closed", peer.client.number);
                self.router.forget(peer.id, self.now);
                let reason = self.after_call(About::Session(peer.id));
                self.judge(&peer, reason.expect("an event tells that the session is closed"));
            }
        }
        for index in (0..self.wires.len()).rev() {
            let id = self.wires[index].id;
            if self.router.link_is_closed(id) {
                let wire = self.wires.remove(index);
                note!(self, "link {} is closed", wire.number);
                self.redis.conns.remove(&wire.number);
                self.router.forget_link(id);
                self.after_call(About::Link(id));
            }
        }
    }

    /// Checks that a session could end for this reason.
    fn judge(&mut self, peer: &Peer, reason: CloseReason) {
        let number = peer.client.number;
        let silent = self.now - peer.active;
        let complete = peer.client.has_all();
        // No value is popped for a client that has left, so the session does not wait for it.
        let cut = peer.excused || peer.left || peer.eof == Some(true) || silent >= LINGER;
        let whole = complete || cut || peer.client.faulty;
        let fits = match reason {
            // It may send anything, and its replies are unknown.
            _ if peer.client.faulty => true,
            CloseReason::Client if peer.left => true,
            CloseReason::Client => peer.eof.is_some() && (cut || peer.client.has_all_replies()),
            CloseReason::Quit | CloseReason::Protocol => peer.client.said_last && whole,
            // It has waited for a link since it sent the right password.
            CloseReason::UpstreamUnavailable if silent >= UPSTREAM_WAIT => true,
            CloseReason::UpstreamLost | CloseReason::UpstreamUnavailable => peer.excused,
            CloseReason::ScriptsLost => peer.client.lost_scripts,
            CloseReason::AuthTimeout => self.now - peer.opened >= AUTH_TIMEOUT,
            CloseReason::Idle => silent >= IDLE_TIMEOUT,
            CloseReason::Shutdown => self.draining,
            CloseReason::Subscriptions => self.listens_too_much(peer),
            _ => false,
        };
        assert!(fits, "session {number} ended with {reason}; {}", peer.client.awaited());
        self.count(reason.as_str());
    }

    fn listens_too_much(&self, peer: &Peer) -> bool {
        peer.client.most_subscribed > self.limits.subscriptions as usize
    }

    /// Does what the program does after each call, and checks the invariants. Returns why the session
    /// of the call was closed, if it was.
    pub(super) fn after_call(&mut self, about: About) -> Option<CloseReason> {
        self.moves += 1;
        let mut touched: Vec<About> = vec![about];
        while let Some(id) = self.router.next_link_to_open() {
            self.links += 1;
            let number = self.links;
            note!(self, "link {number} is to be opened");
            self.wires.push(Wire { id, number, connected: false, seen: Observed::default() });
        }
        while let Some(id) = self.router.next_touched() {
            touched.push(About::Session(id));
        }
        while let Some(id) = self.router.next_touched_link() {
            touched.push(About::Link(id));
        }
        if let Some(number) = self.broken.take() {
            for index in 0..self.peers.len() {
                let peer = &self.peers[index];
                if touched.contains(&About::Session(peer.id))
                    && (self.may_have_used(number, peer.client.number)
                        || !peer.client.has_all()
                        || peer.client.hid_replies)
                {
                    self.peers[index].excused = true;
                }
            }
        }
        let mut closed = None;
        while let Some(SessionEvent { session, event, .. }) = self.router.next_event() {
            if let Event::Closed { reason, .. } = event {
                assert!(about == About::Session(session));
                closed = Some(reason);
            }
        }
        let is_linked = self.wires.iter().any(|wire| self.router.link_is_ready(wire.id));
        for peer in &mut self.peers {
            peer.client.lost_scripts |= peer.client.sent_scripts && !is_linked;
            let output = self.router.output(peer.id).len();
            assert!(
                output <= self.max_output,
                "{output} bytes wait for session {}",
                peer.client.number
            );
            let over = self.router.is_finished(peer.id);
            let wants_read = !over && self.router.wants_read(peer.id);
            let seen = Observed { output: output > 0, wants_read, over };
            let reported = touched.contains(&About::Session(peer.id));
            assert!(reported || !seen.news(peer.seen), "session {} not woken", peer.client.number);
            peer.seen = seen;
        }
        for wire in &mut self.wires {
            let output = self.router.link_output(wire.id).len();
            assert!(output <= MAX_LINK_OUTPUT, "{output} bytes wait for link {}", wire.number);
            let over = self.router.link_is_closed(wire.id);
            let wants_read = !over && self.router.link_wants_read(wire.id, self.now);
            let seen = Observed { output: output > 0, wants_read, over };
            let reported = touched.contains(&About::Link(wire.id));
            assert!(reported || !seen.news(wire.seen), "link {} not woken", wire.number);
            wire.seen = seen;
        }
        closed
    }

    /// Runs until everything is idle, then ends it, and checks that nothing is left.
    pub(super) fn finish(&mut self) {
        if self.rng.one_in(4) {
            note!(self, "drains");
            self.draining = true;
            self.router.drain();
            self.after_call(About::Nothing);
        }
        self.rest();
        self.end_faulty_sessions();
        for peer in &self.peers {
            let number = peer.client.number;
            assert!(!peer.doomed, "session {number} outlives a link that owed it a reply");
            assert!(!self.draining, "session {number} outlives the drain");
            assert!(peer.client.has_all(), "session {number}: {}", peer.client.awaited());
            assert!(peer.client.to_send.is_empty(), "session {number} is not read");
            assert!(!self.listens_too_much(peer), "session {number} listens too much");
        }
        for index in 0..self.peers.len() {
            match self.rng.below(3) {
                0 => self.leave(index),
                1 => self.half_close(index),
                _ => {}
            }
        }
        note!(self, "drains");
        self.draining = true;
        self.router.drain();
        self.after_call(About::Nothing);
        self.rest();
        // Links that wait for other sessions may live on for a while.
        self.now += Duration::from_secs(24 * 60 * 60);
        self.router.tick(self.now);
        self.after_call(About::Nothing);
        self.rest();
        assert!(self.router.is_empty(), "{} sessions are left", self.router.len());
        assert_eq!(self.router.link_count(), 0, "links are left");
        let pauses = self.router.pauses();
        *self.event_counts.entry("too many in flight").or_default() += pauses.in_flight;
        *self.event_counts.entry("too fast").or_default() += pauses.rate;
    }

    /// Ends the sessions that the upstream may never answer.
    fn end_faulty_sessions(&mut self) {
        for index in 0..self.peers.len() {
            if self.peers[index].client.faulty {
                self.leave(index);
            }
        }
        self.rest();
    }

    /// Continues until nothing more happens, however long that takes.
    fn rest(&mut self) {
        for _ in 0..MAX_TICKS {
            self.run_until_idle();
            let paused = |peer: &Peer| !peer.seen.over && !self.router.wants_read(peer.id);
            // It has sent the right password, and waits for a link.
            let waits = |peer: &Peer| {
                let view = self.router.view(peer.id, self.now);
                paused(peer) && view.is_some_and(|view| view.user.is_none())
            };
            let paces = self.limits.rate.is_some() && self.peers.iter().any(paused);
            if !paces && !self.peers.iter().any(waits) {
                break;
            }
            self.now += TICK;
            self.router.tick(self.now);
            self.after_call(About::Nothing);
        }
    }

    /// Continues until nothing more happens at this time.
    fn run_until_idle(&mut self) {
        loop {
            let before = self.moves;
            for index in 0..self.peers.len() {
                self.send(index);
                self.read_by_client(index);
            }
            for index in 0..self.wires.len() {
                self.connect(index);
                self.write_to_redis(index);
                self.read_from_redis(index);
            }
            self.unblock();
            self.close_finished();
            if self.moves == before {
                break;
            }
        }
    }
}

/// Returns the events that a run of many schedules must include; otherwise it tests less than it
/// claims.
pub(crate) fn must_happen() -> BTreeSet<&'static str> {
    let versions = SERVERS.iter().map(|server| server.title);
    let events = [
        "client paused",
        "link paused",
        "link refused",
        "login refused",
        "link lost",
        "unexpected reply",
        "rotated",
        "unblocked",
        "published",
        "left",
        "half-closed",
        "client_closed",
        "quit",
        "protocol_error",
        "upstream_lost",
        "upstream_unavailable",
        "auth_timeout",
        "idle",
        "shutdown",
        "subscriptions",
        "reply_mismatch",
        "faulty link",
        "pushed",
        "turn",
        "too many in flight",
        "too fast",
        "bad line end",
    ];
    versions.chain(events).collect()
}
