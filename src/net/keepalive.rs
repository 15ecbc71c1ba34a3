//! Whether the host at the other end of a link still lives, as far as the kernel can tell.
//!
//! A server that is slow, such as one that runs a long script, is distinguished from one that has vanished by
//! its kernel, which acknowledges what it is sent whatever the server does. So links are probed by the
//! kernel (keepalive) while nothing is on its way to the server, and given up when what is on its way
//! is not acknowledged (`TCP_USER_TIMEOUT`). Neither needs an answer of the server's.
//!
//! There is one case in which `TCP_USER_TIMEOUT` ends a link to a living host: the server has read
//! nothing for so long that its window is closed, which Linux counts against the time although the
//! window's probes are answered. Therefore it is off on all links while the server does not answer the
//! watch's pings; the watch's own link, over which too little goes to close a window, keeps it, and tells
//! for all of them when the host is gone.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::net::stream::Stream;

/// How soon a link whose host has vanished is noticed; `None` as late as the system sees fit.
pub(crate) type DeadAfter = Option<Duration>;

/// How often the watch asks the server something, and how long it waits before it takes the server for
/// one that stalls.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(5);

/// A third of `dead_after`, within which the watch pings, so that its link always has something to be
/// acknowledged for.
pub(crate) fn ping_every(dead_after: DeadAfter) -> Duration {
    dead_after.map_or(PING_EVERY, |after| after / 3)
}

/// Returns when a ping that is not answered means that the server stalls. Together with [`ping_every`] it is
/// less than the time after which a link with a closed window ends.
pub(crate) fn stalls_after(dead_after: DeadAfter) -> Duration {
    dead_after.map_or(PING_EVERY, |after| after / 5)
}

/// Returns what is left for the watch's own link to end in, so that its end is noticed in time.
pub(crate) fn watch_dead_after(dead_after: DeadAfter) -> DeadAfter {
    dead_after.map(|after| after * 2 / 3)
}

/// Has the kernel probe the other end of `stream`, and end it when that is silent for `dead_after`.
pub(crate) fn watch_over(stream: &TcpStream, dead_after: DeadAfter) -> io::Result<()> {
    let Some(after) = dead_after else { return Ok(()) };
    // The kernel's grain is a second.
    let idle = (after / 3).max(Duration::from_secs(1));
    let interval = (after / 6).max(Duration::from_secs(1));
    let retries = after.saturating_sub(idle).as_secs() / interval.as_secs().max(1);
    let retries = u32::try_from(retries).unwrap_or(u32::MAX).clamp(1, 127);
    let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
    SockRef::from(stream).set_tcp_keepalive(&probes)?;
    SockRef::from(stream).set_tcp_user_timeout(dead_after)
}

/// Ends `stream` when what was sent is not acknowledged for `dead_after`; `None` for the system's time.
pub(crate) fn give_up_after(stream: &Stream, dead_after: DeadAfter) {
    let socket = match stream {
        Stream::Tcp(stream) => stream,
        Stream::Tls(stream) => stream.socket(),
        Stream::Unix(_) => return,
    };
    // It fails only on a socket that is of no use any more.
    let _ = SockRef::from(socket).set_tcp_user_timeout(dead_after);
}

/// Returns whether `error` on a connection means that nothing was heard of its host, in contrast to a word that
/// it is closed.
pub(crate) fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watch_notices_a_stall_before_links_end_and_a_death_in_time() {
        for seconds in [1, 2, 15, 60, 32_767] {
            let after = Some(Duration::from_secs(seconds));
            let noticed = ping_every(after) + stalls_after(after);
            assert!(noticed < Duration::from_secs(seconds));
            let dead = ping_every(after) + watch_dead_after(after).unwrap();
            assert!(dead <= Duration::from_secs(seconds));
        }
    }
}
