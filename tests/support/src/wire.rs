//! A client that sends and receives raw bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{TIME_LIMIT, frame, shown};

/// A connection. Reads fail after [`TIME_LIMIT`] without a byte.
pub struct Wire {
    stream: TcpStream,
    /// Bytes that have been received and not yet taken.
    received: Vec<u8>,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, TIME_LIMIT).expect("connect"))
    }

    /// Connects from an address of this machine, such as 127.0.0.2.
    pub fn connect_from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("an address of this machine");
        socket.connect_timeout(&address.into(), TIME_LIMIT).expect("connect");
        Self::over(socket.into())
    }

    /// Connects to a Unix socket. Reads, writes and closes are the same for both kinds of sockets.
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("connect");
        Self::with(TcpStream::from(OwnedFd::from(stream)))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::with(stream)
    }

    fn with(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream.set_write_timeout(Some(TIME_LIMIT)).unwrap();
        Self { stream, received: Vec::new() }
    }

    pub fn authenticated(address: SocketAddr, password: &str) -> Self {
        let mut wire = Self::connect(address);
        let reply = wire.command(&["AUTH", password]);
        assert_eq!(reply, b"+OK\r\n", "AUTH: {}", shown(&reply));
        wire
    }

    /// Sets how long it waits for each byte, instead of [`TIME_LIMIT`].
    pub fn set_time_limit(&mut self, wait: Duration) {
        self.stream.set_read_timeout(Some(wait)).unwrap();
    }

    /// Returns the socket, for what this type does not support.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// Sends what the other side accepts; it may close meanwhile. Returns true if it accepted
    /// everything.
    pub fn offer(&mut self, bytes: &[u8]) -> bool {
        offer(&self.stream, bytes, bytes.len().max(1))
    }

    /// Does what [`Wire::offer`] does, with one write for each `step` bytes, and then closes the
    /// sending side if `finish` is true. Receives meanwhile, until `done` is true for the received
    /// bytes or the other side closes. Returns false if nothing arrives in time.
    pub fn exchange(
        &mut self,
        bytes: &[u8],
        step: usize,
        finish: bool,
        mut done: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let stream = self.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                offer(&stream, bytes, step);
                if finish {
                    drop(stream.shutdown(Shutdown::Write));
                }
            });
            while !done(&self.received) {
                match self.try_receive() {
                    Some(0) => break,
                    Some(_) => {}
                    None => return false,
                }
            }
            true
        })
    }

    /// Sends a request in multibulk form and reads one reply frame.
    pub fn command(&mut self, args: &[impl AsRef<[u8]>]) -> Vec<u8> {
        self.send(&frame::request(args));
        self.frame()
    }

    /// Reads one reply frame, of any type.
    pub fn frame(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = frame::length(&self.received) {
                return self.received.drain(..length).collect();
            }
            let got = self.receive();
            assert!(got > 0, "closed inside a frame: {}", shown(&self.received));
        }
    }

    /// Reads as many bytes as `wanted` has and compares them.
    #[track_caller]
    pub fn expect(&mut self, wanted: &[u8]) {
        while self.received.len() < wanted.len() && self.receive() > 0 {}
        let taken: Vec<u8> = self.received.drain(..wanted.len().min(self.received.len())).collect();
        assert!(taken == wanted, "wanted {}, got {}", shown(wanted), shown(&taken));
    }

    /// Reads everything until the other side closes.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        while self.receive() > 0 {}
        std::mem::take(&mut self.received)
    }

    /// Closes the sending side.
    pub fn finish(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// Returns all bytes that were received and not taken.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Reads once; returns 0 if the other side has closed, in any way.
    pub fn receive(&mut self) -> usize {
        let got = self.try_receive();
        got.unwrap_or_else(|| panic!("nothing comes after {}", shown(&self.received)))
    }

    /// Does what [`Wire::receive`] does; returns `None` if nothing arrives in time.
    pub fn try_receive(&mut self) -> Option<usize> {
        let mut buffer = [0; 64 * 1024];
        let mut got = self.stream.read(&mut buffer);
        while got.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            got = self.stream.read(&mut buffer);
        }
        match got {
            Ok(got) => {
                self.received.extend_from_slice(&buffer[..got]);
                Some(got)
            }
            Err(error) if is_close(&error) => Some(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("cannot receive: {error}"),
        }
    }
}

fn is_close(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn offer(mut stream: &TcpStream, bytes: &[u8], step: usize) -> bool {
    bytes.chunks(step).all(|chunk| match stream.write_all(chunk) {
        Ok(()) => true,
        Err(error) if is_close(&error) => false,
        Err(error) => panic!("cannot send: {error}"),
    })
}
