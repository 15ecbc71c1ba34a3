//! A small Redis: enough commands and connection state to show which session a reply belongs to.
//!
//! It plays two parts. As [`Side::Upstream`] it is the server of links, and panics on anything that a
//! link must never carry. As [`Side::Client`] it is the server that a client expects: a Redis of its
//! own with the client's password, in which refused commands do not exist. Connections are known by
//! their number only, so it does not matter how many sessions use a connection.
//!
//! As the upstream it has the faults of real servers. `EVAL` answers as its script says: once, not at
//! all, twice, with a string that has no end, or with bytes that are not RESP. `server` says what its
//! version does, such as not to answer a wrong `AUTH` while replies are pending.
//!
//! Words have a meaning: `id:S:N` is unique and from session S, `u:S:N` is sent by S before it
//! authenticates, and the keys `k:S:`, `c:S:`, `l:S:` and `b:S:` belong to S. All sessions use channels
//! `all:`; channels `own:S:` belong to S.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod commands;
mod conn;
mod pubsub;

pub(crate) use conn::Conn;

use super::server::Server;
use super::wire::{Args, bulk, error, multibulk, request};

/// The part that the model plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Upstream,
    Client,
}

/// A key in its database.
type Key = (u8, Vec<u8>);

#[derive(Debug, Clone)]
enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

pub(crate) struct Redis {
    side: Side,
    password: Vec<u8>,
    pub(crate) conns: BTreeMap<u32, Conn>,
    keys: BTreeMap<Key, Value>,
    versions: BTreeMap<Key, u64>,
    ids: BTreeSet<Vec<u8>>,
    /// Pairs of connection and session: which session's requests arrived on which connection.
    pub(crate) heard: BTreeSet<(u32, u32)>,
    /// The secret that no link may carry.
    secret: Vec<u8>,
    server: Server,
}

/// Commands that do not exist for clients.
pub(crate) const REFUSED: [&str; 4] = ["flushall", "flushdb", "config", "debug"];

impl Redis {
    pub(crate) fn new(side: Side, server: Server, password: &str, secret: &str) -> Self {
        Self {
            side,
            password: password.into(),
            conns: BTreeMap::new(),
            keys: BTreeMap::new(),
            versions: BTreeMap::new(),
            ids: BTreeSet::new(),
            heard: BTreeSet::new(),
            secret: secret.into(),
            server,
        }
    }

    pub(crate) fn connect(&mut self, number: u32, refuse_login: bool) {
        self.conns.insert(number, Conn { refuse_login, ..Conn::default() });
    }

    /// Receives bytes and runs the complete requests, unless the connection is blocked.
    pub(crate) fn receive(&mut self, number: u32, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        conn.input.extend(bytes);
        self.run(number);
    }

    fn run(&mut self, number: u32) {
        let Some(mut conn) = self.conns.remove(&number) else { return };
        let mut input = std::mem::take(&mut conn.input);
        let mut used = 0;
        while conn.blocked.is_none()
            && let Some((args, len)) = request(&input[used..])
        {
            used += len;
            self.request(number, &mut conn, &args);
        }
        input.drain(..used);
        conn.input = input;
        self.conns.insert(number, conn);
    }

    /// Runs one complete request of a single client.
    pub(crate) fn ask(&mut self, number: u32, args: &[Vec<u8>]) -> Vec<u8> {
        self.receive(number, &multibulk(args));
        std::mem::take(&mut self.conns.get_mut(&number).unwrap().output)
    }

    /// Receives an empty request.
    pub(crate) fn empty_request(&mut self, number: u32) {
        if !self.server.skips_past_empty_requests {
            self.request_done(number);
        }
    }

    /// Ends the request that `number` has sent last.
    pub(crate) fn request_done(&mut self, number: u32) {
        self.conns.get_mut(&number).unwrap().request_done();
    }

