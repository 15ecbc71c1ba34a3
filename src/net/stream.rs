//! The transports to clients and to the upstream: TCP, Unix sockets and TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::tls;

/// A connection to a client or to the upstream.
///
/// TLS may buffer written bytes until [`AsyncWrite::poll_flush`] is ready; the other kinds buffer
/// nothing.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over TCP. Boxed, so that sessions without TLS need no more memory.
    Tls(Box<tls::Stream>),
}

/// A socket of one of the two kinds, or a listener for one.
#[derive(Debug)]
pub(crate) enum Socket<T, U> {
    Tcp(T),
    Unix(U),
}

/// A client's connection that is registered with this thread's runtime.
pub(crate) type Arrived = Socket<TcpStream, UnixStream>;

/// A client's connection on its way to a worker, registered with no runtime.
pub(crate) type Passed = Socket<std::net::TcpStream, StdUnixStream>;

impl Arrived {
    /// Removes the socket from this thread's runtime.
    pub(crate) fn pass(self) -> io::Result<Passed> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(stream.into_std()?),
            Self::Unix(stream) => Socket::Unix(stream.into_std()?),
        })
    }

    /// Writes as many bytes as the socket takes without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }
}

impl Passed {
    /// Registers the socket with this thread's runtime.
    pub(crate) fn arrive(self) -> io::Result<Arrived> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Stream {
    /// Returns the kind of listener that takes such connections.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Unix(_) => "unix",
        }
    }

    /// Returns the address of its own end as Redis writes it; empty if the system does not report it.
    pub(crate) fn local_address(&self) -> String {
        let address = match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.socket().local_addr(),
            Self::Unix(stream) => {
                let path = stream.local_addr().ok();
                let path = path.as_ref().and_then(|address| address.as_pathname());
                return path.map_or(String::new(), |path| format!("{}:0", path.display()));
            }
        };
        let address =
            address.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Returns the address of the other end; `None` for a Unix socket, or if the system does not report it.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        let address = match self {
            Self::Tcp(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.socket().peer_addr(),
            Self::Unix(_) => return None,
        };
        address.ok().map(|address| address.ip().to_canonical())
    }

    /// Returns whether the peer has closed or reset the connection, or its sending side, as far as the
    /// runtime has been told; bytes before that may still be unread. In TLS the end of the TCP
    /// connection counts. Makes no system call.
    pub(crate) fn is_read_closed(&self) -> bool {
        let ready = match self {
            Self::Tcp(stream) => at_once(stream.ready(Interest::READABLE)),
            Self::Unix(stream) => at_once(stream.ready(Interest::READABLE)),
            Self::Tls(stream) => at_once(stream.socket().ready(Interest::READABLE)),
        };
        ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
    }
}

/// What a future gives without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

impl Socket<std::net::TcpListener, StdUnixListener> {
    /// Registers the listener with this thread's runtime.
    pub(crate) fn arrive(self) -> io::Result<Socket<TcpListener, UnixListener>> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener) => Socket::Unix(UnixListener::from_std(listener)?),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
