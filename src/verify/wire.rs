//! A connection as any client would make it, every wait on it bounded.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use redoubt::auth::DEFAULT_USER;
use redoubt::config::Endpoint;
use redoubt::resp::encode_command;
use secrecy::{ExposeSecret, SecretString};

/// Most bytes that are read from one connection.
const MAX_READ: u64 = 1 << 20;
/// Most characters of a reply that are told.
const MAX_TOLD: usize = 120;

/// Whom to ask, and as whom.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// `None`: `AUTH` is given the password alone.
    pub(super) user: Option<String>,
    pub(super) password: SecretString,
    /// The most that connecting or one reply may take.
    pub(super) timeout: Duration,
}

/// Connects to the first address of `endpoint` that answers; each is given `timeout`.
pub(super) fn connect(endpoint: &Endpoint, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (endpoint.host.as_str(), endpoint.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    replies: BufReader<io::Take<TcpStream>>,
}

impl Wire {
    pub(super) fn open(endpoint: &Endpoint, timeout: Duration) -> io::Result<Self> {
        let stream = connect(endpoint, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let replies = BufReader::new(stream.try_clone()?.take(MAX_READ));
        Ok(Self { stream, replies })
    }

    /// Whether the other side is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.stream.peer_addr().is_ok_and(|address| address.ip().is_loopback())
    }

    /// A connection that has logged in.
    pub(super) fn login(target: &Target) -> io::Result<Self> {
        let mut wire = Self::open(&target.endpoint, target.timeout)?;
        match wire.auth(target)?.as_str() {
            "+OK" => Ok(wire),
            other => Err(io::Error::other(format!("AUTH is answered {other}"))),
        }
    }

    /// `AUTH` as `target` says. Of an error only its first word is given: Redis repeats the
    /// arguments of a command that it does not know.
    pub(super) fn auth(&mut self, target: &Target) -> io::Result<String> {
        let password = target.password.expose_secret();
        let reply = match &target.user {
            Some(user) => self.ask(&["AUTH", user, password]),
            None => self.ask(&["AUTH", password]),
        }?;
        Ok(reply.split(' ').next().unwrap_or_default().to_owned())
    }

    /// A wrong password, for the same user.
    pub(super) fn auth_wrongly(&mut self, target: &Target) -> io::Result<String> {
        let user = target.user.as_deref().unwrap_or(DEFAULT_USER);
        self.ask(&["AUTH", user, "redoubt-verify-wrong-password"])
    }

    /// The first line of the reply to a command.
    pub(super) fn ask(&mut self, args: &[&str]) -> io::Result<String> {
        let mut request = bytes::BytesMut::new();
        encode_command(args.iter().map(|arg| arg.as_bytes()), &mut request);
        self.say(&request)
    }

    /// The first line of the reply to these bytes.
    pub(super) fn say(&mut self, bytes: &[u8]) -> io::Result<String> {
        self.stream.write_all(bytes)?;
        self.line()
    }

    /// The next line of what comes.
    pub(super) fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.replies.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without a reply"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A reply, or why there is none, fit for a line of the report.
pub(super) fn told(reply: &io::Result<String>) -> String {
    match reply {
        Ok(reply) => {
            let mut told = reply.chars().flat_map(char::escape_debug);
            let mut text: String = told.by_ref().take(MAX_TOLD).collect();
            if told.next().is_some() {
                text.push('…');
            }
            text.replace("\\'", "'")
        }
        Err(error) if is_timeout(error) => "no reply in time".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A wait that was over; `WouldBlock` is what a socket's time limit gives.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
