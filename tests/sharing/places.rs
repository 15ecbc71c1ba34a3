//! A bench on which sessions share links, and which reports the link that a request used.

use std::sync::Arc;

use redoubt_core::command::Version;
use redoubt_core::router::{LinkId, SessionId, Sharing};
use redoubt_core::session::{Rulebook, Rules};

use support::bench::{Bench, assert_bytes};

/// The bench and all links that it has opened.
pub(crate) struct Places {
    pub(crate) bench: Bench,
    links: Vec<LinkId>,
    /// The login of the last link that was opened.
    pub(crate) login: Vec<u8>,
    /// The requests before the last token.
    pub(crate) proved: Option<String>,
}

/// Returns how many frames begin in `sent`, which consists of small multibulk requests.
fn requests(sent: &[u8]) -> usize {
    sent.iter().filter(|byte| **byte == b'*').count()
}

impl Places {
    pub(crate) fn new() -> Self {
        let mut bench = Bench::with(Sharing::Auto);
        let mut rules = Rules::clone(bench.router.rules().strangers());
        rules.upstream_version = Version::parse("7.0.15");
        bench.router.replace_rules(Arc::new(Rulebook::of_one(Arc::new(rules))));
        Self { bench, links: Vec::new(), login: Vec::new(), proved: None }
    }

    /// Connects the links that are wanted, and completes their logins.
    pub(crate) fn connect_links(&mut self) {
        while let Some(link) = self.bench.router.next_link_to_open() {
            self.bench.router.link_connected(link, self.bench.now);
            self.login = self.bench.sent(link);
            self.bench.reply(link, &b"+OK\r\n".repeat(requests(&self.login)));
            assert!(self.bench.router.link_is_ready(link));
            self.links.push(link);
        }
    }

    /// Returns the bytes that are sent for `said`, and over which link; `None` if nothing is sent.
    pub(crate) fn try_send(&mut self, id: SessionId, said: &[u8]) -> Option<(LinkId, Vec<u8>)> {
        self.bench.say(id, said);
        self.flush()
    }

    /// Returns the bytes that are sent now, and over which link. Barriers and proofs of leases get
    /// Redis's answers and are left out.
    pub(crate) fn flush(&mut self) -> Option<(LinkId, Vec<u8>)> {
        self.connect_links();
        let mut out = None;
        for link in self.links.clone() {
            let sent = self.bench.sent(link);
            let sent = self.answer_tokens(link, sent);
            if !sent.is_empty() {
                assert!(out.is_none(), "two links at once");
                out = Some((link, sent));
            }
        }
        out
    }

    /// Answers the `ECHO` of a token, and the requests before it, and returns what comes after it.
    fn answer_tokens(&mut self, link: LinkId, sent: Vec<u8>) -> Vec<u8> {
        const ECHO: &[u8] = b"*2\r\n$4\r\nECHO\r\n$32\r\n";
        let Some(at) = sent.windows(ECHO.len()).rposition(|part| part == ECHO) else {
            return sent;
        };
        let end = at + ECHO.len() + 34;
        let token = &sent[at + ECHO.len() - 5..end];
        self.bench.reply(link, &[&b"+OK\r\n".repeat(requests(&sent[..at])), token].concat());
        self.proved = Some(shown(&sent[..at]));
        sent[end..].to_vec()
    }

    /// Sends as many requests over the shared link as it accepts, from as many sessions as that needs.
    pub(crate) fn fill(&mut self, common: LinkId) -> Vec<SessionId> {
        let fillers: Vec<_> = (0..128).map(|_| self.bench.authenticated()).collect();
        let mut sent = 0;
        for id in &fillers {
            self.bench.say(*id, &b"GET k\r\n".repeat(512));
            sent += requests(&self.bench.sent(common));
        }
        assert_eq!(sent, 65_536, "requests in flight");
        fillers
    }

    #[track_caller]
    pub(crate) fn send(&mut self, id: SessionId, said: &[u8]) -> (LinkId, Vec<u8>) {
        self.try_send(id, said).expect("something goes upstream")
    }

    /// Sends a request and its reply, which reaches the client. Returns the link.
    #[track_caller]
    pub(crate) fn turn(&mut self, id: SessionId, said: &[u8], reply: &[u8]) -> LinkId {
        let (link, sent) = self.send(id, said);
        let before = requests(&sent).saturating_sub(requests(&as_multibulk(said)));
        self.bench.reply(link, &[&b"+OK\r\n".repeat(before), reply].concat());
        assert_bytes(&self.bench.read(id), reply);
        self.prove();
        link
    }

    /// Completes the proofs of the leases that have been returned; nothing else may be sent.
    #[track_caller]
    pub(crate) fn prove(&mut self) {
        let out = self.flush().map(|(_, sent)| shown(&sent));
        assert_eq!(out, None, "the request is sent without a flush");
    }

    /// Sends a request that Redoubt answers itself.
    #[track_caller]
    pub(crate) fn local(&mut self, id: SessionId, said: &[u8], reply: &[u8]) {
        assert_eq!(self.try_send(id, said).map(|(_, sent)| shown(&sent)), None);
        assert_bytes(&self.bench.read(id), reply);
    }

    /// Returns the link that an ordinary request of the session uses now.
    #[track_caller]
    pub(crate) fn link_of(&mut self, id: SessionId) -> LinkId {
        self.turn(id, b"ECHO 1\r\n", b"$1\r\n1\r\n")
    }

    /// Returns a session and its shared link.
    pub(crate) fn plain(&mut self) -> (SessionId, LinkId) {
        let id = self.bench.authenticated();
        let link = self.link_of(id);
        (id, link)
    }

    /// Returns a session that watches, and its lease.
    pub(crate) fn watching(&mut self) -> (SessionId, LinkId) {
        let id = self.bench.authenticated();
        let link = self.turn(id, b"WATCH k\r\n", b"+OK\r\n");
        (id, link)
    }

    pub(crate) fn is_closed(&self, link: LinkId) -> bool {
        self.bench.router.link_is_closed(link)
    }

    /// Ends the client's connection, and so the session.
    pub(crate) fn leave(&mut self, id: SessionId) {
        self.bench.router.client_lost(id);
        self.bench.close(id);
    }
}

/// Converts inline lines to the same number of multibulk requests; multibulk form is unchanged.
fn as_multibulk(said: &[u8]) -> Vec<u8> {
    if said.starts_with(b"*") {
        return said.to_vec();
    }
    b"*".repeat(said.split(|byte| *byte == b'\n').filter(|line| line.len() > 1).count())
}

pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
