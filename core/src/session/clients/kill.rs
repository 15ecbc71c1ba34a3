//! `CLIENT KILL`: which sessions it names.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::list::ClientLine;
use super::own::OwnConnections;
use crate::resp::reply;
use crate::resp::{Request, encode_command, integer, is_word};

/// The clients that a `CLIENT KILL` names, in a form of Redis 7.0. Of an option that is given twice, the last one
/// counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Kill<'a> {
    /// True for `CLIENT KILL address`, whose reply is a status.
    is_old: bool,
    id: Option<i64>,
    kind: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    /// True if the asking session may be among them.
    takes_itself: bool,
}

impl<'a> Kill<'a> {
    /// Kinds of clients; Redoubt's sessions are of the first two.
    const KINDS: [&'static [u8]; 5] = [b"normal", b"pubsub", b"master", b"slave", b"replica"];

    /// Reads a request of a session of `user`; `None` if it is wrong, or has an option of a newer server, or
    /// names another user.
    pub(in crate::session) fn of(
        request: &'a Request<'a>,
        user: Option<&Arc<str>>,
    ) -> Option<Self> {
        let mut kill = Self::default();
        let mut args = request.args().skip(2);
        if request.declared() < 3 {
            return None;
        }
        if request.declared() == 3 {
            return Some(Self { is_old: true, address: args.next(), takes_itself: true, ..kill });
        }
        while let Some(option) = args.next() {
            let value = args.next()?;
            if is_word(option, b"id") {
                kill.id = Some(integer::parse(value).filter(|id| *id > 0)?);
            } else if is_word(option, b"type") {
                kill.kind = Some(Self::KINDS.into_iter().find(|kind| is_word(value, kind))?);
            } else if is_word(option, b"addr") {
                kill.address = Some(value);
            } else if is_word(option, b"laddr") {
                kill.local_address = Some(value);
            } else if is_word(option, b"user") {
                user.filter(|user| user.as_bytes() == value)?;
            } else if is_word(option, b"skipme") {
                kill.takes_itself = is_word(value, b"no");
                (kill.takes_itself || is_word(value, b"yes")).then_some(())?;
            } else {
                return None;
            }
        }
        Some(kill)
    }

    /// Returns the request with one more condition, which no client meets, so that the server checks the others
    /// and ends no connection; of the form `CLIENT KILL address`, with such an address. `None` if the request is
    /// wrong for certain.
    pub(in crate::session) fn of_nobody(request: &Request<'_>) -> Option<Bytes> {
        let is_old = request.declared() == 3;
        let are_pairs = request.declared().is_multiple_of(2) && request.declared() > 2;
        let (kept, added): (usize, &[&[u8]]) =
            if is_old { (2, &[b"nobody"]) } else { (usize::MAX, &[b"ADDR", b"nobody"]) };
        let words = request.args().take(kept).chain(added.iter().copied());
        let words: Vec<&[u8]> = words.collect();
        (is_old || are_pairs).then(|| {
            let mut sent = BytesMut::new();
            encode_command(words.iter().copied(), &mut sent);
            sent.freeze()
        })
    }

    /// Returns true if it names the session that `line` describes. `asking` is the number of the asking session.
    pub(in crate::session) fn takes(&self, line: &ClientLine, asking: i64) -> bool {
        self.id.is_none_or(|id| id == line.id)
            && self.kind.is_none_or(|kind| kind == line.kind())
            && self.address.is_none_or(|address| address == line.address.as_bytes())
            && self.local_address.is_none_or(|address| address == line.local_address.as_bytes())
            && (self.takes_itself || line.id != asking)
    }

    /// Returns true if the server may be asked, as it names one client at most, by its id or its address, and none
    /// of `own` connections by the address.
    pub(in crate::session) fn names_other(&self, own: &OwnConnections) -> bool {
        match self.address {
            Some(address) => !own.have(address),
            None => self.id.is_some(),
        }
    }

    /// Returns Redis's reply when so many clients have been ended.
    pub(in crate::session) fn reply(&self, count: usize) -> Bytes {
        match count {
            0 if self.is_old => reply::error(b"ERR No such client"),
            _ if self.is_old => reply::OK.clone(),
            _ => Bytes::from(format!(":{count}\r\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser};

    fn with<T>(options: &str, check: impl FnOnce(&Request<'_>) -> T) -> T {
        let line = format!("CLIENT KILL {options}\r\n");
        let mut parser = RequestParser::new();
        let parsed = parser.parse(line.as_bytes(), &RequestLimits::AUTHENTICATED).unwrap();
        assert_eq!(parsed, Parsed::Request { len: line.len() });
        check(&parser.request(line.as_bytes()))
    }

    #[test]
    fn only_forms_of_redis_7_0_are_read_and_the_last_option_counts() {
        let user: Arc<str> = "app".into();
        let is_read =
            |options: &str| with(options, |request| Kill::of(request, Some(&user)).is_some());
        for good in [
            "10.0.0.1:5",
            "id 7",
            "ID 0x ID 8",
            "TYPE Replica",
            "USER app skipme NO",
            "ADDR a LADDR b",
        ] {
            assert_eq!(is_read(good), good != "ID 0x ID 8", "{good}");
        }
        for wrong in
            ["id 0", "id -1", "id", "id 7 x", "TYPE x", "USER other", "SKIPME x", "MAXAGE 1", ""]
        {
            assert_eq!(is_read(wrong), wrong == "id", "{wrong}");
        }
        with("id 7 ID 8 skipme no SKIPME yes", |request| {
            let kill = Kill::of(request, None).unwrap();
            assert_eq!(kill, Kill { id: Some(8), ..Kill::default() });
        });
    }

    #[test]
    fn what_only_the_server_can_read_is_sent_with_a_condition_that_nobody_meets() {
        for (options, sent) in
            [("MAXAGE 1", true), ("USER x", true), ("id 1 2", false), ("", false)]
        {
            let bytes = with(options, Kill::of_nobody);
            assert_eq!(bytes.is_some(), sent, "{options}");
            assert!(bytes.is_none_or(|bytes| bytes.ends_with(b"$4\r\nADDR\r\n$6\r\nnobody\r\n")));
        }
        let old = with("/run/redis.sock:0", Kill::of_nobody).unwrap();
        assert_eq!(&old[..], b"*3\r\n$6\r\nCLIENT\r\n$4\r\nKILL\r\n$6\r\nnobody\r\n");
    }

    #[test]
    fn the_server_is_not_asked_to_end_own_connections_by_their_address() {
        let own = OwnConnections::default();
        let links = [None, Some("10.0.0.1:5".to_owned())].map(|at| own.open().opened(at));
        let is_asked = |options: &str| {
            with(options, |request| Kill::of(request, None).unwrap().names_other(&own))
        };
        for options in ["/r.sock:0", "ADDR [/r.sock:0]:0", "10.0.0.1:5", "ID 7 ADDR 10.0.0.1:5"] {
            assert!(!is_asked(options), "{options}");
        }
        drop(links);
        for options in ["/r.sock:0", "ADDR 10.0.0.1:5", "ID 7"] {
            assert!(is_asked(options), "{options}");
        }
        assert!(!is_asked("TYPE normal"));
    }
}
