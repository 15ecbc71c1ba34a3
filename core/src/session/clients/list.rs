//! `CLIENT LIST` and `INFO`: sessions as lines of the form that the server gives its connections.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::resp::{Protocol, Request, integer, is_word};

/// The names of the fields of a line, in the server's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFields(Arc<[Box<str>]>);

impl ClientFields {
    /// Most fields that a line may have.
    const MOST: usize = 64;
    /// The fields of Redis 7.0.
    const REDIS_7_0: &str = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free \
        argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp";

    /// Reads the names from a line of the server's; `None` if it is no such line.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let names = line.split(' ').map(|field| field.split_once('=').map(|(name, _)| name.into()));
        let names: Vec<Box<str>> = names.collect::<Option<_>>()?;
        let is_line =
            names.first().is_some_and(|name| **name == *"id") && names.len() <= Self::MOST;
        is_line.then(|| Self(names.into()))
    }
}

impl Default for ClientFields {
    fn default() -> Self {
        Self(Self::REDIS_7_0.split_ascii_whitespace().map(Into::into).collect())
    }
}

/// Whether the server tracks what a client reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tracked {
    /// It tracks nothing.
    #[default]
    No,
    /// It tracks the keys that the client reads.
    Keys,
    /// It tracks all keys with certain prefixes.
    Prefixes,
}

/// What a line says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLine {
    /// The session's number, as clients are shown it.
    pub id: i64,
    /// The client's address.
    pub address: String,
    /// The address that the client has connected to.
    pub local_address: String,
    /// The client's name; empty for none.
    pub name: Bytes,
    /// Seconds since the client connected.
    pub age: u64,
    /// Seconds since it was last heard of.
    pub idle: u64,
    /// The user that it has authenticated as.
    pub user: Arc<str>,
    /// The selected database.
    pub database: u32,
    /// Channels that it is subscribed to, then patterns, then shard channels.
    pub subscriptions: [u32; 3],
    /// True inside a transaction.
    pub in_transaction: bool,
    /// True while it waits for the reply to a blocking command.
    pub is_blocked: bool,
    /// True if it has become a stream of what other clients do.
    pub is_stream: bool,
    /// Whether the server tracks what it reads.
    pub tracked: Tracked,
    /// The session to which its invalidations are redirected.
    pub redirects_to: Option<i64>,
    /// Its last command, if that is known.
    pub command: Option<&'static str>,
    /// The version of RESP of its replies.
    pub protocol: Protocol,
    /// The name and the version of its library; empty where it has set none.
    pub library: [Bytes; 2],
    /// Bytes of requests that wait.
    pub input: usize,
    /// Bytes of replies that wait to be read.
    pub output: usize,
    /// Bytes read from it.
    pub bytes_in: u64,
    /// Bytes written to it.
    pub bytes_out: u64,
    /// Requests that it has made.
    pub commands: u64,
}

