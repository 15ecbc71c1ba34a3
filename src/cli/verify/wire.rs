//! A connection as any client would make it, every wait on it bounded.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use bytes::BytesMut;
use redoubt::config::{Endpoint, TlsVersion};
use redoubt::tls;
use redoubt_core::resp::{Protocol, Reply, ReplyDecoder, encode_request};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::limit::Limit;
use super::tls::Tls;

/// Most bytes that are read on one connection.
const MAX_BYTES: usize = 1 << 20;
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Makes connections, all within one limit.
#[derive(Clone)]
pub(super) struct Network {
    runtime: Rc<Runtime>,
    limit: Limit,
}

impl Network {
    pub(super) fn new(limit: Limit) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime: Rc::new(runtime), limit })
    }

    /// Connects to the first address of `endpoint` that answers.
    pub(super) fn connect(&self, endpoint: &Endpoint) -> io::Result<Wire> {
        let (stream, peer) = self.open(endpoint)?;
        Ok(self.wire(stream, peer, None))
    }

    /// The same in TLS. What goes wrong with that is an error of its own.
    pub(super) fn connect_tls(
        &self,
        endpoint: &Endpoint,
        client: &tls::Client,
    ) -> io::Result<Result<Wire, io::Error>> {
        let (stream, peer) = self.open(endpoint)?;
        let shaken = self.limit.hold(client.connect(stream, &endpoint.host));
        Ok(self.runtime.block_on(shaken).map(|stream| {
            let shown = Shown {
                version: stream.version(),
                ends: stream.peer_not_after(),
                name: stream.peer_name().unwrap_or_else(|| "nobody".into()),
            };
            self.wire(stream, peer, Some(shown))
        }))
    }

    fn wire(&self, stream: impl Transport + 'static, peer: SocketAddr, tls: Option<Shown>) -> Wire {
        let replies = ReplyDecoder::new(MAX_BYTES);
        Wire { network: self.clone(), stream: Box::new(stream), replies, peer, tls }
    }

    fn open(&self, endpoint: &Endpoint) -> io::Result<(TcpStream, SocketAddr)> {
        self.runtime.block_on(async {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in self.addresses(endpoint).await? {
                match self.limit.hold(TcpStream::connect(address)).await {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    /// The addresses of `endpoint`. That a name is not found in time says nothing of what it names,
    /// so this never gives [`io::ErrorKind::TimedOut`].
    async fn addresses(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        let found = self.limit.hold(resolve(endpoint)).await;
        found.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => io::Error::other("the name is not looked up in time"),
            _ => error,
        })
    }
}

/// Asks the system. Nobody need wait for it: the thread goes on alone until the system answers.
async fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        let _ = tell.send(found.map(|found| found.take(MAX_ADDRESSES).collect()));
    })?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the name cannot be looked up")))
}

/// What carries bytes.
trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// What the other side of TLS has shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) version: Option<TlsVersion>,
    /// When its certificate ends.
    pub(super) ends: Option<SystemTime>,
    /// Whom its certificate is for.
    pub(super) name: Arc<str>,
}

/// Whom to ask, and as whom.
pub(crate) struct Target {
    pub(super) endpoint: Endpoint,
    /// `None`: `AUTH` is given the password alone.
    pub(super) user: Option<String>,
    /// `None` only where none is asked for.
    pub(super) password: Option<SecretString>,
    /// Whether commands run without a password.
    pub(super) open: bool,
    pub(super) network: Network,
    /// Whether it is spoken to in TLS.
    pub(super) encrypted: bool,
    /// How TLS is spoken, here and to Redis itself.
    pub(super) tls: Option<Tls>,
}

impl Target {
    /// A new connection to the address, over which nothing was sent yet.
    pub(super) fn connect(&self) -> io::Result<Wire> {
        self.connect_to(&self.endpoint, self.encrypted)
    }

    /// A connection to `endpoint`, in TLS or not.
    pub(super) fn connect_to(&self, endpoint: &Endpoint, encrypted: bool) -> io::Result<Wire> {
        match self.tls.as_ref().filter(|_| encrypted) {
            Some(tls) => self.network.connect_tls(endpoint, &tls.client)?,
            None => self.network.connect(endpoint),
        }
    }

    /// A connection that has logged in, if there is a need to.
    pub(super) fn login(&self) -> io::Result<Wire> {
        let mut wire = self.connect()?;
        let Some(password) = &self.password else { return Ok(wire) };
        match wire.auth(self.user.as_deref(), password.expose_secret())?.as_str() {
            "+OK" => Ok(wire),
            _ if self.open => Ok(wire),
            other => Err(io::Error::other(format!("AUTH is answered {other}"))),
        }
    }

