//! A small Redis: enough commands and connection state to tell whose reply is whose.
//!
//! It plays two parts. As [`Side::Upstream`] it is what links connect to, and panics on anything
//! that must never travel on one. As [`Side::Client`] it is what a client believes it talks to: a
//! Redis of its own with the client's password, in which refused commands do not exist. Connections
//! are known by number alone, so it does not matter how many sessions are on one.
//!
//! Words carry meaning: `id:S:N` is unique and from session S, `u:S:N` is said by S while it is not
//! authenticated, and the keys `k:S:`, `c:S:`, `l:S:` and `b:S:` are S's own. Channels `all:` are
//! everybody's, `own:S:` are S's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::wire::{Args, bulk, error, integer, multibulk, request};

/// Which part the model plays.
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

/// `CLIENT REPLY`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    On,
    Off,
    SkipNext,
    Skip,
}

/// What one connection is in the middle of.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    pub(crate) authenticated: bool,
    pub(crate) resp3: bool,
    db: u8,
    name: Vec<u8>,
    /// The transaction, from `MULTI` on.
    pub(crate) queue: Option<Vec<Args>>,
    dirty: bool,
    watched: Vec<(Key, u64)>,
    pub(crate) channels: BTreeSet<Vec<u8>>,
    pub(crate) patterns: BTreeSet<Vec<u8>>,
    /// The key that a `BLPOP` waits for.
    pub(crate) blocked: Option<Vec<u8>>,
    mode: Mode,
    /// Whether it said its last.
    pub(crate) closing: bool,
    /// Whether its `AUTH` is answered as by a Redis that is full.
    refuse_login: bool,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// Bytes of output so far, and how many of them have been taken away.
    produced: u64,
    delivered: u64,
    /// Which session is owed the output up to where.
    owed: VecDeque<(u32, u64)>,
    /// The session whose command is blocked.
    waiting: Option<u32>,
}

impl Conn {
    pub(crate) fn visible(&self) -> bool {
        matches!(self.mode, Mode::On | Mode::SkipNext)
    }

    pub(crate) fn restricted(&self) -> bool {
        !self.resp3 && self.subscriptions() > 0
    }

    fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Out of band: whatever `CLIENT REPLY` says.
    fn notice(&mut self, kind: &str, parts: &[&[u8]], last: &[u8]) {
        let lead = if self.resp3 { '>' } else { '*' };
        let mut out = format!("{lead}{}\r\n", parts.len() + 2).into_bytes();
        out.extend(bulk(kind.as_bytes()));
        parts.iter().for_each(|part| out.extend(bulk(part)));
        out.extend(last);
        self.put(&out);
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) {
        if self.visible() {
            self.put(bytes.as_ref());
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.produced += bytes.len() as u64;
        self.output.extend(bytes);
    }

    fn null(&self) -> &'static [u8] {
        if self.resp3 { b"_\r\n" } else { b"$-1\r\n" }
    }

    fn null_array(&self) -> &'static [u8] {
        if self.resp3 { b"_\r\n" } else { b"*-1\r\n" }
    }

    /// After every request, empty ones too.
    fn request_done(&mut self) {
        self.mode = match self.mode {
            Mode::SkipNext => Mode::Skip,
            Mode::Skip => Mode::On,
            other => other,
        };
    }

    /// Takes up to `len` bytes of its output away.
    pub(crate) fn take_output(&mut self, len: usize) -> Vec<u8> {
        let taken: Vec<u8> = self.output.drain(..len).collect();
        self.delivered += taken.len() as u64;
        while self.owed.front().is_some_and(|(_, end)| *end <= self.delivered) {
            self.owed.pop_front();
        }
        taken
    }

    /// The sessions that Redis has heard and that have not had all of its reply.
    pub(crate) fn sessions_owed(&self) -> BTreeSet<u32> {
        self.owed.iter().map(|(session, _)| *session).chain(self.waiting).collect()
    }

    /// Whether it has nothing left to do or say.
    pub(crate) fn is_silent(&self) -> bool {
        self.input.is_empty() && self.output.is_empty() && self.blocked.is_none()
    }
}

