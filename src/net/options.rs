//! Socket options.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Most connections that wait in the kernel to be accepted.
pub(crate) const BACKLOG: u16 = 1024;

/// Sets the options of every connection: no delay of small writes (`TCP_NODELAY`), and probes of a
/// silent peer.
pub(crate) fn prepare(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        // Redis does the same: it probes after `idle`, and then three times within the same time
        // again.
        let interval = (idle / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}
