//! A TLS client with settings of its own.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use super::certificates::Pair;
use super::{TIME_LIMIT, frame, shown};

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
pub const ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
pub const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The authority that a client trusts, and the certificate that it shows.
#[derive(Clone)]
pub struct Caller {
    config: Arc<ClientConfig>,
}

impl Caller {
    /// Returns a client that trusts `ca`.
    pub fn trusting(ca: &Path) -> Self {
        Self::new(ca, BOTH, None)
    }

    /// Returns a client that also shows a certificate.
    pub fn showing(ca: &Path, pair: &Pair) -> Self {
        Self::new(ca, BOTH, Some(pair))
    }

    pub fn new(
        ca: &Path,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&Pair>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            Some(pair) => {
                let certificate = CertificateDer::from_pem_file(&pair.certificate).unwrap();
                let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        Self { config: Arc::new(config) }
    }

    /// Returns the configuration for a connection of another type than [`Tls`].
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Returns the bytes with which it would begin.
    pub fn hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.connection().write_tls(&mut hello).unwrap();
        hello
    }

    /// Connects and completes the handshake, as far as this side can see.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Tls> {
        self.over(TcpStream::connect_timeout(&address, TIME_LIMIT)?)
    }

    pub fn over(&self, stream: TcpStream) -> io::Result<Tls> {
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        let (mut connection, mut socket) = (self.connection(), Counted { stream, raw: Vec::new() });
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Tls { stream: StreamOwned::new(connection, socket), received: Vec::new() })
    }

    /// Returns an authenticated connection.
    pub fn session(&self, address: SocketAddr, password: &str) -> Tls {
        let mut tls = self.connect(address).expect("TLS");
        assert_eq!(tls.command(&["AUTH", password]), b"+OK\r\n");
        tls
    }

    /// Returns the first reply to `PING`, or the error if there is none.
    pub fn ping(&self, address: SocketAddr) -> Result<String, String> {
        let asked = self.connect(address).and_then(|mut tls| {
            tls.try_send(b"PING\r\n")?;
            let got = tls.try_receive()?;
            if got == 0 {
                return Err(io::Error::other("closed"));
            }
            Ok(String::from_utf8_lossy(&tls.received).into_owned())
        });
        asked.map_err(|error| error.to_string())
    }

    fn connection(&self) -> ClientConnection {
        let name = "127.0.0.1".try_into().unwrap();
        ClientConnection::new(Arc::clone(&self.config), name).unwrap()
    }
}

/// A socket that records the bytes that arrive.
struct Counted {
    stream: TcpStream,
    raw: Vec<u8>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.stream.read(buffer)?;
        // This is enough for any test that checks them.
        if self.raw.len() < 1 << 20 {
            self.raw.extend_from_slice(&buffer[..got]);
        }
        Ok(got)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A TLS connection. Reads fail after [`TIME_LIMIT`] without a byte.
pub struct Tls {
    stream: StreamOwned<ClientConnection, Counted>,
    received: Vec<u8>,
}

impl Tls {
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads one reply frame.
    pub fn command(&mut self, args: &[impl AsRef<[u8]>]) -> Vec<u8> {
        self.send(&frame::request(args));
        self.frame()
    }

    /// Reads one reply frame.
    pub fn frame(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = frame::length(&self.received) {
                return self.received.drain(..length).collect();
            }
            let got = self.try_receive().expect("receive");
            assert!(got > 0, "closed inside a frame: {}", shown(&self.received));
        }
    }

    /// Reads as many bytes as `wanted` has and compares them.
    #[track_caller]
    pub fn expect(&mut self, wanted: &[u8]) {
        while self.received.len() < wanted.len() && self.try_receive().expect("receive") > 0 {}
        let taken: Vec<u8> = self.received.drain(..wanted.len().min(self.received.len())).collect();
        assert!(taken == wanted, "wanted {}, got {}", shown(wanted), shown(&taken));
    }

    /// Reads to the end that the other side announces; an end without announcement is an error.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.try_receive()? > 0 {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Reads once; returns 0 at the end that the other side announces.
    pub fn try_receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let got = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..got]);
        Ok(got)
    }

    /// Returns true if the connection has ended, in any way.
    pub fn is_closed(&mut self) -> bool {
        match self.try_receive() {
            Ok(got) => got == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    /// Announces the end of sending.
    pub fn finish(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().expect("send");
    }

    /// Ends sending without an announcement.
    pub fn fall_silent(&mut self) {
        self.stream.sock.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Returns how many TLS records have arrived, including the handshake.
    pub fn records(&self) -> usize {
        let (mut rest, mut count) = (&self.stream.sock.raw[..], 0);
        while let [_, _, _, high, low, ..] = rest {
            let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
            rest = rest.get(length..).unwrap_or_default();
            count += 1;
        }
        count
    }

    /// Returns true if an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Returns the certificate that the other side has shown.
    pub fn shown(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().unwrap()[0].to_vec()
    }
}
