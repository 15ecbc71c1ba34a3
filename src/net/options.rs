//! Options of sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Connections that the kernel holds until they are accepted.
pub(crate) const BACKLOG: u16 = 1024;

/// Sets what every connection has: no delay of small writes, and probes of a silent peer.
pub(crate) fn prepare(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        // As Redis does: probe after `idle`, then three times within as long again.
        let interval = (idle / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}
