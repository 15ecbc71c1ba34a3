//! A client of the soak: it sends bytes, reads frames, and compares them with the only right ones.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use support::{TIME_LIMIT, frame, shown};

/// Bytes of buffer for one read.
const READ_SIZE: usize = 16 << 10;

/// The address and password of the sessions.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) password: String,
}

/// One connection, and how many replies have been checked on it.
pub(crate) struct Wire {
    stream: TcpStream,
    received: BytesMut,
    pub(crate) verified: u64,
}

impl Wire {
    /// Connects and authenticates.
    pub(crate) async fn open(target: &Target) -> Self {
        let stream = within(TcpStream::connect(target.address)).await.expect("connect");
        stream.set_nodelay(true).unwrap();
        let mut wire = Self { stream, received: BytesMut::new(), verified: 0 };
        wire.ask(&["AUTH", &target.password], b"+OK\r\n").await;
        wire
    }

    /// Connects and authenticates, with RESP3.
    pub(crate) async fn open_resp3(target: &Target) -> Self {
        let mut wire = Self::open(target).await;
        let hello = wire.call(&["HELLO", "3"]).await;
        assert!(hello.starts_with(b"%7\r\n"), "HELLO 3: {}", shown(&hello));
        wire
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.expect("send");
    }

    /// Sends a request and returns the reply.
    pub(crate) async fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Vec<u8> {
        self.send(&frame::request(args)).await;
        self.frame().await
    }

    /// Sends a request and checks that it gets the one right reply.
    #[track_caller]
    pub(crate) fn ask<'a>(
        &'a mut self,
        args: &[impl AsRef<[u8]>],
        wanted: &'a [u8],
    ) -> impl Future<Output = ()> + 'a {
        let asked = args.iter().map(|arg| shown(&arg.as_ref()[..arg.as_ref().len().min(40)]));
        let asked = asked.collect::<Vec<_>>().join(" ");
        let request = frame::request(args);
        async move {
            self.send(&request).await;
            self.expect_after(&asked, wanted).await;
        }
    }

    /// Reads as many bytes as `wanted` has and compares them.
    pub(crate) async fn expect(&mut self, wanted: &[u8]) {
        self.expect_after("what came before", wanted).await;
    }

    async fn expect_after(&mut self, asked: &str, wanted: &[u8]) {
        let mut compared = 0;
        while self.received.len() < wanted.len() {
            // A wrong reply may be shorter than the right one.
            if self.received[compared..] != wanted[compared..self.received.len()] {
                break;
            }
            compared = self.received.len();
            self.receive().await;
        }
        let got = self.received.split_to(wanted.len().min(self.received.len()));
        assert!(&*got == wanted, "after {asked}: wanted {}, got {}", shown(wanted), shown(&got));
        self.verified += 1;
    }

    /// Reads one frame, of any type.
    pub(crate) async fn frame(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = frame::length(&self.received) {
                self.verified += 1;
                return self.received.split_to(length).to_vec();
            }
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        self.received.reserve(READ_SIZE);
        let got = within(self.stream.read_buf(&mut self.received)).await.expect("receive");
        assert!(got > 0, "closed after {}", shown(&self.received));
    }

    /// Reads the bytes of `wanted` slowly, in pieces of at most `piece`, without keeping them.
    pub(crate) async fn expect_slowly(&mut self, wanted: &[u8], piece: usize) {
        let mut at = 0;
        while at < wanted.len() {
            if self.received.is_empty() {
                tokio::task::yield_now().await;
                self.receive().await;
            }
            let len = self.received.len().min(piece).min(wanted.len() - at);
            assert!(
                self.received[..len] == wanted[at..at + len],
                "wrong bytes from {at} of {}",
                wanted.len()
            );
            self.received.advance(len);
            at += len;
        }
        self.verified += 1;
    }

    /// Returns true if no more bytes have arrived than were read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.received.is_empty()
    }

    /// Closes the connection with a reset, as a killed process with unread bytes does.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Sends QUIT, and checks that nothing is left over.
    pub(crate) async fn quit(mut self) -> u64 {
        self.ask(&["QUIT"], b"+OK\r\n").await;
        assert!(self.is_quiet(), "left over: {}", shown(&self.received));
        let end = within(self.stream.read_buf(&mut self.received)).await.expect("a close");
        assert_eq!(end, 0, "after QUIT: {}", shown(&self.received));
        self.verified
    }
}

/// Waits for a future that must complete.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let patience: Duration = TIME_LIMIT * 2;
    tokio::time::timeout(patience, future).await.expect("something happens in time")
}
