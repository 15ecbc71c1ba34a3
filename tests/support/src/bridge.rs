//! Forwards plain connections to a TLS listener, so that every test can run over TLS.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;

use super::certificates::Authority;
use super::tls::Caller;

/// Forwards connections to `to`, whose certificate `authority` has signed, until the test ends.
pub fn bridge(to: SocketAddr, authority: &Authority) -> SocketAddr {
    let client = TlsConnector::from(Caller::trusting(&authority.ca()).config());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                let client = client.clone();
                tokio::spawn(async move {
                    near.set_nodelay(true)?;
                    let far = TcpStream::connect(to).await?;
                    far.set_nodelay(true)?;
                    let far = client.connect("127.0.0.1".try_into().unwrap(), far).await?;
                    let (near, far) = (split(near), split(far));
                    // If one direction breaks, bytes of the other direction still arrive.
                    tokio::join!(lead(near.0, far.1), lead(far.0, near.1));
                    std::io::Result::Ok(())
                });
            }
        });
    });
    address
}

async fn lead(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}
