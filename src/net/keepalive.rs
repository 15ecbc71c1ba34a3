//! Detects that the host at the other end of a link is gone, as far as the kernel knows.
//!
//! A slow server, such as one that runs a long script, differs from a vanished host in that its
//! kernel still acknowledges what is sent to it. So the kernel probes a link (keepalive) while
//! nothing is on its way to the server, and ends it when sent bytes are not acknowledged
//! (`TCP_USER_TIMEOUT`). Neither needs an answer of the server.
//!
//! `TCP_USER_TIMEOUT` also ends a link to a living host in one case: the server has read nothing
//! for so long that its window is closed. Linux counts that time although the probes of the window
//! are answered. Therefore the timeout is off on all links while the server does not answer the
//! pings of the watch. The watch sends too little to close a window, so its own link keeps the
//! timeout and detects for all links that the host is gone.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::net::stream::Stream;

/// Time after which a link whose host is silent is ended; `None` leaves that to the system.
pub(crate) type DeadAfter = Option<Duration>;

/// Longest time between two pings of the watch, and longest time that it waits for an answer before
/// it treats the server as stalled.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(5);

/// Returns the time between two pings: at most a third of `dead_after`, so that the watch's link
/// always has bytes that must be acknowledged.
pub(crate) fn ping_every(dead_after: DeadAfter) -> Duration {
    dead_after.map_or(PING_EVERY, |after| after / 3)
}

/// Returns the time after which an unanswered ping means that the server stalls. The sum of this
/// and [`ping_every`] is less than the time after which a link with a closed window ends.
pub(crate) fn stalls_after(dead_after: DeadAfter) -> Duration {
    dead_after.map_or(PING_EVERY, |after| after / 5)
}

/// Returns the timeout of the watch's own link: what is left of `dead_after` after the time to the
/// next ping, so that the loss of the host is noticed within `dead_after`.
pub(crate) fn watch_dead_after(dead_after: DeadAfter) -> DeadAfter {
    dead_after.map(|after| after * 2 / 3)
}

/// Makes the kernel probe the other end of `stream`, and end the connection when the peer is silent
/// for `dead_after`.
pub(crate) fn watch_over(stream: &TcpStream, dead_after: DeadAfter) -> io::Result<()> {
    let Some(after) = dead_after else { return Ok(()) };
    // The kernel counts in whole seconds.
    let idle = (after / 3).max(Duration::from_secs(1));
    let interval = (after / 6).max(Duration::from_secs(1));
    let retries = after.saturating_sub(idle).as_secs() / interval.as_secs().max(1);
    let retries = u32::try_from(retries).unwrap_or(u32::MAX).clamp(1, 127);
    let probes = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
    SockRef::from(stream).set_tcp_keepalive(&probes)?;
    SockRef::from(stream).set_tcp_user_timeout(dead_after)
}

/// Makes the kernel end `stream` when sent bytes are not acknowledged for `dead_after`; `None` sets
/// the system's time.
pub(crate) fn give_up_after(stream: &Stream, dead_after: DeadAfter) {
    let socket = match stream {
        Stream::Tcp(stream) => stream,
        Stream::Tls(stream) => stream.socket(),
        Stream::Unix(_) => return,
    };
    // The call fails only on a socket that is already closed.
    let _ = SockRef::from(socket).set_tcp_user_timeout(dead_after);
}

/// Returns whether `error` means that the host was silent, and not that it closed the connection.
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
