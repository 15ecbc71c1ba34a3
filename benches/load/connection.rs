//! A client's connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;

use bytes::BytesMut;
use redoubt_core::resp::{ReplyScanner, encode_command};

use crate::Outcome;

/// Where a server listens.
#[derive(Clone)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix://") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp),
        }
    }
}

impl Address {
    fn connect(&self) -> Outcome<TcpStream> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            // Reads and writes are the same for both kinds of sockets.
            Self::Unix(path) => Ok(OwnedFd::from(UnixStream::connect(path)?).into()),
        }
    }
}

/// A connection that has logged in; from then on it never blocks.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes for which the socket's buffer had no room.
    unsent: Vec<u8>,
    scanner: ReplyScanner,
    /// The part of a reply that has arrived.
    input: Vec<u8>,
    scanned: usize,
}

impl Connection {
    /// Connects and sends `AUTH` with the password in `LOAD_PASSWORD`.
    pub(crate) fn open(address: &Address) -> Outcome<Self> {
        let mut stream = address.connect()?;
        if let Some(password) = std::env::var_os("LOAD_PASSWORD") {
            stream.write_all(&request(&[b"AUTH", password.as_encoded_bytes()]))?;
            let mut reply = [0; 5];
            stream.read_exact(&mut reply)?;
            if &reply != b"+OK\r\n" {
                return Err(format!("AUTH: {}", reply.escape_ascii()).into());
            }
        }
        stream.set_nonblocking(true)?;
        let scanner = ReplyScanner::new();
        Ok(Self { stream, unsent: Vec::new(), scanner, input: Vec::new(), scanned: 0 })
    }

    /// Sends `request`, and keeps the bytes for which there is no room.
    pub(crate) fn send(&mut self, request: &[u8]) -> Outcome<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(request);
            return self.flush();
        }
        let sent = sent(self.stream.write(request))?;
        self.unsent.extend_from_slice(&request[sent..]);
        Ok(())
    }

    /// Sends the bytes that [`Connection::send`] kept. The caller calls it when the connection becomes
    /// ready.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        if !self.unsent.is_empty() {
            let sent = sent(self.stream.write(&self.unsent))?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Reads once, and passes each complete reply to `each`.
    pub(crate) fn replies(
        &mut self,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> Outcome<()> {
        match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(len) => self.input.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut start = 0;
        while self.scanned < self.input.len() {
            let scan = self.scanner.scan(&self.input[self.scanned..])?;
            self.scanned += scan.len;
            if scan.done {
                let reply = &self.input[start..self.scanned];
                if reply.first() == Some(&b'-') {
                    return Err(reply.escape_ascii().to_string().into());
                }
                each(reply);
                start = self.scanned;
            }
        }
        self.input.drain(..start);
        self.scanned -= start;
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Returns a request in multibulk form.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_command(words.iter().copied(), &mut out);
    out.to_vec()
}

fn sent(written: std::io::Result<usize>) -> Outcome<usize> {
    match written {
        Ok(len) => Ok(len),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}
