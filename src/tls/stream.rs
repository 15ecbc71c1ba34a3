//! A connection in TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::peer;
use crate::config::TlsVersion;

/// A connection whose handshake is over. Dropped, it tells the other side so, if that needs no
/// waiting. An end without such a word is an end all the same: what is spoken inside knows by
/// itself whether it is whole.
#[derive(Debug)]
pub struct Stream(TlsStream<TcpStream>);

impl Stream {
    /// The socket underneath, for its options.
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref().0
    }

    /// The version that is spoken.
    pub fn version(&self) -> Option<TlsVersion> {
        peer::version(self.0.get_ref().1)
    }

    /// Returns when the other side's certificate ends; `None` if it has shown none.
    pub fn peer_not_after(&self) -> Option<SystemTime> {
        peer::not_after(self.0.get_ref().1)
    }

    /// Whom the other side's certificate is for; `None` if it has shown none. The first URI among
    /// its alternative names, else the first DNS name, else the common name, else its digest;
    /// escaped, at most 256 characters.
    pub fn peer_name(&self) -> Option<Arc<str>> {
        peer::name(self.0.get_ref().1)
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self(stream)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.0).poll_shutdown(&mut cx);
    }
}

impl AsyncRead for Stream {
    /// Takes all records that have come and fit, so that what was sent together is dealt with
    /// together.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            let had = buffer.filled().len();
            let read = Pin::new(&mut self.0).poll_read(cx, buffer);
            if had > before && !matches!(read, Poll::Ready(Ok(()))) {
                break;
            }
            match ready!(read) {
                Ok(()) if buffer.filled().len() > had => {}
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(error));
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
