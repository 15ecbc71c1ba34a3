//! Answers to commands that the policy refuses, so that programs which insist on them start all the same.
//!
//! Owns: which forms of a request are answered, from what the server reported, and the bytes of the answers.
//! Leaves to others: reading the server's values and deleting keys (the program does that, over connections of
//! its own), and in which state of a session an answer can be given (`decide`).
//!
//! Invariants: such a request never reaches a link; all other forms of the command are refused as before; an
//! answer contains no value of a parameter that is not in [`PARAMETERS`](parameters), and of the client's text only
//! names of parameters and letters of events that were recognized.

mod events;
pub(super) mod flush;
mod parameters;
mod pattern;

use std::sync::Arc;

use bytes::Bytes;

use self::events::Events;
pub use self::flush::{Flush, Flushed};
pub use self::parameters::Parameters;
use crate::command::Spec;
use crate::policy;
use crate::resp::{Protocol, Request, reply};

/// Most bytes of the arguments of a request that is answered. It bounds the time for patterns, which can take
/// 500 steps for each of their bytes; all names of parameters together are shorter.
const MOST_BYTES: usize = 512;

/// Which refused commands are answered, and what is needed for that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compat {
    /// True if `CONFIG GET` is answered.
    pub config_get: bool,
    /// True if `CONFIG SET notify-keyspace-events` is answered.
    pub notify_keyspace_events: bool,
    /// True if `FLUSHDB` and `FLUSHALL` delete the keys below a prefix, which the program knows.
    pub flush: bool,
    /// The server's values; `None` while they are unknown, and then no form of `CONFIG` is answered.
    pub parameters: Option<Arc<Parameters>>,
}

/// The key of the configuration because of which a command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompatKey {
    /// `policy.compat.config_get`.
    ConfigGet,
    /// `policy.compat.notify_keyspace_events`.
    NotifyKeyspaceEvents,
    /// `policy.compat.flush`.
    Flush,
}

impl CompatKey {
    /// Returns the key with its table.
    pub fn path(self) -> &'static str {
        match self {
            Self::ConfigGet => "policy.compat.config_get",
            Self::NotifyKeyspaceEvents => "policy.compat.notify_keyspace_events",
            Self::Flush => "policy.compat.flush",
        }
    }

    /// Returns the name of the key within its table.
    pub fn as_str(self) -> &'static str {
        self.path().rsplit('.').next().unwrap_or_default()
    }

    /// Returns the key that would have a request for `spec` answered.
    pub fn of(request: &Request<'_>, spec: Option<&Spec>) -> Option<Self> {
        match spec?.name {
            "config|get" => Some(Self::ConfigGet),
            "config|set" if is_of_events(request) => Some(Self::NotifyKeyspaceEvents),
            "flushdb" | "flushall" => Some(Self::Flush),
            _ => None,
        }
    }
}

/// A command that was answered in place of a refusal, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The key of the configuration because of which it was answered.
    pub key: CompatKey,
    /// The parameters that the reply shows for the first time in the session, or that were to be set.
    pub parameters: Vec<&'static str>,
    /// False if the reply is an error.
    pub succeeded: bool,
    /// True if it is logged: a `CONFIG GET` is not if the session has read these parameters before.
    pub is_new: bool,
}

/// An answer in place of a refusal.
pub(super) struct Answer {
    pub(super) reply: Bytes,
    /// The key of the configuration, and whether the reply is no error; `None` for a request that has no
    /// arguments.
    pub(super) key: Option<(CompatKey, bool)>,
    /// The parameters that the reply shows.
    pub(super) shown: Shown,
}

/// A set of parameters. Each bit is the position of one among the known parameters; the highest stands for a
/// reply without any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown(u32);

impl Shown {
    const NONE: u32 = 1 << 31;

    fn add(&mut self, at: usize) {
        self.0 |= 1 << at;
    }

    /// Returns the union of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns those of `self` that are not in `known`.
    pub(super) fn beyond(self, known: Self) -> Self {
        Self(self.0 & !known.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the names of the parameters.
    pub(super) fn names(self) -> Vec<&'static str> {
        let names = parameters::PARAMETERS.iter().enumerate();
        names.filter(|(at, _)| self.0 & (1 << at) != 0).map(|(_, name)| *name).collect()
    }
}

impl Compat {
    /// Returns true if the server's values are needed.
    pub fn needs_parameters(&self) -> bool {
        self.config_get || self.notify_keyspace_events
    }

