//! Logs in to the upstream: the first requests on a link, and the meaning of their replies.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::types::Resp2Frame;
use secrecy::ExposeSecret;

use super::credentials::Credentials;
use super::dialect::Dialect;
use crate::command::Version;
use crate::resp::{Protocol, Reply, ReplyDecoder, encode_request, reply};

/// The facts that a link learned at its login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The upstream's version, if the login asked for it and the upstream reported it.
    pub version: Option<Version>,
    /// The upstream's dialect, by its name and version; the strictest if it reported none.
    pub dialect: Dialect,
    /// True if the login asked for it and the upstream reported that it is not part of a cluster.
    pub standalone: bool,
    /// The upstream's role, if the login asked for it and the upstream reported it.
    pub role: Option<Role>,
}

/// A server's role in replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The server accepts writes.
    Primary,
    /// The server follows a primary.
    Replica,
}

impl Greeting {
    /// Reads the reply to `HELLO 2`, a flat array of names and values.
    pub fn of(answer: &Reply) -> Self {
        let mut greeting = Self::default();
        let Reply::Array(fields) = answer else { return greeting };
        let (pairs, _) = fields.as_chunks::<2>();
        let mut server = None;
        for [name, value] in pairs {
            match (name.as_str(), value.as_str()) {
                (Some("version"), Some(version)) => greeting.version = Version::parse(version),
                (Some("server"), name) => server = name,
                (Some("mode"), mode) => greeting.standalone = mode == Some("standalone"),
                (Some("role"), Some("master" | "primary")) => greeting.role = Some(Role::Primary),
                (Some("role"), Some("replica" | "slave")) => greeting.role = Some(Role::Replica),
                _ => {}
            }
        }
        if let (Some(server), Some(version)) = (server, greeting.version) {
            greeting.dialect = Dialect::of(server, version);
        }
        greeting
    }
}

/// Why a login failed. The fault is always the upstream's or the operator's, never a client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The password or user is wrong.
    #[error("upstream refused the login: wrong user or password (WRONGPASS)")]
    WrongPassword,
    /// Redis requires a password and none is configured.
    #[error("upstream requires a password (NOAUTH) and none is configured")]
    PasswordRequired,
    /// A password is configured and Redis has none.
    #[error("upstream has no password for this user, but one is configured")]
    NoPasswordSet,
    /// Redis sent another error, such as the one for too many clients. The text is Redis's, truncated.
    #[error("upstream refused the link: {0}")]
    Refused(String),
    /// Redis cannot prepare the link now, as while a script overruns. The error is Redis's, unchanged.
    #[error("upstream has no time for the link: {}", shown(.0))]
    NotNow(Bytes),
    /// The server is a replica, where the link must go to a primary.
    #[error("the server is a replica")]
    Replica,
    /// The bytes are not RESP, or the reply does not fit the request.
    #[error("upstream does not speak the Redis protocol")]
    NotRedis,
}

/// The login of a link. The caller passes it the bytes that arrive until it returns a greeting or an
/// error.
#[derive(Debug)]
pub struct Login {
    replies: ReplyDecoder,
    /// Requests without a reply, in order.
    asked: VecDeque<Asked>,
    greeting: Greeting,
}

/// A request of a login.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// `AUTH` or `PING`; its reply shows whether the server accepts the link.
    Admission,
    /// `HELLO 3`; its reply is in RESP3 already.
    Protocol,
    /// `SELECT`.
    Database,
    /// `HELLO 2`, only for the greeting: an old Redis does not know it.
    Version,
    /// `HELLO 2`, whose reply must not say that the server is a replica.
    Role,
}

impl Login {
    /// Most bytes of all replies during login; more is [`LoginError::NotRedis`].
    pub const MAX_REPLIES: usize = 16 << 10;

    /// Creates a login that asks for the upstream's version, which `HELLO` reports from Redis 6 on, and
    /// returns the bytes that begin it.
    pub fn asking_version(credentials: &Credentials) -> (Self, Bytes) {
        let (mut login, mut out) = Self::begin(credentials);
        login.ask(Asked::Version, &[b"HELLO", b"2"], &mut out);
        (login, out.freeze())
    }

