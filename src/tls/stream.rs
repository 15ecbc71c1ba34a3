//! A TLS connection.

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
use redoubt_core::auth::CertificateName;

/// A connection after its handshake. On drop it sends the closing alert, if that needs no waiting.
/// An end without the alert is accepted from the peer too: the protocol inside knows whether its
/// data is complete.
#[derive(Debug)]
pub struct Stream(TlsStream<TcpStream>);

impl Stream {
    /// Returns the socket underneath, for its options.
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref().0
    }

    /// Returns the version in use.
    pub fn version(&self) -> Option<TlsVersion> {
        peer::version(self.0.get_ref().1)
    }

    /// Returns when the peer's certificate ends; `None` if it has sent none.
    pub fn peer_not_after(&self) -> Option<SystemTime> {
        peer::not_after(self.0.get_ref().1)
    }

    /// Returns the name that the peer's certificate is for; `None` if it has sent none. It is the
    /// first URI among the alternative names, else the first DNS name, else the common name, else
    /// the digest; escaped, at most 256 characters.
    pub fn peer_name(&self) -> Option<Arc<str>> {
        peer::name(self.0.get_ref().1)
    }

    /// Returns all URIs and DNS names among the alternative names of the peer's certificate. Of a client, the
    /// handshake has verified it against `tls.client_ca`: without that, no certificate is requested.
    pub fn peer_alternative_names(&self) -> Vec<CertificateName> {
        peer::alternative_names(self.0.get_ref().1)
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
    /// Reads all records that have come and fit into the buffer, so that requests sent together are
    /// processed together.
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