    /// Returns true if requests are answered because of `key`, as soon as the server's values are known if that
    /// needs them.
    pub fn has(&self, key: CompatKey) -> bool {
        match key {
            CompatKey::ConfigGet => self.config_get,
            CompatKey::NotifyKeyspaceEvents => self.notify_keyspace_events,
            CompatKey::Flush => self.flush,
        }
    }

    /// Returns the answer to a complete request for `spec`, in the form of `protocol`, from the server's values;
    /// `None` if it is not answered from these.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        spec: Option<&Spec>,
        protocol: Protocol,
    ) -> Option<Answer> {
        let parameters = self.parameters.as_ref()?;
        let key = CompatKey::of(request, spec).filter(|key| self.has(*key))?;
        if request.args().map(<[u8]>::len).sum::<usize>() > MOST_BYTES {
            return None;
        }
        match key {
            CompatKey::ConfigGet => Some(config_get(request, parameters, protocol)),
            CompatKey::NotifyKeyspaceEvents => set_events(request, parameters),
            CompatKey::Flush => None,
        }
    }
}

/// Answers `CONFIG GET` as Redis from 7.0 on.
fn config_get(request: &Request<'_>, parameters: &Parameters, protocol: Protocol) -> Answer {
    if request.declared() < 3 {
        let reply = policy::wrong_arity("config|get");
        return Answer { reply, key: None, shown: Shown::default() };
    }
    let mut shown = Shown::default();
    let reply = parameters.get(request.args().skip(2), protocol, |at| shown.add(at));
    if shown.is_empty() {
        shown = Shown(Shown::NONE);
    }
    Answer { reply, key: Some((CompatKey::ConfigGet, true)), shown }
}

/// Returns true for `CONFIG SET notify-keyspace-events` with one value.
fn is_of_events(request: &Request<'_>) -> bool {
    let name = request.arg(2).unwrap_or_default();
    request.declared() == 4 && name.eq_ignore_ascii_case(parameters::EVENTS.as_bytes())
}

