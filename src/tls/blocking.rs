//! A connection in TLS for a program that waits for it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use super::peer;
use crate::config::TlsVersion;

/// A connection whose handshake is over, made by [`super::Client::connect_blocking`]. Its socket's
/// time limits hold.
#[derive(Debug)]
pub struct Blocking(StreamOwned<ClientConnection, TcpStream>);

impl Blocking {
    pub(super) fn open(
        mut connection: ClientConnection,
        mut stream: TcpStream,
    ) -> io::Result<Self> {
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self(StreamOwned::new(connection, stream)))
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// The version that is spoken.
    pub fn version(&self) -> Option<TlsVersion> {
        peer::version(&self.0.conn)
    }

    /// When the other side's certificate ends.
    pub fn peer_not_after(&self) -> Option<SystemTime> {
        peer::not_after(&self.0.conn)
    }

    /// As [`super::Stream::peer_name`].
    pub fn peer_name(&self) -> Option<Arc<str>> {
        peer::name(&self.0.conn)
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }
}