    /// Ends a `BLPOP` with `value`, or without a value.
    pub(crate) fn unblock(&mut self, number: u32, value: Option<&[u8]>) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        let Some(key) = conn.blocked.take() else { return };
        match value {
            Some(value) => conn.say([b"*2\r\n", &bulk(&key)[..], &bulk(value)].concat()),
            None => conn.say(conn.null_array()),
        }
        let end = conn.produced;
        if let Some(session) = conn.waiting.take() {
            conn.owed.push_back((session, end));
        }
        conn.request_done();
        self.run(number);
    }

    fn request(&mut self, number: u32, conn: &mut Conn, args: &[Vec<u8>]) {
        let session = self.inspect(number, conn, args);
        self.process(conn, args);
        if conn.blocked.is_some() {
            conn.waiting = session;
            return;
        }
        if let Some(session) = session {
            conn.owed.push_back((session, conn.produced));
        }
        conn.put_late();
        conn.request_done();
    }

    /// Checks a request that arrives, and returns the session that it is from.
    fn inspect(&mut self, number: u32, conn: &Conn, args: &[Vec<u8>]) -> Option<u32> {
        if self.side == Side::Client {
            return None;
        }
        let shown = || args.iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>();
        let name = args[0].to_ascii_lowercase();
        let name = String::from_utf8_lossy(&name).into_owned();
        // A login that is rejected has its other requests behind AUTH already; they are Redoubt's own.
        let most = if name == "auth" { 3 } else { 2 };
        let login = ["auth", "hello", "select"].contains(&&*name) && args.len() <= most;
        assert!(conn.authenticated || login, "before the link's AUTH: {:?}", shown());
        assert!(!REFUSED.contains(&&*name), "a refused command on a link: {:?}", shown());
        // A faulty session may have a state in which its link's bytes are passed on unread.
        assert!(name != "quit" || conn.faulty, "{name} on a link");
        assert!(name != "reset", "{name} on a link");
        let reply = args.len() > 1 && args[1].eq_ignore_ascii_case(b"reply");
        // Where a reply was missing, Redoubt may assume that Redis refuses it, and in a transaction it
        // passes all bytes on from there on; the link then belongs to that session, and to no other
        // afterwards.
        let refuses = conn.restricted() || conn.faulty || conn.queue.is_some();
        assert!(name != "client" || !reply || refuses, "CLIENT REPLY on a link");
        let mut session = None;
        for arg in args {
            assert!(!arg.starts_with(b"u:"), "unauthenticated on a link: {:?}", shown());
            assert_ne!(*arg, self.secret, "a client's password on a link: {:?}", shown());
            if arg.starts_with(b"id:") {
                let id: Vec<u8> = arg.iter().take(40).copied().collect();
                assert!(self.ids.insert(id), "sent twice: {:?}", shown());
            }
            session = session.or_else(|| owner(arg));
        }
        self.heard.extend(session.map(|session| (number, session)));
        session
    }

    /// Does what Redis's processCommand does.
    fn process(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
        let admits = matches!(&*name, "auth" | "hello" | "quit" | "reset");
        let needs_login = !conn.authenticated && !admits;
        if needs_login && self.server.asks_for_login_first {
            return self.reject(conn, error("NOAUTH Authentication required."));
        }
        let Some((full, min, max)) = arity(&name, args) else {
            return self.reject(conn, unknown(args));
        };
        if self.side == Side::Client && REFUSED.contains(&&*name) {
            return self.reject(conn, unknown(args));
        }
        if args.len() < min || args.len() > max {
            let text = format!("wrong number of arguments for '{full}' command");
            if name == "exec" && conn.queue.is_some() {
                self.end_transaction(conn);
                let text = format!("EXECABORT Transaction discarded because of: {text}");
                return conn.say(error(&text));
            }
            return self.reject(conn, error(&format!("ERR {text}")));
        }
        if needs_login {
            return self.reject(conn, error("NOAUTH Authentication required."));
        }
        let allowed = name.ends_with("subscribe") || ["ping", "quit", "reset"].contains(&&*name);
        if conn.restricted() && !allowed {
            let text = format!(
                "ERR Can't execute '{full}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
                 RESET are allowed in this context"
            );
            return self.reject(conn, error(&text));
        }
        if conn.queue.is_some()
            && ["multi", "watch"].contains(&&*name)
            && let Some(text) = self.server.fails_in_multi
        {
            return self.reject(conn, error(&text.replace('*', &name)));
        }
        let at_once = ["exec", "discard", "multi", "watch", "quit", "reset"].contains(&&*name);
        if conn.queue.is_some() && !at_once {
            // Redoubt passes the link's bytes on unread from here on.
            conn.faulty |= name.ends_with("subscribe");
            conn.queue.as_mut().unwrap().push(args.to_vec());
            return conn.say("+QUEUED\r\n");
        }
        self.execute(conn, &name, args);
    }

    fn reject(&mut self, conn: &mut Conn, error: Vec<u8>) {
        conn.dirty |= conn.queue.is_some();
        conn.say(error);
    }

    fn end_transaction(&mut self, conn: &mut Conn) -> Vec<Args> {
        conn.dirty = false;
        conn.watched.clear();
        conn.queue.take().unwrap_or_default()
    }

    fn exec(&mut self, conn: &mut Conn) {
        if conn.queue.is_none() {
            return conn.say(error("ERR EXEC without MULTI"));
        }
        let changed = |(key, version): &(Key, u64)| self.version(key) != *version;
        let stale = conn.watched.iter().any(changed);
        let dirty = conn.dirty;
        let queue = self.end_transaction(conn);
        if dirty {
            let text = "EXECABORT Transaction discarded because of previous errors.";
            conn.say(error(text));
        } else if stale {
            conn.say(conn.null_array());
        } else {
            conn.say(format!("*{}\r\n", queue.len()));
            // Inside a transaction, no command blocks.
            for args in &queue {
                let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
                self.execute(conn, &name, args);
                if conn.blocked.take().is_some() {
                    conn.say(conn.null_array());
                }
            }
        }
    }
}

