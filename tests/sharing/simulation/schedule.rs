//! One schedule: sessions, links and time in a random order, and the checks after each step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::auth::Identity;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::router::{LinkId, Router, SessionId, Sharing, Timeouts};
use redoubt_core::session::{Limits, Rulebook, Rules, StandIn};
use redoubt_core::upstream::{Credentials, LinkCredentials};

use super::client::{CLIENT_PASSWORD, Client};
use super::limits::limits;
use super::model::{Redis, Side};
use super::server::Server;
use support::rng::Rng;

mod checks;
mod clients;
mod upstream;

pub(crate) use checks::must_happen;

macro_rules! note {
    ($self:ident, $($text:tt)*) => {
        if let Some(trace) = &mut $self.trace {
            trace.push(format!($($text)*));
        }
    };
}
use note;

const UPSTREAM_PASSWORD: &str = "the upstream's password";
const TIMEOUTS: Timeouts =
    Timeouts { auth: Duration::from_secs(10), idle: Duration::from_secs(60) };
const STEPS: usize = 260;
const MAX_SESSIONS: usize = 5;

/// Returns the credentials of links; the user is the same whether it is named or not.
fn credentials(user: Option<&str>) -> Credentials {
    let password = Some(UPSTREAM_PASSWORD.to_owned().into());
    Credentials { user: user.map(str::to_owned), password }
}

/// The state that the program reacts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Observed {
    output: bool,
    wants_read: bool,
    over: bool,
}

impl Observed {
    /// Returns true if there is work now that there was not before.
    fn news(self, before: Self) -> bool {
        (self.output && !before.output)
            || (self.wants_read && !before.wants_read)
            || (self.over && !before.over)
    }
}

struct Peer {
    id: SessionId,
    client: Client,
    seen: Observed,
    /// True if the client reads slowly.
    slow: bool,
    opened: Instant,
    active: Instant,
    /// Present if the client has closed its sending side; true if a blocking pop was pending then.
    eof: Option<bool>,
    /// True if the client has reset its connection.
    left: bool,
    /// True if a link that it may have used is closed, so that expected bytes may be missing.
    excused: bool,
    /// True if a link that owed it a reply is closed, so that it must end.
    doomed: bool,
}

struct Wire {
    id: LinkId,
    number: u32,
    connected: bool,
    seen: Observed,
}

/// The subject of a call, which the program looks at in any case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    Session(SessionId),
    Link(LinkId),
}

pub(crate) struct Schedule {
    rng: Rng,
    router: Router,
    redis: Redis,
    now: Instant,
    peers: Vec<Peer>,
    wires: Vec<Wire>,
    sessions: u32,
    links: u32,
    published: u32,
    heavy: bool,
    draining: bool,
    limits: Limits,
    /// Most bytes that may wait for one client.
    max_output: usize,
    server: Server,
    /// How often anything moved.
    moves: u64,
    /// The link that the present call is about to end.
    broken: Option<u32>,
    pub(crate) trace: Option<Vec<String>>,
    /// How often each event happened.
    pub(crate) event_counts: BTreeMap<&'static str, u64>,
}

impl Schedule {
    pub(crate) fn new(seed: u64, start: Instant, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let heavy = rng.one_in(25);
        let server = Server::choose(&mut rng);
        let dialect = server.dialect();
        let mut limits = limits(&mut rng, heavy);
        limits.request.crlf = dialect.checks_line_ends;
        let policy = Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Deny).unwrap();
        let identity = Identity::new(None, &CLIENT_PASSWORD.to_owned().into());
        let stand_in = StandIn::new(None, Some(UPSTREAM_PASSWORD.as_bytes()), seed);
        let rules = Rules {
            upstream_version: server.reported(),
            dialect,
            auth_attempts: u32::MAX,
            limits,
            ..Rules::new(policy, identity.into(), stand_in)
        };
        let credentials = LinkCredentials::of_one(credentials(None));
        let redis = Redis::new(Side::Upstream, server, UPSTREAM_PASSWORD, CLIENT_PASSWORD);
        let sharing = match rng.one_in(4) {
            true => Sharing::Off,
            false => Sharing::Auto,
        };
        Self {
            rng,
            router: Router::new(
                Arc::new(Rulebook::of_one(Arc::new(rules))),
                TIMEOUTS,
                credentials,
                sharing,
                [7; 32],
            ),
            redis,
            now: start,
            peers: Vec::new(),
            wires: Vec::new(),
            sessions: 0,
            links: 0,
            published: 0,
            heavy,
            limits,
            max_output: checks::max_output(sharing),
            draining: false,
            server,
            moves: 0,
            broken: None,
            trace: traced.then(Vec::new),
            event_counts: BTreeMap::from([(server.title, 1)]),
        }
    }

    /// Runs the schedule. Panics if a check fails.
    pub(crate) fn run(&mut self) {
        for _ in 0..if self.heavy { 3 * STEPS } else { STEPS } {
            self.step();
        }
        self.finish();
    }

    fn count(&mut self, what: &'static str) {
        *self.event_counts.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=4 => self.open_session(),
            5..=24 => self.with_peer(Self::speak),
            25..=44 => self.with_peer(Self::send),
            45..=59 => self.with_peer(Self::read_if_quick),
            60..=64 => self.with_wire(Self::connect),
            65..=79 => self.with_wire(Self::write_to_redis),
            80..=90 => self.with_wire(Self::read_from_redis),
            91 | 92 => self.unblock(),
            93..=95 => self.publish(),
            96 => self.tick(),
            97 => match self.rng.below(5) {
                0 => self.with_peer(Self::leave),
                1 => self.with_peer(Self::half_close),
                _ => {}
            },
            98 => match self.rng.below(8) {
                3 | 4 => self.with_wire(Self::push),
                0 => self.with_wire(Self::lose),
                1 => self.with_wire(Self::send_unexpected_reply),
                2 => self.rotate(),
                _ => {}
            },
            _ => self.close_finished(),
        }
    }

    fn with_peer(&mut self, act: impl FnOnce(&mut Self, usize)) {
        if !self.peers.is_empty() {
            let index = self.rng.below(self.peers.len());
            act(self, index);
        }
    }

    fn with_wire(&mut self, act: impl FnOnce(&mut Self, usize)) {
        if !self.wires.is_empty() {
            let index = self.rng.below(self.wires.len());
            act(self, index);
        }
    }

    fn open_session(&mut self) {
        if self.peers.len() >= MAX_SESSIONS || self.draining {
            return;
        }
        self.sessions += 1;
        let id = self.router.open(self.now);
        let slow = self.rng.one_in(if self.heavy { 2 } else { 6 });
        note!(self, "session {} opens", self.sessions);
        self.peers.push(Peer {
            id,
            client: Client::new(self.sessions, self.heavy, self.server),
            seen: Observed::default(),
            slow,
            opened: self.now,
            active: self.now,
            eof: None,
            left: false,
            excused: false,
            doomed: false,
        });
        self.after_call(About::Session(id));
    }

    fn tick(&mut self) {
        let step = match self.rng.below(40) {
            0 => 61_000,
            1 => 11_000,
            _ => self.rng.below(700),
        };
        self.now += Duration::from_millis(step.try_into().unwrap());
        note!(self, "{step} ms pass");
        self.router.tick(self.now);
        self.after_call(About::Nothing);
    }

    /// Makes links log in again.
    fn rotate(&mut self) {
        note!(self, "links log in anew");
        let user = self.rng.one_in(2).then_some("default");
        self.router.rotate_credentials(LinkCredentials::of_one(credentials(user)), self.now);
        self.count("rotated");
        self.after_call(About::Nothing);
    }
}