pub(crate) struct Redis {
    side: Side,
    password: Vec<u8>,
    pub(crate) conns: BTreeMap<u32, Conn>,
    keys: BTreeMap<Key, Value>,
    versions: BTreeMap<Key, u64>,
    ids: BTreeSet<Vec<u8>>,
    /// Which sessions have been heard on which connection.
    pub(crate) heard: BTreeSet<(u32, u32)>,
    /// What no link may carry.
    secret: Vec<u8>,
}

/// Commands that do not exist for clients.
pub(crate) const REFUSED: [&str; 4] = ["flushall", "flushdb", "config", "debug"];

impl Redis {
    pub(crate) fn new(side: Side, password: &str, secret: &str) -> Self {
        Self {
            side,
            password: password.into(),
            conns: BTreeMap::new(),
            keys: BTreeMap::new(),
            versions: BTreeMap::new(),
            ids: BTreeSet::new(),
            heard: BTreeSet::new(),
            secret: secret.into(),
        }
    }

    pub(crate) fn connect(&mut self, number: u32, refuse_login: bool) {
        self.conns.insert(number, Conn { refuse_login, ..Conn::default() });
    }

    /// Takes bytes in and runs what is whole, unless the connection is blocked.
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

    /// One whole request of a lone client.
    pub(crate) fn ask(&mut self, number: u32, args: &[Vec<u8>]) -> Vec<u8> {
        self.receive(number, &multibulk(args));
        std::mem::take(&mut self.conns.get_mut(&number).unwrap().output)
    }

    pub(crate) fn empty_request(&mut self, number: u32) {
        self.conns.get_mut(&number).unwrap().request_done();
    }