    /// Creates a login after which the link uses `protocol` and has `database` selected, and returns
    /// the bytes that begin it. With `primary_only` it fails at a replica.
    pub fn preparing(
        credentials: &Credentials,
        protocol: Protocol,
        database: u32,
        primary_only: bool,
    ) -> (Self, Bytes) {
        let (mut login, mut out) = Self::begin(credentials);
        if primary_only {
            login.ask(Asked::Role, &[b"HELLO", b"2"], &mut out);
        }
        if protocol == Protocol::Resp3 {
            login.ask(Asked::Protocol, &[b"HELLO", b"3"], &mut out);
        }
        if database != 0 {
            let database = database.to_string();
            login.ask(Asked::Database, &[b"SELECT", database.as_bytes()], &mut out);
        }
        (login, out.freeze())
    }

    fn begin(credentials: &Credentials) -> (Self, BytesMut) {
        let mut login = Self {
            replies: ReplyDecoder::new(Self::MAX_REPLIES),
            asked: VecDeque::new(),
            greeting: Greeting::default(),
        };
        let mut out = BytesMut::new();
        let user = credentials.user.as_deref().map(str::as_bytes);
        let password = credentials.password.as_ref().map(|p| p.expose_secret().as_bytes());
        match (user, password) {
            (Some(user), Some(password)) => {
                login.ask(Asked::Admission, &[b"AUTH", user, password], &mut out);
            }
            (None, Some(password)) => login.ask(Asked::Admission, &[b"AUTH", password], &mut out),
            (_, None) => login.ask(Asked::Admission, &[b"PING"], &mut out),
        }
        (login, out)
    }

    fn ask(&mut self, asked: Asked, words: &[&[u8]], out: &mut BytesMut) {
        encode_request(words, out);
        self.asked.push_back(asked);
    }

    /// Reads bytes. Returns the greeting when the link is ready.
    ///
    /// # Errors
    /// [`LoginError`]; the caller closes the link.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<Greeting>, LoginError> {
        self.replies.buffer().extend_from_slice(input);
        while let Some(asked) = self.asked.front() {
            let protocol = match asked {
                Asked::Protocol => Protocol::Resp3,
                Asked::Admission | Asked::Database | Asked::Version | Asked::Role => {
                    Protocol::Resp2
                }
            };
            let reply = self.replies.next(protocol).map_err(|_| LoginError::NotRedis)?;
            let Some(reply) = reply else { return Ok(None) };
            match asked {
                Asked::Admission => admitted(&reply)?,
                Asked::Protocol | Asked::Database => prepared(&reply)?,
                Asked::Version => self.greeting = Greeting::of(&reply),
                Asked::Role if Greeting::of(&reply).role == Some(Role::Replica) => {
                    return Err(LoginError::Replica);
                }
                Asked::Role => {}
            }
            self.asked.pop_front();
        }
        // No bytes may follow the last reply of the login.
        if self.replies.is_empty() { Ok(Some(self.greeting)) } else { Err(LoginError::NotRedis) }
    }
}

/// Checks the reply to `AUTH` or `PING`: it must show that the server accepts the link.
fn admitted(reply: &Reply) -> Result<(), LoginError> {
    let error = match reply {
        Reply::SimpleString(_) => return Ok(()),
        Reply::Error(error) => error,
        _ => return Err(LoginError::NotRedis),
    };
    match error.split(' ').next().unwrap_or_default() {
        "WRONGPASS" => Err(LoginError::WrongPassword),
        "NOAUTH" => Err(LoginError::PasswordRequired),
        // Redis sends these to PING while it is not ready; clients will get them too.
        "LOADING" | "BUSY" | "MASTERDOWN" | "NOPERM" | "MISCONF" => Ok(()),
        _ if error.starts_with("ERR invalid password") => Err(LoginError::WrongPassword),
        _ if error.starts_with("ERR AUTH <password> called without any password")
            || error.starts_with("ERR Client sent AUTH, but no password is set") =>
        {
            Err(LoginError::NoPasswordSet)
        }
        _ => Err(LoginError::Refused(shown(error.as_bytes()))),
    }
}

