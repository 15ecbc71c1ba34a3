//! Which connections the server lists are the process's own, so that clients are not shown them.
//!
//! A connection over TCP is known by the address of its own end. Over a Unix socket a server shows the same
//! address for all connections, so while the process has one there, clients are shown none of them: a server that
//! only Redoubt should reach has no others.

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
    /// How many connections are, or were, over a Unix socket.
    unix: usize,
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
    /// `None` over a Unix socket.
    address: Option<String>,
}

impl OwnConnections {
    /// Notes that a connection is about to be opened. The server may list it before its address is known here.
    pub fn open(&self) -> OpeningConnection {
        let mut ends = self.ends();
        ends.opening = ends.opening.saturating_add(1);
        drop(ends);
        OpeningConnection(self.clone())
    }

    /// Returns true if a connection of the process's own has the address, or may have it: the server shows one address
    /// for all connections over a Unix socket, which ends with port 0.
    pub(crate) fn have(&self, address: &[u8]) -> bool {
        let ends = self.ends();
        let is_known = |address| ends.addresses.contains_key(address);
        std::str::from_utf8(address).is_ok_and(is_known)
            || (ends.unix > 0 && address.ends_with(b":0"))
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
            || (self.unix > 0 && fields.clone().any(is_of_unix))
            || (self.opening > 0 && fields.any(|field| field == b"cmd=NULL"))
    }
}

/// Returns true for the flags of a connection over a Unix socket. The address differs between servers: Valkey 9.1
/// shows `[/path:0]:0` where the others show `/path:0`.
fn is_of_unix(field: &[u8]) -> bool {
    field.strip_prefix(b"flags=").is_some_and(|flags| flags.contains(&b'U'))
}

impl OpeningConnection {
    /// Notes the connection, whose own end has this address; `None` over a Unix socket.
    pub fn opened(self, address: Option<String>) -> OwnConnection {
        let all = self.0.clone();
        let mut ends = all.ends();
        let count = match &address {
            Some(address) => ends.addresses.entry(address.clone()).or_default(),
            None => &mut ends.unix,
        };
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
        let Some(address) = &self.address else {
            ends.unix = ends.unix.saturating_sub(1);
            return;
        };
        if let Some(count) = ends.addresses.get_mut(address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                ends.addresses.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "id=3 addr=10.0.0.1:5 laddr=10.0.0.2:6379 flags=N cmd=get user=default";
    const UNIX: &str = "id=4 addr=/r.sock:0 laddr=/r.sock:0 flags=PU cmd=subscribe user=default";
    const VALKEY_9: &str = "id=5 addr=[/r.sock:0]:0 laddr=[/r.sock:0]:0 flags=U cmd=get user=app";

    fn shown(own: &OwnConnections) -> String {
        let text = [TCP, UNIX, VALKEY_9].map(|line| format!("{line}\n")).concat();
        let mut out = BytesMut::new();
        own.replaced(format!("${}\r\n{text}\r\n", text.len()).as_bytes(), b"", &mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        text.split_once("\r\n").unwrap().1.trim_end().to_owned()
    }

    #[test]
    fn connections_over_unix_sockets_are_hidden_while_one_of_them_is_own() {
        let own = OwnConnections::default();
        let all = [TCP, UNIX, VALKEY_9].join("\n");
        assert_eq!(shown(&own), all);
        let link = own.open().opened(None);
        assert_eq!(shown(&own), TCP);
        assert!(own.have(b"/r.sock:0") && own.have(b"[/r.sock:0]:0") && !own.have(b"10.0.0.1:5"));
        let other = own.open().opened(None);
        drop(link);
        assert_eq!(shown(&own), TCP);
        drop(other);
        assert_eq!(shown(&own), all);
    }

    #[test]
    fn connections_over_tcp_are_known_by_the_address_of_their_own_end() {
        let own = OwnConnections::default();
        let link = own.open().opened(Some("10.0.0.1:5".to_owned()));
        assert_eq!(shown(&own), [UNIX, VALKEY_9].join("\n"));
        assert!(own.have(b"10.0.0.1:5") && !own.have(b"/r.sock:0") && !own.have(b"\xff"));
        drop(link);
        assert!(shown(&own).starts_with(TCP));
    }
}