impl ClientLine {
    /// Returns the value of a field. A field that Redoubt does not know, or that tells how a server works inside,
    /// is 0.
    fn value(&self, field: &str) -> Cow<'_, str> {
        let bytes = |bytes| String::from_utf8_lossy(bytes);
        let [channels, patterns, shards] = self.subscriptions;
        let [library, version] = &self.library;
        match field {
            "id" => self.id.to_string().into(),
            "addr" => self.address.as_str().into(),
            "laddr" => self.local_address.as_str().into(),
            "name" => bytes(&self.name),
            "age" => self.age.to_string().into(),
            "idle" => self.idle.to_string().into(),
            "flags" => self.flags().into(),
            "capa" => "".into(),
            "db" => self.database.to_string().into(),
            "sub" => channels.to_string().into(),
            "psub" => patterns.to_string().into(),
            "ssub" => shards.to_string().into(),
            "multi" => if self.in_transaction { "0" } else { "-1" }.into(),
            "qbuf" => self.input.to_string().into(),
            "obl" => self.output.to_string().into(),
            "events" => "r".into(),
            "user" => (&*self.user).into(),
            "redir" => match (self.redirects_to, self.tracked) {
                (Some(session), _) => session.to_string().into(),
                (None, Tracked::No) => "-1".into(),
                (None, _) => "0".into(),
            },
            "resp" => self.protocol.version().to_string().into(),
            "lib-name" => bytes(library),
            "lib-ver" => bytes(version),
            "tot-net-in" => self.bytes_in.to_string().into(),
            "tot-net-out" => self.bytes_out.to_string().into(),
            "tot-cmds" => self.commands.to_string().into(),
            _ => "0".into(),
        }
    }

    fn is_listening(&self) -> bool {
        self.subscriptions.iter().any(|count| *count > 0)
    }

    /// Returns the kind of client that it is, as `CLIENT LIST TYPE` and `CLIENT KILL TYPE` call it.
    pub(super) fn kind(&self) -> &'static [u8] {
        if self.is_listening() { b"pubsub" } else { b"normal" }
    }

    /// Returns Redis's letters, in its order: `O` for `MONITOR`, `P` for pub/sub, `x` for a transaction, `b` for a
    /// blocking command, `t` for tracking, `B` for its broadcasting mode, `U` for a Unix socket, `N` for none.
    fn flags(&self) -> String {
        let letters = [
            (self.is_stream && self.command == Some("monitor"), 'O'),
            (self.is_listening(), 'P'),
            (self.in_transaction, 'x'),
            (self.is_blocked, 'b'),
            (self.tracked != Tracked::No, 't'),
            (self.tracked == Tracked::Prefixes, 'B'),
            (self.address.ends_with(":0"), 'U'),
        ];
        let flags: String =
            letters.iter().filter_map(|(is, letter)| is.then_some(*letter)).collect();
        if flags.is_empty() { "N".to_owned() } else { flags }
    }

    /// Appends the line, with its end, of a client whose last command is `runs`.
    pub(in crate::session) fn write(
        &self,
        fields: &ClientFields,
        runs: Option<&'static str>,
        out: &mut BytesMut,
    ) {
        for (place, field) in fields.0.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b" ");
            }
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"=");
            match &**field {
                "cmd" => out.extend_from_slice(runs.unwrap_or("NULL").as_bytes()),
                field => out.extend_from_slice(self.value(field).as_bytes()),
            }
        }
        out.extend_from_slice(b"\n");
    }
}

/// Which clients a `CLIENT LIST` asks for. The server checks the form of the request itself.
#[derive(Debug, Default)]
pub(in crate::session) struct Filter<'a>(Vec<Condition<'a>>);

#[derive(Debug)]
struct Condition<'a> {
    /// True if it excludes what it names, as Valkey's `NOT-` does.
    is_negated: bool,
    option: Vec<u8>,
    values: Vec<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Reads the options of Redis up to 8 and of Valkey up to 9; `None` if there is another one.
    pub(in crate::session) fn of(request: &'a Request<'a>) -> Option<Self> {
        let mut filter = Self::default();
        let mut args = request.args().skip(2).peekable();
        while let Some(word) = args.next() {
            let mut option = word.to_ascii_lowercase();
            let is_negated = option.starts_with(b"not-");
            if is_negated {
                option.drain(..4);
            }
            let mut values: Vec<&[u8]> = args.next().into_iter().collect();
            match option.as_slice() {
                b"id" => {
                    while let Some(id) = args.next_if(|word| integer::parse(word).is_some()) {
                        values.push(id);
                    }
                }
                b"type" | b"user" | b"addr" | b"laddr" | b"ip" | b"name" | b"flags" => {}
                b"lib-name" | b"lib-ver" | b"db" | b"maxage" | b"idle" | b"skipme" | b"capa" => {}
                _ => return None,
            }
            filter.0.push(Condition { is_negated, option, values });
        }
        Some(filter)
    }

    /// Returns true if the session is asked for by the session with the number `asking`.
    pub(in crate::session) fn takes(&self, line: &ClientLine, asking: i64) -> bool {
        self.0.iter().all(|condition| condition.holds(line, asking) != condition.is_negated)
    }
}

impl Condition<'_> {
    fn holds(&self, line: &ClientLine, asking: i64) -> bool {
        let Some(first) = self.values.first().copied() else { return false };
        let at_least = |seconds: u64| {
            integer::parse(first)
                .and_then(|least| u64::try_from(least).ok())
                .is_some_and(|l| seconds >= l)
        };
        match self.option.as_slice() {
            b"id" => self.values.iter().any(|id| integer::parse(id) == Some(line.id)),
            b"type" => is_word(first, line.kind()),
            b"skipme" => is_word(first, b"no") || line.id != asking,
            b"maxage" => at_least(line.age),
            b"idle" => at_least(line.idle),
            b"flags" => first.iter().all(|flag| line.flags().as_bytes().contains(flag)),
            b"ip" => line.address.rsplit_once(':').is_some_and(|(ip, _)| ip.as_bytes() == first),
            b"capa" => false,
            option => {
                let field = std::str::from_utf8(option).unwrap_or_default();
                line.value(field).as_bytes() == first
            }
        }
    }
}
