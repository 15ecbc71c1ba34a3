//! The worker's links and who uses them; and the half of the exchange that faces upstream.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;
use slotmap::SlotMap;

use super::session::Session;
use super::{Exchange, LinkId, SessionId};
use crate::session::{CloseReason, Receiver, Unexpected};
use crate::upstream::{Credentials, Link, LoginError, Phase};

/// Why a link was given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// It was not let in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It brought what nothing expects.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// A link lent to one session.
struct Lease {
    link: Link,
    owner: SessionId,
    receiver: Receiver,
    touched: bool,
}

/// All links of a worker.
pub(super) struct Links {
    credentials: Credentials,
    leases: SlotMap<slotmap::DefaultKey, Lease>,
    to_open: VecDeque<LinkId>,
    /// Links with something new to write, or closed.
    touched: VecDeque<LinkId>,
}

impl Links {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            leases: SlotMap::new(),
            to_open: VecDeque::new(),
            touched: VecDeque::new(),
        }
    }

    /// A new link for `owner`; requests may be added at once.
    pub(super) fn open(&mut self, owner: SessionId) -> LinkId {
        let id = LinkId(self.leases.insert(Lease {
            link: Link::new(&self.credentials),
            owner,
            receiver: Receiver::default(),
            touched: false,
        }));
        self.to_open.push_back(id);
        id
    }

    /// Where requests for the link are added.
    pub(super) fn requests(&mut self, id: LinkId) -> Option<&mut BytesMut> {
        self.touch(id);
        self.leases.get_mut(id.0).map(|lease| lease.link.requests())
    }

    pub(super) fn is_full(&self, id: LinkId) -> bool {
        self.leases.get(id.0).is_some_and(|lease| lease.link.is_full())
    }

    /// Closes a link. Its session must have let go of it.
    pub(super) fn close(&mut self, id: LinkId) {
        if let Some(lease) = self.leases.get_mut(id.0) {
            lease.link.close();
        }
        self.touch(id);
    }

    /// Has the link's driver look at it again.
    pub(super) fn touch(&mut self, id: LinkId) {
        if let Some(lease) = self.leases.get_mut(id.0)
            && !lease.touched
        {
            lease.touched = true;
            self.touched.push_back(id);
        }
    }
}

/// The half that faces upstream.
impl Exchange {
    /// A link that the shell is to connect.
    pub fn next_link_to_open(&mut self) -> Option<LinkId> {
        self.links.to_open.pop_front()
    }

    /// A link that has something new to write, or is closed.
    pub fn next_touched_link(&mut self) -> Option<LinkId> {
        let id = self.links.touched.pop_front()?;
        if let Some(lease) = self.links.leases.get_mut(id.0) {
            lease.touched = false;
        }
        Some(id)
    }

    /// How many links there are.
    pub fn link_count(&self) -> usize {
        self.links.leases.len()
    }

    /// The link's socket is connected.
    pub fn link_connected(&mut self, id: LinkId) {
        if let Some(lease) = self.links.leases.get_mut(id.0) {
            lease.link.connected();
        }
    }

    /// The link has no more use: close its socket and call [`Exchange::forget_link`].
    pub fn link_is_closed(&self, id: LinkId) -> bool {
        self.links.leases.get(id.0).is_none_or(|lease| lease.link.phase() == Phase::Closed)
    }

    /// Whether the link is logged in.
    pub fn link_is_ready(&self, id: LinkId) -> bool {
        self.links.leases.get(id.0).is_some_and(|lease| lease.link.phase() == Phase::Ready)
    }

    /// Whether the link is to be read: not while its session's client is slow to read.
    pub fn link_wants_read(&self, id: LinkId) -> bool {
        let Some(lease) = self.links.leases.get(id.0) else { return false };
        match self.sessions.get(lease.owner.0) {
            Some(session) => session.output.len() < Session::LINK_PAUSE,
            None => false,
        }
    }

    /// What is to be written to the link now.
    pub fn link_output(&self, id: LinkId) -> &[u8] {
        self.links.leases.get(id.0).map_or(&[], |lease| lease.link.output())
    }

    /// The first `len` bytes of [`Exchange::link_output`] have been written.
    pub fn link_wrote(&mut self, id: LinkId, len: usize, now: Instant) {
        let Some(lease) = self.links.leases.get_mut(id.0) else { return };
        let was_full = lease.link.is_full();
        lease.link.wrote(len);
        if was_full && !lease.link.is_full() {
            let owner = lease.owner;
            self.resume(owner, now);
        }
    }

    /// Takes bytes of the link in.
    ///
    /// # Errors
    /// [`LinkFault`]: the link is closed, and the session that used it ends.
    pub fn link_bytes(&mut self, id: LinkId, input: &[u8], now: Instant) -> Result<(), LinkFault> {
        let Some(lease) = self.links.leases.get_mut(id.0) else { return Ok(()) };
        let owner = lease.owner;
        let outcome = match lease.link.phase() {
            Phase::LoggingIn => lease.link.log_in(input).map_err(LinkFault::from),
            Phase::Ready => match self.sessions.get_mut(owner.0) {
                Some(session) => {
                    let Session { state, due, output, .. } = session;
                    lease.receiver.receive(input, state, due, output).map_err(LinkFault::from)
                }
                None => Ok(()),
            },
            Phase::Connecting | Phase::Closed => Ok(()),
        };
        match &outcome {
            Ok(()) => self.resume(owner, now),
            Err(LinkFault::Login(_)) => self.drop_link(id, CloseReason::UpstreamUnavailable),
            Err(LinkFault::Unexpected(_)) => self.drop_link(id, CloseReason::UpstreamLost),
        }
        self.touch(owner);
        outcome
    }

    /// The link could not be connected.
    pub fn link_failed(&mut self, id: LinkId) {
        self.drop_link(id, CloseReason::UpstreamUnavailable);
    }

    /// The link's connection ended or broke.
    pub fn link_lost(&mut self, id: LinkId) {
        let reason = match self.links.leases.get(id.0).map(|lease| lease.link.phase()) {
            Some(Phase::Ready) => CloseReason::UpstreamLost,
            _ => CloseReason::UpstreamUnavailable,
        };
        self.drop_link(id, reason);
    }

    /// The link's socket is closed.
    pub fn forget_link(&mut self, id: LinkId) {
        self.links.leases.remove(id.0);
    }

    /// Closes a link and ends the session that used it: what Redis has answered still goes out, and
    /// nothing else is due.
    fn drop_link(&mut self, id: LinkId, reason: CloseReason) {
        let Some(lease) = self.links.leases.get(id.0) else { return };
        let owner = lease.owner;
        self.links.close(id);
        if let Some(session) = self.sessions.get_mut(owner.0)
            && session.link == Some(id)
        {
            session.link = None;
            session.due = Default::default();
            session.end(reason);
        }
        self.touch(owner);
    }
}
