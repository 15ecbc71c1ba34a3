//! Which functions the libraries on the upstream have, as `FUNCTION LIST` tells.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

use super::login::is_passing;
use crate::resp::{Kind, ReplyScanner, encode_command};

/// One `FUNCTION LIST` on a link that is logged in and speaks RESP2. Feed it what arrives until it
/// yields the functions or an error.
pub struct FunctionList<'a> {
    libraries: &'a HashSet<Bytes>,
    scanner: ReplyScanner,
    frame: BytesMut,
}

/// Why it is not known which functions there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Redis is up and has no time: it runs a script, or loads its data.
    #[error("upstream is busy")]
    Busy,
    /// Redis refuses to tell. The text is Redis's, cut short.
    #[error("upstream refused FUNCTION LIST: {0}")]
    Refused(String),
    /// The list is too long, or none.
    #[error("upstream did not answer FUNCTION LIST with a list of under {} MiB", FunctionList::MAX_REPLY >> 20)]
    NoList,
}

impl<'a> FunctionList<'a> {
    /// Most bytes of the reply. A function takes about a hundred.
    pub const MAX_REPLY: usize = 16 << 20;
    /// Most bytes of Redis's error text that are kept.
    const MAX_TEXT: usize = 128;

    /// Asks for the functions of `libraries`; and the bytes that do so.
    pub fn of(libraries: &'a HashSet<Bytes>) -> (Self, Bytes) {
        let mut out = BytesMut::new();
        encode_command([&b"FUNCTION"[..], b"LIST"], &mut out);
        let list = Self { libraries, scanner: ReplyScanner::new(), frame: BytesMut::new() };
        (list, out.freeze())
    }

    /// Takes bytes in. Returns the functions, in lower case, when the reply is complete.
    ///
    /// # Errors
    /// [`ListError`]; after [`ListError::NoList`] the link must be closed.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<HashSet<Bytes>>, ListError> {
        let scan = self.scanner.scan(input).map_err(|_| ListError::NoList)?;
        self.frame.extend_from_slice(input);
        if self.frame.len() > Self::MAX_REPLY || scan.len < input.len() {
            return Err(ListError::NoList);
        }
        if !scan.done {
            return Ok(None);
        }
        if self.scanner.kind().is_none_or(Kind::is_error) {
            return Err(refusal(&self.frame));
        }
        let mut rest = &self.frame[..];
        let Some(Value::List(libraries)) = Value::read(&mut rest, 0) else {
            return Err(ListError::NoList);
        };
        let pinned = libraries.iter().filter(|library| {
            library.field(b"library_name").is_some_and(|name| self.libraries.contains(name.text()))
        });
        let functions = pinned.filter_map(|library| library.field(b"functions"));
        let names = functions.flat_map(Value::items).filter_map(|each| each.field(b"name"));
        Ok(Some(names.map(|name| name.text().to_ascii_lowercase().into()).collect()))
    }
}

fn refusal(frame: &[u8]) -> ListError {
    if is_passing(frame) {
        return ListError::Busy;
    }
    let text = frame.trim_ascii_end();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let kept = text.get(..FunctionList::MAX_TEXT).unwrap_or(text);
    ListError::Refused(kept.escape_ascii().to_string())
}

/// A value of RESP2, as far as it matters here.
enum Value<'a> {
    /// A string.
    Text(&'a [u8]),
    /// An array.
    List(Vec<Self>),
    /// Anything else.
    Other,
}

impl<'a> Value<'a> {
    /// Deeper than Redis's reply goes.
    const MAX_DEPTH: u8 = 8;

    /// Takes one off the front of `input`.
    fn read(input: &mut &'a [u8], depth: u8) -> Option<Self> {
        let end = memchr::memchr(b'\n', input)?;
        let (line, rest) = input.split_at_checked(end.checked_add(1)?)?;
        *input = rest;
        let (kind, text) = line.trim_ascii_end().split_first()?;
        let number = || std::str::from_utf8(text).ok()?.parse::<usize>().ok();
        Some(match (kind, number()) {
            (b'$', Some(len)) => {
                let (value, rest) = input.split_at_checked(len)?;
                *input = rest.get(2..)?;
                Self::Text(value)
            }
            (b'*', Some(_)) if depth == Self::MAX_DEPTH => return None,
            (b'*', Some(len)) => {
                let deeper = depth.saturating_add(1);
                Self::List((0..len).map(|_| Self::read(input, deeper)).collect::<Option<_>>()?)
            }
            (b'+', _) => Self::Text(text),
            _ => Self::Other,
        })
    }

    fn text(&self) -> &'a [u8] {
        if let Self::Text(text) = self { text } else { &[] }
    }

    fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// What stands after `name` in a list of names and values.
    fn field(&self, name: &[u8]) -> Option<&Self> {
        let (pairs, _) = self.items().as_chunks::<2>();
        pairs.iter().find(|[key, _]| key.text() == name).map(|[_, value]| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Redis 7.0.15 says it of three functions in two libraries.
    const REPLY: &[u8] = b"*2\r\n\
        *6\r\n$12\r\nlibrary_name\r\n$4\r\nmine\r\n$6\r\nengine\r\n$3\r\nLUA\r\n\
        $9\r\nfunctions\r\n*2\r\n\
        *6\r\n$4\r\nname\r\n$5\r\nHello\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n\
        *6\r\n$4\r\nname\r\n$3\r\nbye\r\n$11\r\ndescription\r\n$4\r\nname\r\n$5\r\nflags\r\n\
        *1\r\n+no-writes\r\n\
        *6\r\n$12\r\nlibrary_name\r\n$5\r\nother\r\n$6\r\nengine\r\n$3\r\nLUA\r\n\
        $9\r\nfunctions\r\n*1\r\n\
        *6\r\n$4\r\nname\r\n$1\r\nx\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n";

    fn libraries(names: &[&'static str]) -> HashSet<Bytes> {
        names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
    }

    fn outcome(reply: &[u8]) -> Result<Option<HashSet<Bytes>>, ListError> {
        FunctionList::of(&libraries(&["mine"])).0.receive(reply)
    }

    #[test]
    fn functions_of_listed_libraries_are_found_byte_by_byte() {
        let wanted = libraries(&["mine", "absent", "Other"]);
        let (mut list, request) = FunctionList::of(&wanted);
        assert_eq!(request, "*2\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n");
        let (last, before) = REPLY.split_last().unwrap();
        assert!(before.iter().all(|byte| list.receive(&[*byte]) == Ok(None)));
        assert_eq!(list.receive(&[*last]), Ok(Some(libraries(&["hello", "bye"]))));
        assert_eq!(outcome(b"*0\r\n"), Ok(Some(HashSet::new())));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        assert_eq!(outcome(b"-BUSY Redis is busy running a script.\r\n"), Err(ListError::Busy));
        let text = "ERR unknown command".to_owned();
        assert_eq!(outcome(b"-ERR unknown command\r\n"), Err(ListError::Refused(text)));
        let deep = [b"*1\r\n".repeat(100_000), b"*0\r\n".to_vec()].concat();
        for reply in [&b"+OK\r\n"[..], b"*0\r\n*0\r\n", b"HTTP/1.1 400 Bad Request\r\n", &deep] {
            assert_eq!(outcome(reply), Err(ListError::NoList));
        }
        assert_eq!(outcome(&vec![b'+'; FunctionList::MAX_REPLY + 1]), Err(ListError::NoList));
    }
}