    /// The reply to a command of a client that has logged in.
    pub(super) fn ask(&self, args: &[&str]) -> io::Result<String> {
        self.login()?.ask(args)
    }
}

/// One connection.
pub(super) struct Wire {
    network: Network,
    stream: Box<dyn Transport>,
    replies: ReplyDecoder,
    peer: SocketAddr,
    tls: Option<Shown>,
}

impl Wire {
    /// Returns whether the other side is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }

    /// Returns what the other side of TLS has shown; `None` in plain text.
    pub(super) fn tls(&self) -> Option<&Shown> {
        self.tls.as_ref()
    }

    /// `AUTH`. Of an error only its first word is given: Redis repeats the arguments of a command
    /// that it does not know.
    pub(super) fn auth(&mut self, user: Option<&str>, password: &str) -> io::Result<String> {
        let reply = match user {
            Some(user) => self.ask(&["AUTH", user, password]),
            None => self.ask(&["AUTH", password]),
        }?;
        Ok(reply.split(' ').next().unwrap_or_default().to_owned())
    }

    /// The first line of the reply to a command.
    pub(super) fn ask(&mut self, args: &[&str]) -> io::Result<String> {
        self.send_command(args)?;
        self.line()
    }

    /// The reply to a command of a server that speaks Redis.
    pub(super) fn ask_whole(&mut self, args: &[&str]) -> io::Result<Reply> {
        self.send_command(args)?;
        match self.reply()? {
            Said::Reply(reply) => Ok(reply),
            Said::Other(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "no reply of Redis")),
        }
    }

    fn send_command(&mut self, args: &[&str]) -> io::Result<()> {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut request = BytesMut::new();
        encode_request(&args, &mut request);
        self.send(&request)
    }

    /// The first line of the reply to these bytes.
    pub(super) fn say(&mut self, bytes: &[u8]) -> io::Result<String> {
        self.send(bytes)?;
        self.line()
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Network { runtime, limit } = &self.network;
        runtime.block_on(limit.hold(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        }))
    }

    /// The first bytes that come in reply to these, which are no Redis; nothing else may have been said.
    pub(super) fn exchange<const N: usize>(&mut self, bytes: &[u8]) -> io::Result<[u8; N]> {
        self.send(bytes)?;
        let Network { runtime, limit } = &self.network;
        let mut reply = [0; N];
        runtime.block_on(limit.hold(self.stream.read_exact(&mut reply)))?;
        Ok(reply)
    }

    /// The first line of the next reply, or of what comes in its place.
    pub(super) fn line(&mut self) -> io::Result<String> {
        Ok(match self.reply()? {
            Said::Reply(reply) => first_line(&reply),
            Said::Other(line) => line,
        })
    }

    fn reply(&mut self) -> io::Result<Said> {
        let Self { network: Network { runtime, limit }, stream, replies, .. } = self;
        runtime.block_on(limit.hold(async {
            loop {
                match replies.next(Protocol::Resp2) {
                    Ok(Some(reply)) => return Ok(Said::Reply(reply)),
                    Ok(None) => {}
                    // Nothing more is understood of what comes.
                    Err(_) => {
                        if let Some(line) = line_of(replies.buffer()) {
                            return Ok(Said::Other(line));
                        }
                    }
                }
                if replies.buffer().len() >= MAX_BYTES
                    || stream.read_buf(replies.buffer()).await? == 0
                {
                    let closed = "closed without a reply";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed));
                }
            }
        }))
    }
}

/// What the other side has said.
enum Said {
    /// A reply of Redis.
    Reply(Reply),
    /// The first line of something else.
    Other(String),
}

/// The first line of `bytes`, if its end has come.
fn line_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).trim_end().to_owned())
}

/// The line that a reply begins with on the wire.
fn first_line(reply: &Reply) -> String {
    match reply {
        Reply::SimpleString(text) => format!("+{}", String::from_utf8_lossy(text).trim_end()),
        Reply::Error(text) => format!("-{}", text.trim_end()),
        Reply::Integer(number) => format!(":{number}"),
        Reply::BulkString(text) => format!("${}", text.len()),
        Reply::Array(values) => format!("*{}", values.len()),
        Reply::Null => "$-1".to_owned(),
    }
}