/// Answers `CONFIG SET notify-keyspace-events`: with `OK` if the server has at least these events. `None` if it is
/// unknown which it has.
fn set_events(request: &Request<'_>, parameters: &Parameters) -> Option<Answer> {
    let present = Events::of_server(parameters.value(parameters::EVENTS)?);
    let key = CompatKey::NotifyKeyspaceEvents;
    let (reply, succeeded) = match Events::parse(request.arg(3)?, present) {
        None => (Bytes::from_static(events::INVALID), false),
        Some(wanted) if wanted.without(present).is_empty() => (reply::OK.clone(), true),
        Some(wanted) => {
            let text = format!(
                "ERR Redoubt does not change settings of the server: its notify-keyspace-events is '{present}', \
                 which lacks '{}'; its operator has to set it to '{}'",
                wanted.without(present),
                wanted.and(present),
            );
            (reply::error(text.as_bytes()), false)
        }
    };
    let mut shown = Shown::default();
    if let Some(at) = parameters::PARAMETERS.iter().position(|name| *name == parameters::EVENTS) {
        shown.add(at);
    }
    Some(Answer { reply, key: Some((key, succeeded)), shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser, encode_command};
    use crate::session::classify;
    use crate::upstream::guard;
    use bytes::BytesMut;

    fn compat() -> Compat {
        let bulk = |text: &str| guard::Answer::BulkString(text.into());
        let answers: Vec<_> = Parameters::names()
            .map(|name| match name {
                "notify-keyspace-events" => guard::Answer::Array(vec![bulk(name), bulk("xKE")]),
                "slave-read-only" => guard::Answer::Array(Vec::new()),
                _ => guard::Answer::Array(vec![bulk(name), bulk("1")]),
            })
            .collect();
        let parameters = Parameters::of(&answers).unwrap();
        Compat {
            config_get: true,
            notify_keyspace_events: true,
            flush: false,
            parameters: Some(Arc::new(parameters)),
        }
    }

    fn ask(compat: &Compat, words: &[&str]) -> Option<Answer> {
        let mut bytes = BytesMut::new();
        encode_command(words.iter().map(|word| word.as_bytes()), &mut bytes);
        let mut parser = RequestParser::new();
        let parsed = parser.parse(&bytes, &RequestLimits::AUTHENTICATED).unwrap();
        assert!(matches!(parsed, Parsed::Request { .. }));
        let request = parser.request(&bytes);
        compat.answer(&request, classify(&request), Protocol::Resp2)
    }

    fn text(compat: &Compat, words: &[&str]) -> Option<String> {
        ask(compat, words).map(|answer| String::from_utf8(answer.reply.to_vec()).unwrap())
    }

    #[test]
    fn nothing_is_answered_that_is_off_or_unknown() {
        let (get, set) =
            (["CONFIG", "GET", "timeout"], ["CONFIG", "SET", "notify-keyspace-events", "K"]);
        let all = compat();
        assert!(ask(&all, &get).is_some() && ask(&all, &set).is_some());
        let unknown = Compat { parameters: None, ..compat() };
        assert!(ask(&unknown, &get).is_none() && ask(&unknown, &set).is_none());
        let off = Compat { config_get: false, ..compat() };
        assert!(ask(&off, &get).is_none() && ask(&off, &set).is_some());
        let off = Compat { notify_keyspace_events: false, ..all };
        assert!(ask(&off, &get).is_some() && ask(&off, &set).is_none());
    }

    #[test]
    fn no_other_form_of_config_is_answered() {
        let long = "x".repeat(MOST_BYTES);
        for words in [
            &["CONFIG"][..],
            &["CONFIG", "HELP"],
            &["CONFIG", "RESETSTAT"],
            &["CONFIG", "REWRITE"],
            &["CONFIG", "NONSENSE"],
            &["CONFIG", "GET\0", "timeout"],
            &["CONFIG\0", "GET", "timeout"],
            &["CONFIG", "GET", &long],
            &["CONFIG", "SET", "notify-keyspace-events"],
            &["CONFIG", "SET", "notify-keyspace-events\0", "K"],
            &["CONFIG", "SET", "timeout", "0"],
            &["CONFIG", "SET", "notify-keyspace-events", "K", "timeout", "0"],
            &["CONFIG", "SET", "timeout", "0", "notify-keyspace-events", "K"],
            &["DEBUG", "GET", "timeout"],
        ] {
            assert!(ask(&compat(), words).is_none(), "{words:?}");
        }
    }

    #[test]
    fn names_are_shown_as_the_client_wrote_them_and_only_once() {
        let get = |words: &[&str]| text(&compat(), &[&["CONFIG", "GET"], words].concat()).unwrap();
        assert_eq!(get(&["TimeOut", "timeout", "t[i]meout"]), "*2\r\n$7\r\nTimeOut\r\n$1\r\n1\r\n");
        assert_eq!(get(&["requirepass", "dir", "slave-read-only"]), "*0\r\n");
        assert_eq!(get(&[]), "-ERR wrong number of arguments for 'config|get' command\r\n");
        let all = get(&["*"]);
        for secret in ["requirepass", "masterauth", "dir\r", "bind", "port", "file", "user"] {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
    }

    #[test]
    fn all_names_fit_into_one_request() {
        let names: Vec<_> = Parameters::names().collect();
        assert!(ask(&compat(), &[&["CONFIG", "GET"], &names[..]].concat()).is_some());
    }

    #[test]
    fn events_are_compared_as_sets() {
        let set =
            |flags: &str| text(&compat(), &["config", "set", "Notify-Keyspace-Events", flags]);
        for flags in ["", "K", "Ex", "KEx", "xxKK", "K\0q"] {
            assert_eq!(set(flags).as_deref(), Some("+OK\r\n"), "{flags:?}");
        }
        let lacking = set("KEx$gA").unwrap();
        assert!(lacking.contains("is 'xKE', which lacks 'g$lshzetd'"), "{lacking}");
        assert!(lacking.contains("set it to 'AKE'"), "{lacking}");
        assert!(set("Km").unwrap().contains("lacks 'm'"));
        for flags in ["q", "KEq", " ", "k", "ké"] {
            assert!(set(flags).unwrap().contains("Invalid event class character"), "{flags:?}");
        }
    }

    #[test]
    fn answers_name_the_parameters_that_they_show() {
        let shown = |words: &[&str]| ask(&compat(), words).unwrap().shown;
        let save = shown(&["CONFIG", "GET", "save", "nothing"]);
        assert_eq!(save.names(), ["save"]);
        let more = shown(&["CONFIG", "GET", "save", "TIMEOUT"]);
        assert_eq!(more.beyond(save).names(), ["timeout"]);
        let none = shown(&["CONFIG", "GET", "dir"]);
        assert!(!none.is_empty() && none.names().is_empty());
        assert!(none.beyond(none.and(save)).is_empty());
    }
}
