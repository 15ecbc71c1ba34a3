//! The system's log: a datagram for each line, as RFC 5424 has it, over a Unix socket.

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
/// What comes before the name of the event in a line; nothing before that holds it.
const EVENT: &[u8] = b"\"event\":\"";
/// Interval at which lines that are too large for syslog are logged.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// A connection to the system's log, made anew after an error.
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// When it was last said that a line is too large.
    said: Option<Instant>,
}

impl Syslog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), socket: Some(connect(path)?), said: None })
    }

    /// Sends the first line of `lines`; returns how many bytes of them that was. Waits while the
    /// system's log does not take it. One that is too large for a datagram is left out and counted:
    /// it would never go.
    pub(super) fn send(&mut self, lines: &[u8]) -> io::Result<usize> {
        let line = lines.split(|byte| *byte == b'\n').next().unwrap_or(lines);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let time = humantime::format_rfc3339_micros(wall_clock());
        let (event, process) = (event(line), std::process::id());
        let priority = FACILITY * 8 + severity(event);
        // The receiver knows the host; the message has no structured data.
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
        if self.said.is_none_or(|at| now.saturating_duration_since(at) >= SAID_EVERY) {
            self.said = Some(now);
            warn!(bytes, "an audit line is too large for the system's log and is left out");
        }
    }
}

/// The name of the event of `line`, which is the message's id.
fn event(line: &[u8]) -> &str {
    let start = memchr::memmem::find(line, EVENT).map(|at| at + EVENT.len());
    let name = start.and_then(|start| line.get(start..)?.split(|byte| *byte == b'"').next());
    name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("-")
}

/// Returns how much an event matters, as the system's log has it: 4 is a warning, 5 is worth a look, 6 is
/// what happens every day.
fn severity(event: &str) -> u8 {
    match event {
        "auth_failed"
        | "locked_out"
        | "command_refused"
        | "connections_refused"
        | "events_dropped"
        | "log_repaired"
        | "log_truncated"
        | "chain_started" => 4,
        "started" | "stopped" | "configuration_changed" | "guard_changed" => 5,
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
    fn a_line_that_is_too_large_is_left_out_and_the_next_one_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(&path).unwrap();
        // More than any system lets a socket hold for sending.
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