/// Checks that the reply to a request that prepares the link is no error.
fn prepared(reply: &Reply) -> Result<(), LoginError> {
    match reply {
        Reply::Error(error) if is_passing(error) => {
            Err(LoginError::NotNow(reply::error(error.as_bytes())))
        }
        Reply::Error(error) => Err(LoginError::Refused(shown(error.as_bytes()))),
        _ => Ok(()),
    }
}

/// Returns true for errors that are temporary: Redis runs a script, loads its data, or has lost its
/// primary.
pub(super) fn is_passing(error: &str) -> bool {
    matches!(error.split(' ').next(), Some("BUSY" | "LOADING" | "MASTERDOWN"))
}

/// Returns Redis's error text, or the whole reply, escaped for a log.
pub(super) fn shown(error: &[u8]) -> String {
    /// Most bytes that are kept.
    const MAX_TEXT: usize = 128;
    let text = error.trim_ascii_end();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    text.get(..MAX_TEXT).unwrap_or(text).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(ask_version: bool) -> Login {
        let credentials = Credentials { user: None, password: Some("pw".into()) };
        if ask_version {
            Login::asking_version(&credentials).0
        } else {
            Login::preparing(&credentials, Protocol::Resp2, 0, false).0
        }
    }

    #[test]
    fn login_reads_the_version_from_hello_in_single_byte_segments() {
        let mut login = login(true);
        let replies = b"+OK\r\n*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n\
            $7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n";
        let (last, before) = replies.split_last().unwrap();
        for byte in before {
            assert_eq!(login.receive(&[*byte]), Ok(None));
        }
        let greeting = login.receive(&[*last]).unwrap().unwrap();
        assert_eq!(greeting.version, Version::parse("7.0.15"));
        assert_eq!(greeting.dialect, Dialect::REDIS_7_0);
        assert!(greeting.standalone);
        assert_eq!(greeting.role, None);
        let role = |role: &str| {
            let reply = format!("+OK\r\n*2\r\n$4\r\nrole\r\n${}\r\n{role}\r\n", role.len());
            super::Login::asking_version(&Credentials::default())
                .0
                .receive(reply.as_bytes())
                .unwrap()
                .unwrap()
                .role
        };
        assert_eq!(role("master"), Some(Role::Primary));
        assert_eq!(role("replica"), Some(Role::Replica));
        assert_eq!(role("sentinel"), None);
    }

    #[test]
    fn login_accepts_a_redis_without_hello_and_leaves_the_version_unknown() {
        let greeting = login(true).receive(b"+OK\r\n-ERR unknown command `HELLO`\r\n");
        assert_eq!(greeting, Ok(Some(Greeting::default())));
    }

    #[test]
    fn login_errors_show_whose_fault_they_are() {
        let outcome = |reply: &[u8]| login(false).receive(reply).unwrap_err();
        assert_eq!(outcome(b"-WRONGPASS invalid\r\n"), LoginError::WrongPassword);
        assert_eq!(outcome(b"-ERR invalid password\r\n"), LoginError::WrongPassword);
        assert_eq!(outcome(b"-NOAUTH Authentication required.\r\n"), LoginError::PasswordRequired);
        assert_eq!(outcome(b"HTTP/1.1 400 Bad Request\r\n"), LoginError::NotRedis);
        assert_eq!(outcome(b"+OK\r\n+what\r\n"), LoginError::NotRedis);
        let full = outcome(b"-ERR max number of clients reached\r\n");
        assert_eq!(full, LoginError::Refused("ERR max number of clients reached".into()));
    }

    #[test]
    fn a_link_is_ready_only_after_protocol_and_database_are_set() {
        let (mut login, out) = Login::preparing(&Credentials::default(), Protocol::Resp3, 9, false);
        assert_eq!(
            out,
            "*1\r\n$4\r\nPING\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n"
        );
        assert_eq!(login.receive(b"+PONG\r\n%0\r\n"), Ok(None));
        let error = login.receive(b"-ERR DB index is out of range\r\n").unwrap_err();
        assert_eq!(error, LoginError::Refused("ERR DB index is out of range".into()));
    }

    #[test]
    fn login_fails_if_replies_exceed_the_size_limit() {
        let mut login = login(false);
        let mut outcome = Ok(None);
        for _ in 0..20 {
            outcome = login.receive(&[b'+'; 1024]);
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(LoginError::NotRedis));
    }
}
