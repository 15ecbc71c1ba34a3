//! Clients, a router and a Redis, all played in one thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redoubt_core::auth::Identity;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::resp::encode_command;
use redoubt_core::router::{LinkId, Router, SessionId, Sharing, Timeouts};
use redoubt_core::session::{Rulebook, Rules, StandIn};
use redoubt_core::upstream::{Credentials, Dialect, LinkCredentials};

const CLIENT_PASSWORD: &str = "the password that clients have to say";
const UPSTREAM_PASSWORD: &str = "what links log in with";

/// Returns `words` in multibulk form.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    encode_command(words.iter().copied(), &mut out);
    out.to_vec()
}

/// Returns a bulk string of `size` bytes.
pub(crate) fn bulk(size: usize) -> Vec<u8> {
    format!("${size}\r\n{}\r\n", "v".repeat(size)).into_bytes()
}

/// Returns where the numbers of eight digits end.
fn numbers(text: &[u8]) -> Vec<usize> {
    let is_number = |at: &usize| text[at - 8..*at].iter().all(u8::is_ascii_digit);
    (8..=text.len()).filter(is_number).collect()
}

/// Sessions that have logged in and send the same requests, over and over.
pub(crate) struct Conversation {
    router: Router,
    now: Instant,
    sessions: Vec<SessionId>,
    /// The bytes that a session sends in its turn.
    said: Vec<u8>,
    /// Where the numbers of eight digits in these bytes end.
    numbers: Vec<usize>,
    /// Redis's replies to these bytes, repeated for the most sessions that can be pending at a time.
    answers: Vec<u8>,
    answer_len: usize,
}

impl Conversation {
    /// Creates sessions that send `said`, which Redis answers with `answer`. All links are ready.
    pub(crate) fn new(sharing: Sharing, sessions: usize, said: Vec<u8>, answer: &[u8]) -> Self {
        Self::with(false, sharing, sessions, said, answer)
    }

    /// The same, where all that the sessions do is recorded.
    pub(crate) fn observed(sessions: usize, said: Vec<u8>, answer: &[u8]) -> Self {
        Self::with(true, Sharing::Auto, sessions, said, answer)
    }

    #[allow(clippy::disallowed_methods, reason = "a point to count from; nothing waits for it")]
    fn with(
        observes: bool,
        sharing: Sharing,
        sessions: usize,
        said: Vec<u8>,
        answer: &[u8],
    ) -> Self {
        let policy = Policy::compile(&Policy::DEFAULT_BLOCKED, Escapes::Deny).expect("a policy");
        let identity = Identity::new(None, &CLIENT_PASSWORD.to_owned().into());
        let stand_in = StandIn::new(None, Some(UPSTREAM_PASSWORD.as_bytes()), 7);
        let rules = Rules {
            dialect: Dialect::REDIS_7_0,
            observes,
            ..Rules::new(policy, identity.into(), stand_in)
        };
        let timeouts = Timeouts { auth: Duration::from_secs(10), idle: Duration::ZERO };
        let credentials =
            Credentials { user: None, password: Some(UPSTREAM_PASSWORD.to_owned().into()) };
        let mut made = Self {
            router: Router::new(
                Arc::new(Rulebook::of_one(Arc::new(rules))),
                timeouts,
                LinkCredentials::of_one(credentials),
                sharing,
                [7; 32],
            ),
            now: Instant::now(),
            sessions: Vec::new(),
            numbers: numbers(&said),
            said,
            answers: answer.repeat(sessions),
            answer_len: answer.len(),
        };
        for _ in 0..sessions {
            made.log_in();
        }
        // The first turn opens the links, and from the second on every buffer has its final size.
        made.turn();
        made.turn();
        made
    }

    /// Returns the number of sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Makes every session send once, then Redis answer all of them, then the clients read. Returns how
    /// many bytes they read.
    pub(crate) fn turn(&mut self) -> usize {
        for index in 0..self.sessions.len() {
            self.router.client_bytes(self.sessions[index], &self.said, self.now);
        }
        self.open_links();
        while let Some(link) = self.router.next_touched_link() {
            let turns = self.sent(link) / self.said.len();
            let answers = &self.answers[..turns * self.answer_len];
            if answers.is_empty() {
                continue;
            }
            self.router.link_bytes(link, answers, self.now).expect("an expected reply");
            self.prove(link);
        }
        let mut read = 0;
        while let Some(id) = self.router.next_touched() {
            let len = self.router.output(id).len();
            self.router.output_written(id, len, self.now);
            read += len;
        }
        while self.router.next_event().is_some() {}
        assert_eq!(read, self.answers.len(), "a reply is missing");
        read
    }

    /// Makes every session send once, as [`Self::turn`] does, with keys that it has not sent before: counts every
    /// number of eight digits in what it sends up.
    pub(crate) fn turn_with_other_keys(&mut self) -> usize {
        for end in &self.numbers {
            for digit in self.said[..*end].iter_mut().rev() {
                if *digit < b'9' {
                    *digit += 1;
                    break;
                }
                *digit = b'0';
            }
        }
        self.turn()
    }

    /// Takes the samples of durations; returns how many there were.
    pub(crate) fn take_samples(&mut self) -> usize {
        self.router.counters().take_samples().count()
    }

    fn log_in(&mut self) {
        let id = self.router.open(self.now);
        let auth = request(&[b"AUTH", CLIENT_PASSWORD.as_bytes()]);
        self.router.client_bytes(id, &auth, self.now);
        assert_eq!(self.router.output(id), b"+OK\r\n");
        self.router.output_written(id, b"+OK\r\n".len(), self.now);
        while self.router.next_touched().is_some() {}
        self.sessions.push(id);
    }

    /// Answers the request that proves a returned lease to be clean.
    fn prove(&mut self, link: LinkId) {
        let Some(echoed) = self.router.link_output(link).strip_prefix(b"*2\r\n$4\r\nECHO\r\n")
        else {
            return;
        };
        let echoed: [u8; 39] = echoed.try_into().expect("a token of 32 bytes");
        self.sent(link);
        self.router.link_bytes(link, &echoed, self.now).expect("the expected token");
    }

    /// Connects the requested links; requests that wait for them stay in their buffers.
    fn open_links(&mut self) {
        while let Some(link) = self.router.next_link_to_open() {
            self.router.link_connected(link, self.now);
            self.sent(link);
            self.router.link_bytes(link, b"+OK\r\n", self.now).expect("logged in");
        }
    }

    /// Takes all bytes that wait for the link. Returns their number.
    fn sent(&mut self, link: LinkId) -> usize {
        let mut sent = 0;
        loop {
            let len = self.router.link_output(link).len();
            if len == 0 {
                return sent;
            }
            self.router.link_output_written(link, len, self.now);
            sent += len;
        }
    }
}
