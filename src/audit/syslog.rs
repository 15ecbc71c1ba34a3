//! Sends each line to the system's log, as a datagram in the format of RFC 5424, over a Unix
//! socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::warn;

use super::{now, wall_clock};
use crate::telemetry::metrics::names;

/// Facility 10, security (`authpriv`).
const FACILITY: u8 = 10;
/// The text before the event's name in a line; it does not occur earlier in the line.
const EVENT: &[u8] = b"\"event\":\"";
/// Shortest time between two log lines about lines that are too large for syslog.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A connection to the system's log, opened again after an error.
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// When it was last logged that a line is too large.
    logged_at: Option<Instant>,
}

impl Syslog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), socket: Some(connect(path)?), logged_at: None })
    }

    /// Sends the first line of `lines` and returns its number of bytes. Waits while the system's
    /// log does not accept it. A line that is too large for a datagram is left out and counted,
    /// since the system would never accept it.
    pub(super) fn send(&mut self, lines: &[u8]) -> io::Result<usize> {
        let line = lines.split(|byte| *byte == b'\n').next().unwrap_or(lines);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let time = humantime::format_rfc3339_micros(wall_clock());
        let (event, process) = (event(line), std::process::id());
        let priority = FACILITY * 8 + severity(event);
        // The receiver knows the host name, and the message has no structured data, so both are
        // `-`.
        let header = format!("<{priority}>1 {time} - redoubt {process} {event} - ");
        match socket.send(&[header.as_bytes(), line].concat()) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
                self.left_out(line.len());
            }
            sent => drop(sent?),
        }
        self.socket = Some(socket);
        Ok(lines.len().min(line.len() + 1))
    }

    fn left_out(&mut self, bytes: usize) {
        metrics::counter!(names::AUDIT_DROPPED).increment(1);
        let now = now();
        if self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= LOG_INTERVAL) {
            self.logged_at = Some(now);
            warn!(bytes, "an audit line is too large for the system's log and was left out");
        }
    }
}

/// Returns the event's name in `line`, which is the message ID.
fn event(line: &[u8]) -> &str {
    let start = memchr::memmem::find(line, EVENT).map(|at| at + EVENT.len());
    let name = start.and_then(|start| line.get(start..)?.split(|byte| *byte == b'"').next());
    name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("-")
}

/// Returns the severity of an event in syslog: 4 is a warning, 5 a notice, 6 information.
fn severity(event: &str) -> u8 {
    match event {
        "auth_failed"
        | "locked_out"
        | "command_refused"
        | "would_refuse"
        | "granted"
        | "connections_refused"
        | "events_dropped"
        | "log_repaired"
        | "log_truncated"
        | "chain_started" => 4,
        "started" | "stopped" | "configuration_changed" | "guard_changed" | "grant_ended" => 5,
        _ => 6,
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_too_large_for_a_datagram_is_left_out_and_the_next_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(&path).unwrap();
        // The line is longer than the largest send buffer that a system allows.
        let large = [&vec![b'x'; 64 << 20][..], b"\n"].concat();
        let small = b"{\"event\":\"auth_failed\"}\n";
        let lines = [&large, &small[..]].concat();
        assert_eq!(syslog.send(&lines).unwrap(), large.len());
        assert_eq!(syslog.send(&lines[large.len()..]).unwrap(), small.len());
        let mut buffer = [0; 1024];
        let length = receiver.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<84>1 ") && text.contains(" auth_failed - {"), "{text}");
    }
}
