//! A connection such as any client opens, with a time limit on every wait.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use bytes::BytesMut;
use redoubt::config::{Endpoint, Node, TlsVersion};
use redoubt::tls;
use redoubt_core::resp::{Protocol, Reply, ReplyDecoder, encode_request};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::limit::Limit;
use super::tls::Tls;

/// Most bytes that are read on one connection.
const MAX_BYTES: usize = 1 << 20;
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Opens connections, all under the same time limits.
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

    /// Connects to the first address of `node` that accepts.
    pub(super) fn connect(&self, node: &Node) -> io::Result<Wire> {
        match node {
            Node::Tcp(endpoint) => {
                let (stream, peer) = self.open(endpoint)?;
                Ok(self.wire(stream, Some(peer), None))
            }
            Node::Unix(path) => {
                let opened = self.limit.hold(UnixStream::connect(path));
                Ok(self.wire(self.runtime.block_on(opened)?, None, None))
            }
        }
    }

    /// Connects in TLS. A failed handshake is an error of its own kind.
    pub(super) fn connect_tls(
        &self,
        node: &Node,
        client: &tls::Client,
    ) -> io::Result<Result<Wire, io::Error>> {
        let Node::Tcp(endpoint) = node else { return self.connect(node).map(Ok) };
        let (stream, peer) = self.open(endpoint)?;
        let shaken = self.limit.hold(client.connect(stream, &endpoint.host));
        Ok(self.runtime.block_on(shaken).map(|stream| {
            let shown = Shown {
                version: stream.version(),
                ends: stream.peer_not_after(),
                name: stream.peer_name().unwrap_or_else(|| "nobody".into()),
            };
            self.wire(stream, Some(peer), Some(shown))
        }))
    }

    fn wire(
        &self,
        stream: impl Transport + 'static,
        peer: Option<SocketAddr>,
        tls: Option<Shown>,
    ) -> Wire {
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

    /// Returns the addresses of `endpoint`. A slow name lookup proves nothing about the service, so
    /// this never returns [`io::ErrorKind::TimedOut`].
    async fn addresses(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        let found = self.limit.hold(resolve(endpoint)).await;
        found.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => io::Error::other("the name lookup took too long"),
            _ => error,
        })
    }
}

/// Asks the system. The call cannot be cancelled, so it runs on a thread of its own, which may
/// outlive this function.
async fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let (sender, answer) = oneshot::channel();
    thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        let _ = sender.send(found.map(|found| found.take(MAX_ADDRESSES).collect()));
    })?;
    answer.await.unwrap_or_else(|_| Err(io::Error::other("the name lookup failed")))
}

/// A stream of bytes.
trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// Facts about the peer of a TLS connection.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) version: Option<TlsVersion>,
    /// When its certificate ends.
    pub(super) ends: Option<SystemTime>,
    /// The name that its certificate is for.
    pub(super) name: Arc<str>,
}

/// The address to check, and the login to use.
#[derive(Clone)]
pub(crate) struct Target {
    pub(super) node: Node,
    /// The user; `None` sends `AUTH` with only the password.
    pub(super) user: Option<String>,
    /// The password; `None` only if none is required.
    pub(super) password: Option<SecretString>,
    /// `true` if commands run without a password.
    pub(super) open: bool,
    pub(super) network: Network,
    /// `true` if the address is connected to in TLS.
    pub(super) encrypted: bool,
    /// The TLS clients, for this address and for Redis itself.
    pub(super) tls: Option<Rc<Tls>>,
}

impl Target {
    /// Opens a new connection to the address.
    pub(super) fn connect(&self) -> io::Result<Wire> {
        self.connect_to(&self.node, self.encrypted)
    }

    /// Opens a connection to `node`, with or without TLS.
    pub(super) fn connect_to(&self, node: &Node, encrypted: bool) -> io::Result<Wire> {
        match self.tls.as_ref().filter(|_| encrypted) {
            Some(tls) => self.network.connect_tls(node, &tls.client)?,
            None => self.network.connect(node),
        }
    }

    /// Opens a connection and logs in, if a password is required.
    pub(super) fn login(&self) -> io::Result<Wire> {
        let mut wire = self.connect()?;
        let Some(password) = &self.password else { return Ok(wire) };
        match wire.auth(self.user.as_deref(), password.expose_secret())?.as_str() {
            "+OK" => Ok(wire),
            _ if self.open => Ok(wire),
            other => Err(io::Error::other(format!("AUTH is answered {other}"))),
        }
    }

    /// Returns the reply to a command of an authenticated client.
    pub(super) fn ask(&self, args: &[&str]) -> io::Result<String> {
        self.login()?.ask(args)
    }
}

/// A connection.
pub(super) struct Wire {
    network: Network,
    stream: Box<dyn Transport>,
    replies: ReplyDecoder,
    /// `None` for a Unix socket.
    peer: Option<SocketAddr>,
    tls: Option<Shown>,
}

impl Wire {
    /// Returns whether the peer is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// Returns whether it is over a Unix socket.
    pub(super) fn is_unix(&self) -> bool {
        self.peer.is_none()
    }

    /// Returns facts about the TLS peer; `None` for plain text.
    pub(super) fn tls(&self) -> Option<&Shown> {
        self.tls.as_ref()
    }

    /// Sends `AUTH`. Returns only the first word of an error: Redis repeats the arguments of an
    /// unknown command.
    pub(super) fn auth(&mut self, user: Option<&str>, password: &str) -> io::Result<String> {
        let reply = match user {
            Some(user) => self.ask(&["AUTH", user, password]),
            None => self.ask(&["AUTH", password]),
        }?;
        Ok(reply.split(' ').next().unwrap_or_default().to_owned())
    }

    /// Returns the first line of the reply to a command.
    pub(super) fn ask(&mut self, args: &[&str]) -> io::Result<String> {
        self.send_command(args)?;
        self.line()
    }

    /// Returns the whole reply to a command, from a server that speaks Redis's protocol.
    pub(super) fn ask_whole(&mut self, args: &[&str]) -> io::Result<Reply> {
        self.send_command(args)?;
        match self.reply()? {
            Said::Reply(reply) => Ok(reply),
            Said::Other(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "not a reply of Redis"))
            }
        }
    }

    fn send_command(&mut self, args: &[&str]) -> io::Result<()> {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut request = BytesMut::new();
        encode_request(&args, &mut request);
        self.send(&request)
    }

    /// Sends `bytes` and returns the first line of the reply.
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

    /// Sends bytes that are not Redis's protocol, and returns the first bytes of the answer. The
    /// connection must be new.
    pub(super) fn exchange<const N: usize>(&mut self, bytes: &[u8]) -> io::Result<[u8; N]> {
        self.send(bytes)?;
        let Network { runtime, limit } = &self.network;
        let mut reply = [0; N];
        runtime.block_on(limit.hold(self.stream.read_exact(&mut reply)))?;
        Ok(reply)
    }

    /// Returns the first line of the next reply, or of other data in its place.
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
                    // The rest of the data cannot be parsed either.
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

/// What the peer has sent.
enum Said {
    /// A reply of Redis.
    Reply(Reply),
    /// The first line of other data.
    Other(String),
}

/// Returns the first line of `bytes`, if it is complete.
fn line_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).trim_end().to_owned())
}

/// Returns the first line of a reply in its wire format.
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
