//! Checks of a whole router between clients and a small model of Redis.
//!
//! The first byte selects the world: if links are shared, and if the clients log in. The following
//! bytes are what client `a` sends. Byte 0xfe stands for a successful `AUTH`; 0xff and one more byte
//! stand for another event (see `World::act`).
//!
//! The properties: nothing panics, the router becomes idle, no byte of an unauthenticated client opens
//! a link, buffers are no larger than the input, and a witness client gets each of its replies and
//! nothing else.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redoubt_core::auth::Identity;
use redoubt_core::command::Version;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::resp::encode_command;
use redoubt_core::router::{LinkBudget, LinkId, Router, SessionId, Sharing, Timeouts};
use redoubt_core::session::{KeyForm, Rulebook, Rules, StandIn};
use redoubt_core::upstream::{Credentials, Dialect, LinkCredentials};

mod model;
mod upstream;

use model::Model;

const CLIENT_PASSWORD: &str = "the password that clients have to say";
const UPSTREAM_PASSWORD: &str = "what links log in with";

/// Most bytes that clients send in one run, so that runs stay short.
const MOST_SAID: usize = 80 << 10;
/// Most segments in which the clients send them.
const MOST_SEGMENTS: usize = 1000;
/// Most bytes of replies of Redoubt's own before it stops reading, and one more reply.
const MOST_LOCAL: usize = (1 << 20) + (4 << 10);
/// Rounds after which a router that is not idle counts as hanging.
const MOST_ROUNDS: usize = 10_000;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let policy = Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Deny).expect("good rules");
    let identity = Identity::new(None, &CLIENT_PASSWORD.to_owned().into());
    let stand_in = StandIn::new(None, Some(UPSTREAM_PASSWORD.as_bytes()), 7);
    Rules {
        upstream_version: Some(Version::new(7, 0, 15)),
        dialect: Dialect::REDIS_7_0,
        keys: KeyForm::Plain,
        ..Rules::new(policy, identity.into(), stand_in)
    }
});
#[allow(
    clippy::disallowed_methods,
    reason = "the instant is only a start of measurement; no code waits for it"
)]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static LOGIN: LazyLock<Vec<u8>> = LazyLock::new(|| encoded(&[b"AUTH", CLIENT_PASSWORD.as_bytes()]));

/// Panics if a property does not hold.
pub fn check(data: &[u8]) {
    let [mode, script @ ..] = data else { return };
    let mut world = World::new(*mode);
    let mut text = Vec::new();
    let mut script = script.iter();
    while let Some(&byte) = script.next() {
        match byte {
            0xff => {
                world.say(&text);
                text.clear();
                let Some(&action) = script.next() else { break };
                world.act(action);
            }
            0xfe if world.logs_in => text.extend_from_slice(&LOGIN),
            0xfe => {}
            other => text.push(other),
        }
    }
    world.say(&text);
    world.finish();
}

fn encoded(args: &[&[u8]]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    encode_command(args.iter().copied(), &mut out);
    out.to_vec()
}

/// A client; it is over when it has no session any more.
#[derive(Default)]
struct Client {
    id: Option<SessionId>,
    eof: bool,
    got: Vec<u8>,
}

struct World {
    router: Router,
    now: Instant,
    logs_in: bool,
    /// The clients `a` and `b`, which the input controls, and the witness.
    clients: [Client; 3],
    current: usize,
    links: Vec<(LinkId, Model)>,
    /// Bytes in a segment of what is sent; 0 sends everything at once.
    segment: usize,
    /// How often the next text is sent.
    repeat: usize,
    said: usize,
    segments: usize,
    /// Bytes that Redis has received.
    heard: usize,
    asked: usize,
    /// Bytes that the witness must have received.
    owed: Vec<u8>,
    /// True if an event has happened that may end any session, or send it bytes that Redis never sends.
    excused: bool,
}

const WITNESS: usize = 2;
/// Most links.
const LINKS: usize = 8;

impl World {
    fn new(mode: u8) -> Self {
        let sharing = match mode & 1 {
            0 => Sharing::Auto,
            _ => Sharing::Off,
        };
        let timeouts = Timeouts { auth: Duration::from_secs(10), idle: Duration::ZERO };
        let credentials =
            Credentials { user: None, password: Some(UPSTREAM_PASSWORD.to_owned().into()) };
        let rules = Arc::new(RULES.clone());
        let mut world = Self {
            router: Router::new(
                Arc::new(Rulebook::of_one(rules)),
                timeouts,
                LinkCredentials::of_one(credentials),
                sharing,
                [7; 32],
            )
            .counting_links(LinkBudget::new(LINKS)),
            now: *START,
            logs_in: mode & 2 != 0,
            clients: Default::default(),
            current: 0,
            links: Vec::new(),
            segment: 0,
            repeat: 1,
            said: 0,
            segments: 0,
            heard: 0,
            asked: 0,
            owed: Vec::new(),
            excused: false,
        };
        for client in 0..world.clients.len() {
            world.current = client;
            world.open();
            if world.logs_in && (client == WITNESS || mode & 4 != 0) {
                world.say(&LOGIN.clone());
                world.read();
                assert_eq!(std::mem::take(&mut world.clients[client].got), b"+OK\r\n");
            }
        }
        world.current = 0;
        world
    }

