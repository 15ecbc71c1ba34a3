//! Clients that only send requests, which a flood must not delay.

use std::net::SocketAddr;

use support::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

pub(crate) const CLIENTS: usize = 50;

/// Returns a runtime of one thread.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Returns an authenticated connection.
pub(crate) async fn connect(address: SocketAddr, password: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&frame::request(&["AUTH", password])).await.unwrap();
    stream.read_exact(&mut [0; 5]).await.unwrap();
    stream
}

/// The honest clients of one server.
pub(crate) struct Honest {
    pub(crate) runtime: Runtime,
    pub(crate) streams: Vec<TcpStream>,
}

impl Honest {
    /// Opens [`CLIENTS`] connections.
    pub(crate) fn start(address: SocketAddr, password: &str) -> Self {
        let runtime = runtime();
        let streams = runtime.block_on(async {
            let mut streams = Vec::new();
            for _ in 0..CLIENTS {
                streams.push(connect(address, password).await);
            }
            streams
        });
        Self { runtime, streams }
    }
}
