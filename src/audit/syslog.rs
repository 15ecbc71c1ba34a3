//! The system's log: a datagram for each line, as RFC 5424 has it, over a Unix socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::wall_clock;

/// Facility 10, security (`authpriv`), and severity 6, informational.
const PRIORITY: u8 = 10 * 8 + 6;

/// A connection to the system's log, made anew after an error.
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), socket: Some(connect(path)?) })
    }

    /// Sends the first line of `lines`; returns how many bytes of them that was. Waits while the
    /// system's log does not take it.
    pub(super) fn send(&mut self, lines: &[u8]) -> io::Result<usize> {
        let line = lines.split(|byte| *byte == b'\n').next().unwrap_or(lines);
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        let time = humantime::format_rfc3339_micros(wall_clock());
        // The receiver knows the host; the message has no structured data.
        let header = format!("<{PRIORITY}>1 {time} - redoubt {} audit - ", std::process::id());
        socket.send(&[header.as_bytes(), line].concat())?;
        self.socket = Some(socket);
        Ok(lines.len().min(line.len() + 1))
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}