    /// Performs the event for a byte after 0xff. Bytes without an event change nothing.
    fn act(&mut self, action: u8) {
        match action {
            b'a' => self.current = 0,
            b'b' => self.current = 1,
            b'o' => self.open(),
            b'e' => self.eof(),
            b'q' => self.lost(),
            b'r' => {
                self.read();
            }
            b'w' => self.ask(),
            b'u' => {
                self.upstream(usize::MAX);
            }
            b'p' => {
                self.upstream(7);
            }
            b'1' => self.segment = 1,
            b'7' => self.segment = 7,
            b'0' => self.segment = 0,
            b'm' => self.repeat = 100,
            b'M' => self.repeat = 300,
            b't' => self.pass(Duration::from_millis(200)),
            b'T' => self.pass(Duration::from_secs(11)),
            b'k' => self.lose_link(),
            b'x' => self.garble_link(),
            b'd' => {
                self.excused = true;
                self.router.drain();
            }
            _ => {}
        }
        self.look();
    }

    fn open(&mut self) {
        let client = &mut self.clients[self.current];
        if client.id.is_none() {
            client.id = Some(self.router.open(self.now));
            client.eof = false;
        }
    }

    fn say(&mut self, text: &[u8]) {
        let repeat = std::mem::replace(&mut self.repeat, 1);
        let client = &self.clients[self.current];
        let Some(id) = client.id.filter(|_| !client.eof && !text.is_empty()) else { return };
        let step = if self.segment == 0 { text.len() } else { self.segment };
        for _ in 0..repeat {
            for piece in text.chunks(step) {
                self.said += piece.len();
                self.segments += 1;
                let enough = self.said > MOST_SAID || self.segments > MOST_SEGMENTS;
                if enough || !self.router.wants_read(id) {
                    return;
                }
                self.router.client_bytes(id, piece, self.now);
                while self.router.waits_for_turn(id) {
                    self.router.take_turn(id, self.now);
                }
            }
        }
        self.look();
    }

    fn eof(&mut self) {
        let client = &mut self.clients[self.current];
        if let Some(id) = client.id.filter(|id| !client.eof && self.router.wants_read(*id)) {
            client.eof = true;
            self.router.client_eof(id, self.now);
        }
    }

    fn lost(&mut self) {
        if let Some(id) = self.clients[self.current].id {
            self.router.client_lost(id);
        }
    }

    /// Clients read what waits for them; sessions that are over are removed.
    fn read(&mut self) -> bool {
        let mut moved = false;
        for client in &mut self.clients {
            let Some(id) = client.id else { continue };
            let output = self.router.output(id);
            if !output.is_empty() {
                client.got.extend_from_slice(output);
                let len = output.len();
                self.router.output_written(id, len, self.now);
                moved = true;
            }
            if self.router.is_finished(id) {
                self.router.forget(id, self.now);
                client.id = None;
                moved = true;
            }
        }
        moved
    }

    /// The witness sends a request whose reply no other client gets.
    fn ask(&mut self) {
        let Some(id) = self.clients[WITNESS].id.filter(|_| self.logs_in) else { return };
        if self.router.wants_read(id) {
            self.asked += 1;
            let word = format!("witness {}", self.asked);
            self.router.client_bytes(id, &encoded(&[b"ECHO", word.as_bytes()]), self.now);
            self.owed.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
        }
    }

    fn look(&mut self) {
        while self.router.next_touched().is_some() {}
        while self.router.next_touched_link().is_some() {}
        while self.router.next_event().is_some() {}
        assert!(
            self.logs_in || self.router.link_count() == 0,
            "a link was opened for an unauthenticated client"
        );
        for id in self.clients.iter().filter_map(|client| client.id) {
            let waiting = self.router.output(id).len();
            assert!(waiting <= self.heard + MOST_LOCAL, "{waiting} bytes wait for a client");
        }
    }

    /// Runs until the router is idle, and checks the replies of the witness.
    fn finish(&mut self) {
        self.ask();
        let mut rounds = 0;
        while self.upstream(usize::MAX) | self.read() {
            self.look();
            rounds += 1;
            assert!(rounds < MOST_ROUNDS, "the router does not become idle");
        }
        let witness = &self.clients[WITNESS];
        if self.excused {
            return;
        }
        if self.logs_in {
            assert!(witness.id.is_some(), "the witness was closed");
            assert!(witness.got == self.owed, "the witness got {:?}", witness.got.escape_ascii());
        }
        let idle = |client: &Client| client.id.is_none_or(|id| self.router.wants_read(id));
        assert!(idle(witness), "the witness is not idle");
    }
}