    /// Ends a `BLPOP` with `value`, or without one.
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
        conn.request_done();
    }

    /// Holds what must hold of everything that arrives, and tells which session it is from.
    fn inspect(&mut self, number: u32, conn: &Conn, args: &[Vec<u8>]) -> Option<u32> {
        if self.side == Side::Client {
            return None;
        }
        let shown = || args.iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>();
        let name = args[0].to_ascii_lowercase();
        let name = String::from_utf8_lossy(&name).into_owned();
        assert!(conn.authenticated || name == "auth", "before the link's AUTH: {:?}", shown());
        assert!(!REFUSED.contains(&&*name), "a refused command on a link: {:?}", shown());
        assert!(!["reset", "quit"].contains(&&*name), "{name} on a link");
        let reply = args.len() > 1 && args[1].eq_ignore_ascii_case(b"reply");
        assert!(name != "client" || !reply || conn.restricted(), "CLIENT REPLY on a link");
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

    /// As Redis's processCommand.
    fn process(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
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
        let admits = matches!(&*name, "auth" | "hello" | "quit" | "reset");
        if !conn.authenticated && !admits {
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
        let at_once = ["exec", "discard", "multi", "watch", "quit", "reset"].contains(&&*name);
        if conn.queue.is_some() && !at_once {
            if full == "client|reply" {
                // Redis queues it and then breaks the protocol at EXEC; Redoubt refuses it.
                let text = "ERR Command not allowed inside a transaction";
                return self.reject(conn, error(text));
            }
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
            // Inside, nothing blocks.
            for args in &queue {
                let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
                self.execute(conn, &name, args);
                if conn.blocked.take().is_some() {
                    conn.say(conn.null_array());
                }
            }
        }
    }

    fn execute(&mut self, conn: &mut Conn, name: &str, args: &[Vec<u8>]) {
        let arg = |index: usize| args.get(index).map_or(&b""[..], Vec::as_slice);
        match name {
            "ping" if conn.restricted() => {
                let pong = [b"*2\r\n$4\r\npong\r\n", &bulk(arg(1))[..]].concat();
                conn.say(pong);
            }
            "ping" if args.len() == 1 => conn.say("+PONG\r\n"),
            "ping" | "echo" => conn.say(bulk(arg(1))),
            "auth" => {
                let (user, password) = match args.len() {
                    2 => (&b"default"[..], arg(1)),
                    _ => (arg(1), arg(2)),
                };
                self.auth(conn, user, password);
            }
            "hello" => self.hello(conn, args),
            "client" => self.client(conn, args),
            "select" => match arg(1) {
                [digit @ b'0'..=b'9'] => {
                    conn.db = digit - b'0';
                    conn.say("+OK\r\n");
                }
                _ => conn.say(error("ERR DB index is out of range")),
            },
            "multi" if conn.queue.is_some() => {
                conn.say(error("ERR MULTI calls can not be nested"));
            }
            "multi" => {
                conn.queue = Some(Vec::new());
                conn.say("+OK\r\n");
            }
            "exec" => self.exec(conn),
            "discard" if conn.queue.is_none() => conn.say(error("ERR DISCARD without MULTI")),
            "discard" => {
                self.end_transaction(conn);
                conn.say("+OK\r\n");
            }
            "watch" if conn.queue.is_some() => {
                conn.say(error("ERR WATCH inside MULTI is not allowed"));
            }
            "watch" => {
                let key = (conn.db, arg(1).to_vec());
                let version = self.version(&key);
                conn.watched.push((key, version));
                conn.say("+OK\r\n");
            }
            "unwatch" => {
                conn.watched.clear();
                conn.say("+OK\r\n");
            }
            "quit" => {
                conn.say("+OK\r\n");
                conn.closing = true;
            }
            "reset" => {
                let input = std::mem::take(&mut conn.input);
                let output = std::mem::take(&mut conn.output);
                *conn = Conn { input, output, ..Conn::default() };
                conn.say("+RESET\r\n");
            }
            "subscribe" | "psubscribe" => self.subscribe(conn, name, &args[1..]),
            "unsubscribe" | "punsubscribe" => self.unsubscribe(conn, name, &args[1..]),
            "publish" => {
                let count = self.publish(Some(conn), arg(1), arg(2));
                conn.say(integer(count));
            }
            _ => self.data(conn, name, args),
        }
    }

    fn auth(&mut self, conn: &mut Conn, user: &[u8], password: &[u8]) -> bool {
        if conn.refuse_login {
            conn.say(error("ERR max number of clients reached"));
            return false;
        }
        let right = user == b"default" && password == self.password;
        conn.authenticated |= right;
        match right {
            true => conn.say("+OK\r\n"),
            false => {
                conn.say(error("WRONGPASS invalid username-password pair or user is disabled."));
            }
        }
        right
    }

    fn hello(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        let resp3 = match args.get(1).map(Vec::as_slice) {
            None => conn.resp3,
            Some(b"2") => false,
            Some(b"3") => true,
            Some([b'0'..=b'9']) => return conn.say(error("NOPROTO unsupported protocol version")),
            Some(_) => {
                let text = "ERR Protocol version is not an integer or out of range";
                return conn.say(error(text));
            }
        };
        let mut rest = args.get(2..).unwrap_or_default();
        while let Some(option) = rest.first() {
            if option.eq_ignore_ascii_case(b"auth") && rest.len() >= 3 {
                if rest[1] != b"default" || rest[2] != self.password {
                    let text = "WRONGPASS invalid username-password pair or user is disabled.";
                    return conn.say(error(text));
                }
                conn.authenticated = true;
                rest = &rest[3..];
            } else if option.eq_ignore_ascii_case(b"setname") && rest.len() >= 2 {
                conn.name = rest[1].clone();
                rest = &rest[2..];
            } else {
                let text = format!("ERR Syntax error in HELLO option '{}'", option.escape_ascii());
                return conn.say(error(&text));
            }
        }
        if !conn.authenticated {
            return conn.say(error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                 HELLO AUTH <user> <pass> option can be used to authenticate the client and select \
                 the RESP protocol version at the same time",
            ));
        }
        conn.resp3 = resp3;
        let (head, proto) = if resp3 { ("%7", 3) } else { ("*14", 2) };
        conn.say(format!(
            "{head}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\
             \r\n:{proto}\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\n\
             master\r\n$7\r\nmodules\r\n*0\r\n"
        ));
    }

    fn client(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        match args[1].to_ascii_lowercase().as_slice() {
            b"setname" => {
                conn.name = args[2].clone();
                conn.say("+OK\r\n");
            }
            b"getname" if conn.name.is_empty() => conn.say(conn.null()),
            b"getname" => conn.say(bulk(&conn.name)),
            _ => match args[2].to_ascii_lowercase().as_slice() {
                b"on" => {
                    conn.mode = Mode::On;
                    conn.say("+OK\r\n");
                }
                b"off" => conn.mode = Mode::Off,
                b"skip" if conn.mode == Mode::Off => {}
                b"skip" => conn.mode = Mode::SkipNext,
                _ => conn.say(error("ERR syntax error")),
            },
        }
    }

    fn subscribe(&mut self, conn: &mut Conn, name: &str, channels: &[Vec<u8>]) {
        for channel in channels {
            let set = if name == "subscribe" { &mut conn.channels } else { &mut conn.patterns };
            set.insert(channel.clone());
            let count = integer(conn.subscriptions());
            conn.notice(name, &[channel], &count);
        }
    }

    fn unsubscribe(&mut self, conn: &mut Conn, name: &str, channels: &[Vec<u8>]) {
        let set = if name == "unsubscribe" { &mut conn.channels } else { &mut conn.patterns };
        let channels = if channels.is_empty() {
            set.iter().cloned().collect::<Vec<_>>()
        } else {
            channels.to_vec()
        };
        if channels.is_empty() {
            let last = [conn.null(), &integer(conn.subscriptions())].concat();
            let lead = if conn.resp3 { ">3\r\n" } else { "*3\r\n" };
            conn.put(&[lead.as_bytes(), &bulk(name.as_bytes()), &last].concat());
        }
        for channel in &channels {
            let set = if name == "unsubscribe" { &mut conn.channels } else { &mut conn.patterns };
            set.remove(channel);
            let count = integer(conn.subscriptions());
            conn.notice(name, &[channel], &count);
        }
    }

    /// Delivers to every connection, `own` among them, and says to how many.
    ///
    /// A lone client's Redis does not deliver on common channels: those come from elsewhere.
    pub(crate) fn publish(
        &mut self,
        own: Option<&mut Conn>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        if self.side == Side::Client && channel.starts_with(b"all:") {
            return 0;
        }
        let mut count = 0;
        for conn in self.conns.values_mut().chain(own) {
            if conn.channels.contains(channel) {
                conn.notice("message", &[channel], &bulk(payload));
                count += 1;
            }
            let matches = |pattern: &Vec<u8>| channel.starts_with(&pattern[..pattern.len() - 1]);
            let patterns = conn.patterns.iter().filter(|p| matches(p)).cloned().collect::<Vec<_>>();
            for pattern in patterns {
                conn.notice("pmessage", &[&pattern, channel], &bulk(payload));
                count += 1;
            }
        }
        count
    }

    /// Whether anybody listens to a channel by its name.
    pub(crate) fn hears(&self, channel: &[u8]) -> bool {
        self.conns.values().any(|conn| conn.channels.contains(channel))
    }

    fn version(&self, key: &Key) -> u64 {
        self.versions.get(key).copied().unwrap_or(0)
    }

    fn changed(&mut self, key: Key) {
        *self.versions.entry(key).or_default() += 1;
    }

    fn data(&mut self, conn: &mut Conn, name: &str, args: &[Vec<u8>]) {
        const WRONG_TYPE: &str =
            "WRONGTYPE Operation against a key holding the wrong kind of value";
        let key = (conn.db, args[1].clone());
        let value = self.keys.get(&key).cloned();
        match (name, value) {
            ("set", _) => {
                self.keys.insert(key.clone(), Value::Text(args[2].clone()));
                self.changed(key);
                conn.say("+OK\r\n");
            }
            ("del", value) => {
                if value.is_some() {
                    self.keys.remove(&key);
                    self.changed(key);
                }
                conn.say(integer(usize::from(value.is_some())));
            }
            ("mget", _) => {
                conn.say(format!("*{}\r\n", args.len() - 1));
                for name in &args[1..] {
                    match self.keys.get(&(conn.db, name.clone())) {
                        Some(Value::Text(text)) => conn.say(bulk(text)),
                        _ => conn.say(conn.null()),
                    }
                }
            }
            ("get", None) => conn.say(conn.null()),
            ("get", Some(Value::Text(text))) => conn.say(bulk(&text)),
            ("incr", None | Some(Value::Text(_))) => {
                let old = match value_text(self.keys.get(&key)) {
                    None => Some(0),
                    Some(text) => text.parse::<usize>().ok(),
                };
                match old {
                    Some(old) => {
                        let new = (old + 1).to_string();
                        self.keys.insert(key.clone(), Value::Text(new.into_bytes()));
                        self.changed(key);
                        conn.say(integer(old + 1));
                    }
                    None => conn.say(error("ERR value is not an integer or out of range")),
                }
            }
            ("lpush", None | Some(Value::List(_))) => {
                let mut list = match self.keys.remove(&key) {
                    Some(Value::List(list)) => list,
                    _ => VecDeque::new(),
                };
                args[2..].iter().for_each(|item| list.push_front(item.clone()));
                conn.say(integer(list.len()));
                self.keys.insert(key.clone(), Value::List(list));
                self.changed(key);
            }
            ("lrange", None) => conn.say("*0\r\n"),
            ("lrange", Some(Value::List(list))) => {
                conn.say(format!("*{}\r\n", list.len()));
                list.iter().for_each(|item| conn.say(bulk(item)));
            }
            ("blpop", None) => conn.blocked = Some(args[1].clone()),
            ("blpop", Some(Value::List(mut list))) => {
                let item = list.pop_front().unwrap_or_default();
                conn.say([b"*2\r\n", &bulk(&args[1])[..], &bulk(&item)].concat());
                if list.is_empty() {
                    self.keys.remove(&key);
                } else {
                    self.keys.insert(key.clone(), Value::List(list));
                }
                self.changed(key);
            }
            _ => conn.say(error(WRONG_TYPE)),
        }
    }
}

fn value_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Value::List(_) => None,
    }
}

/// The session that a word belongs to.
fn owner(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word.get(..word.len().min(40))?).ok()?;
    let mut parts = text.split(':');
    let kind = parts.next()?;
    ["id", "k", "c", "l", "b", "own"].contains(&kind).then(|| parts.next()?.parse().ok())?
}

fn unknown(args: &[Vec<u8>]) -> Vec<u8> {
    redoubt::policy::unknown_command(args.iter().map(Vec::as_slice)).to_vec()
}

/// A command's full name, and how many words it may have. `None`: there is no such command.
fn arity(name: &str, args: &[Vec<u8>]) -> Option<(String, usize, usize)> {
    const MANY: usize = usize::MAX;
    let (min, max) = match name {
        "multi" | "exec" | "discard" | "unwatch" | "reset" => (1, 1),
        "quit" | "hello" | "unsubscribe" | "punsubscribe" => (1, MANY),
        "ping" => (1, 2),
        "echo" | "get" | "incr" | "select" => (2, 2),
        "auth" => (2, 3),
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
