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
use redoubt_core::resp::encode_command;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::encrypted::Tls;
use super::limit::Limit;

/// Most bytes of a line that are read.
const MAX_LINE: u64 = 1 << 20;
/// Most characters of a reply that are told.
const MAX_TOLD: usize = 80;
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
        Wire { network: self.clone(), stream: BufReader::new(Box::new(stream)), peer, tls }
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
    /// A connection to it on which nothing has been said.
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
    stream: BufReader<Box<dyn Transport>>,
    peer: SocketAddr,
    tls: Option<Shown>,
}

impl Wire {
    /// Whether the other side is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }

    /// What the other side of TLS has shown; `None` in plain text.
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
        let mut request = BytesMut::new();
        encode_command(args.iter().map(|arg| arg.as_bytes()), &mut request);
        self.say(&request)
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

    /// The first bytes of the reply to these bytes, which are no Redis.
    pub(super) fn exchange<const N: usize>(&mut self, bytes: &[u8]) -> io::Result<[u8; N]> {
        self.send(bytes)?;
        let Network { runtime, limit } = &self.network;
        let mut reply = [0; N];
        runtime.block_on(limit.hold(self.stream.read_exact(&mut reply)))?;
        Ok(reply)
    }

    /// The next line of what comes.
    pub(super) fn line(&mut self) -> io::Result<String> {
        let Network { runtime, limit } = &self.network;
        let mut line = Vec::new();
        let read = async {
            (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
            Ok(())
        };
        runtime.block_on(limit.hold(read))?;
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
            text.replace("\\'", "'").replace("\\\"", "\"")
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => "no reply in time".to_owned(),
        Err(error) => error.to_string(),
    }
}
