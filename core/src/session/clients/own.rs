//! Which connections the server lists are the process's own, so that clients are not shown them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// The connections of this process to the server, by their addresses; shared by all threads.
#[derive(Debug, Clone, Default)]
pub struct OwnConnections(Arc<Mutex<Ends>>);

/// What is known of the process's own ends of connections.
#[derive(Debug, Default)]
struct Ends {
    /// How many connections have, or had, this address.
    addresses: HashMap<String, usize>,
    /// Connections whose address is not known yet.
    opening: usize,
}

/// A connection that is being opened, until this is dropped.
#[derive(Debug)]
pub struct OpeningConnection(OwnConnections);

/// A connection that is known as the process's own until this is dropped.
#[derive(Debug)]
pub struct OwnConnection {
    all: OwnConnections,
    address: String,
}

impl OwnConnections {
    /// Notes that a connection is about to be opened. The server may list it before its address is known here.
    pub fn open(&self) -> OpeningConnection {
        let mut ends = self.ends();
        ends.opening = ends.opening.saturating_add(1);
        drop(ends);
        OpeningConnection(self.clone())
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a complete reply of the server's to `CLIENT LIST` without this process's connections, and with
    /// `sessions` behind the others.
    pub(crate) fn replaced(&self, reply: &[u8], sessions: &[u8], out: &mut BytesMut) {
        let header = memchr::memchr(b'\n', reply).map_or(0, |end| end.saturating_add(1));
        let (header, body) = reply.split_at(header);
        let body = body.strip_suffix(b"\r\n").unwrap_or(body);
        let (prefix, text) = match (header.first(), body.strip_prefix(b"txt:")) {
            (Some(b'='), Some(text)) => (b"txt:".as_slice(), text),
            (Some(b'$'), _) => (b"".as_slice(), body),
            // Nothing that a server sends to this request.
            _ => return out.extend_from_slice(reply),
        };
        let mut lines = prefix.to_vec();
        let ends = self.ends();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !ends.have(line) {
                lines.extend_from_slice(line);
            }
        }
        drop(ends);
        lines.extend_from_slice(sessions);
        out.extend_from_slice(header.get(..1).unwrap_or_default());
        out.extend_from_slice(lines.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&lines);
        out.extend_from_slice(b"\r\n");
    }
}

impl Ends {
    /// Returns true if the line describes a connection of the process's own, or may do so: one on which nothing was
    /// sent yet, while such a connection is being opened.
    fn have(&self, line: &[u8]) -> bool {
        let mut fields = line.split(|byte| matches!(byte, b' ' | b'\n'));
        let address = fields.clone().find_map(|field| field.strip_prefix(b"addr="));
        let address = address.and_then(|address| std::str::from_utf8(address).ok());
        address.is_some_and(|address| self.addresses.contains_key(address))
            || (self.opening > 0 && fields.any(|field| field == b"cmd=NULL"))
    }
}

impl OpeningConnection {
    /// Notes the connection, whose own end has this address.
    pub fn opened(self, address: String) -> OwnConnection {
        let all = self.0.clone();
        let mut ends = all.ends();
        let count = ends.addresses.entry(address.clone()).or_default();
        *count = count.saturating_add(1);
        drop(ends);
        OwnConnection { all, address }
    }
}

impl Drop for OpeningConnection {
    fn drop(&mut self) {
        let mut ends = self.0.ends();
        ends.opening = ends.opening.saturating_sub(1);
    }
}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        let mut ends = self.all.ends();
        if let Some(count) = ends.addresses.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                ends.addresses.remove(&self.address);
            }
        }
    }
}
