//! A router without sockets: the test plays the clients and Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::auth::Identity;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::router::{
    LinkBudget, LinkId, MemoryBudget, Router, SessionId, Sharing, Timeouts,
};
use redoubt_core::session::{CloseReason, Event, Rulebook, Rules, StandIn};
use redoubt_core::upstream::{Credentials, Dialect, LinkCredentials};

pub const CLIENT_PASSWORD: &str = "the password that clients have to say";
pub const UPSTREAM_PASSWORD: &str = "what links log in with";
pub const AUTH_ATTEMPTS: u32 = 10;
pub const TIMEOUTS: Timeouts =
    Timeouts { auth: Duration::from_secs(10), idle: Duration::from_secs(60) };

pub struct Bench {
    pub router: Router,
    pub now: Instant,
    sessions: Vec<SessionId>,
}

/// Returns `words` as a request.
pub fn request(words: &[&str]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    redoubt_core::resp::encode_command(words.iter().map(|word| word.as_bytes()), &mut out);
    out.to_vec()
}

/// Compares as text, so that a difference is readable.
#[track_caller]
pub fn assert_bytes(left: &[u8], right: &[u8]) {
    assert_eq!(left.escape_ascii().to_string(), right.escape_ascii().to_string());
}

impl Bench {
    /// Creates a router in which every session has a lease.
    pub fn new() -> Self {
        Self::with(Sharing::Off)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the instant is only a start of measurement; no code waits for it"
    )]
    pub fn with(sharing: Sharing) -> Self {
        let policy = Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Allow).unwrap();
        let identity = Identity::new(None, &CLIENT_PASSWORD.to_owned().into());
        let stand_in = StandIn::new(None, Some(UPSTREAM_PASSWORD.as_bytes()), 7);
        let rules = Rules {
            dialect: Dialect::REDIS_7_0,
            auth_attempts: AUTH_ATTEMPTS,
            ..Rules::new(policy, identity.into(), stand_in)
        };
        let credentials =
            Credentials { user: None, password: Some(UPSTREAM_PASSWORD.to_owned().into()) };
        let router = Router::new(
            Arc::new(Rulebook::of_one(Arc::new(rules))),
            TIMEOUTS,
            LinkCredentials::of_one(credentials),
            sharing,
            [7; 32],
        );
        Self { router, now: Instant::now(), sessions: Vec::new() }
    }

    /// Counts links in `budget`.
    pub fn counting_links(self, budget: &LinkBudget) -> Self {
        Self { router: self.router.counting_links(budget.clone()), ..self }
    }

    /// Counts the memory of sessions in `budget`.
    pub fn counting_memory(self, budget: &MemoryBudget) -> Self {
        Self { router: self.router.counting_memory(budget), ..self }
    }

    pub fn open(&mut self) -> SessionId {
        let id = self.router.open(self.now);
        self.sessions.push(id);
        id
    }

    /// Delivers a client's bytes, and handles them in as many turns as needed.
    pub fn say(&mut self, id: SessionId, bytes: &[u8]) {
        self.router.client_bytes(id, bytes, self.now);
        self.take_turns(id);
    }

    /// Gives a session as many turns as it wants.
    pub fn take_turns(&mut self, id: SessionId) {
        while self.router.waits_for_turn(id) {
            self.router.take_turn(id, self.now);
        }
    }

    fn take_all_turns(&mut self) {
        for index in 0..self.sessions.len() {
            self.take_turns(self.sessions[index]);
        }
    }

    /// Takes all bytes that wait for the client.
    pub fn read(&mut self, id: SessionId) -> Vec<u8> {
        let output = self.router.output(id).to_vec();
        self.router.output_written(id, output.len(), self.now);
        self.take_turns(id);
        output
    }

    /// Returns a session that has logged in.
    pub fn authenticated(&mut self) -> SessionId {
        let id = self.open();
        self.say(id, &request(&["AUTH", CLIENT_PASSWORD]));
        assert_bytes(&self.read(id), b"+OK\r\n");
        id
    }

    /// Opens, connects and logs in the requested link; waiting requests stay in its buffer.
    pub fn link(&mut self) -> LinkId {
        let link = self.router.next_link_to_open().expect("a link to open");
        self.router.link_connected(link, self.now);
        assert_bytes(&self.sent(link), &request(&["AUTH", UPSTREAM_PASSWORD]));
        self.reply(link, b"+OK\r\n");
        assert!(self.router.link_is_ready(link));
        link
    }

    /// Returns a session that has logged in and sent a request, and its link.
    pub fn session_with_link(&mut self) -> (SessionId, LinkId) {
        let id = self.authenticated();
        self.say(id, b"PING first\r\n");
        let link = self.link();
        assert_bytes(&self.sent(link), &request(&["PING", "first"]));
        self.reply(link, b"$5\r\nfirst\r\n");
        assert_bytes(&self.read(id), b"$5\r\nfirst\r\n");
        (id, link)
    }

    /// Takes all bytes that wait for the link.
    pub fn sent(&mut self, link: LinkId) -> Vec<u8> {
        let mut sent = Vec::new();
        while !self.router.link_output(link).is_empty() {
            let output = self.router.link_output(link).to_vec();
            self.router.link_output_written(link, output.len(), self.now);
            sent.extend(output);
            self.take_all_turns();
        }
        sent
    }

    /// Delivers expected bytes of a link.
    #[track_caller]
    pub fn reply(&mut self, link: LinkId, bytes: &[u8]) {
        self.router.link_bytes(link, bytes, self.now).expect("an expected reply");
        self.take_all_turns();
    }

    /// Forwards one request and delivers its reply.
    #[track_caller]
    pub fn answer(&mut self, id: SessionId, link: LinkId, request: &[u8], reply: &[u8]) {
        self.say(id, request);
        assert!(!self.sent(link).is_empty());
        self.reply(link, reply);
        assert_bytes(&self.read(id), reply);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.router.tick(self.now);
        self.take_all_turns();
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.next_event()).map(|told| told.event).collect()
    }

    /// Closes the socket of a session that is over. Returns why it ended.
    #[track_caller]
    pub fn close(&mut self, id: SessionId) -> CloseReason {
        assert!(self.router.is_finished(id), "the session is not over");
        self.router.forget(id, self.now);
        match self.events().pop() {
            Some(Event::Closed { reason, .. }) => reason,
            other => panic!("not closed: {other:?}"),
        }
    }
}