/// Returns the session that a word belongs to.
fn owner(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word.get(..word.len().min(40))?).ok()?;
    let mut parts = text.split(':');
    let kind = parts.next()?;
    ["id", "k", "c", "l", "b", "own"].contains(&kind).then(|| parts.next()?.parse().ok())?
}

fn unknown(args: &[Vec<u8>]) -> Vec<u8> {
    redoubt_core::policy::unknown_command(args.iter().map(Vec::as_slice)).to_vec()
}

/// Returns a command's full name, and its least and largest number of words; `None` if there is no such
/// command.
fn arity(name: &str, args: &[Vec<u8>]) -> Option<(String, usize, usize)> {
    const MANY: usize = usize::MAX;
    let (min, max) = match name {
        "multi" | "exec" | "discard" | "unwatch" | "reset" => (1, 1),
        "quit" | "hello" | "unsubscribe" | "punsubscribe" => (1, MANY),
        "ping" => (1, 2),
        "echo" | "get" | "incr" | "select" => (2, 2),
        "auth" => (2, 3),
        "eval" => (4, 4),
        "mget" | "watch" | "del" | "subscribe" | "psubscribe" => (2, MANY),
        "set" | "publish" | "blpop" => (3, 3),
        "lpush" => (3, MANY),
        "lrange" => (4, 4),
        "flushall" | "flushdb" | "config" | "debug" => (1, MANY),
        "client" => {
            let word = args.get(1).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
            let max = if word.as_deref() == Some("getname") { 2 } else { 3 };
            let full = word.map_or("client".into(), |word| format!("client|{word}"));
            return Some((full, max, max));
        }
        _ => return None,
    };
    Some((name.into(), min, max))
}
