//! Finds out which functions the libraries on the upstream have, by `FUNCTION LIST`.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

use super::login::{is_passing, shown};
use crate::resp::{Protocol, Reply, ReplyDecoder, encode_request};

/// One `FUNCTION LIST` on a link that is logged in and uses RESP2. The caller passes it the bytes that
/// arrive until it returns the functions or an error.
#[derive(Debug)]
pub struct FunctionList<'a> {
    libraries: &'a HashSet<Bytes>,
    replies: ReplyDecoder,
}

/// Why the functions are unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Redis has no time: it runs a script, or loads its data.
    #[error("upstream is busy")]
    Busy,
    /// Redis refuses `FUNCTION LIST`. The text is Redis's, truncated.
    #[error("upstream refused FUNCTION LIST: {0}")]
    Refused(String),
    /// The reply is too long, or is not a list of libraries.
    #[error("upstream did not answer FUNCTION LIST with a list of under {} MiB", FunctionList::MAX_REPLY >> 20)]
    NoList,
}

impl<'a> FunctionList<'a> {
    /// Most bytes of the reply. A function takes about a hundred.
    pub const MAX_REPLY: usize = 16 << 20;

    /// Creates the request for the functions of `libraries`, and returns its bytes too.
    pub fn of(libraries: &'a HashSet<Bytes>) -> (Self, Bytes) {
        let mut out = BytesMut::new();
        encode_request(&[b"FUNCTION", b"LIST"], &mut out);
        (Self { libraries, replies: ReplyDecoder::new(Self::MAX_REPLY) }, out.freeze())
    }

    /// Reads bytes. Returns the functions, in lower case, when the reply is complete.
    ///
    /// # Errors
    /// [`ListError`]; after [`ListError::NoList`] the caller closes the link.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<HashSet<Bytes>>, ListError> {
        self.replies.buffer().extend_from_slice(input);
        let reply = self.replies.next(Protocol::Resp2).map_err(|_| ListError::NoList)?;
        match reply {
            None => Ok(None),
            Some(_) if !self.replies.is_empty() => Err(ListError::NoList),
            Some(Reply::Array(all)) => Ok(Some(functions_of(self.libraries, &all))),
            Some(Reply::Error(error)) if is_passing(&error) => Err(ListError::Busy),
            Some(Reply::Error(error)) => Err(ListError::Refused(shown(error.as_bytes()))),
            Some(_) => Err(ListError::NoList),
        }
    }
}

/// Returns the functions of the libraries in `all` whose names are in `libraries`.
fn functions_of(libraries: &HashSet<Bytes>, all: &[Reply]) -> HashSet<Bytes> {
    let is_pinned = |library: &&Reply| {
        text(field(library, b"library_name")).is_some_and(|name| libraries.contains(name))
    };
    let functions = all.iter().filter(is_pinned).filter_map(|library| {
        let Some(Reply::Array(functions)) = field(library, b"functions") else { return None };
        Some(functions)
    });
    let names = functions.flatten().filter_map(|function| text(field(function, b"name")));
    names.map(|name| name.to_ascii_lowercase().into()).collect()
}

/// Returns the value after `name` in an array of alternating names and values.
fn field<'a>(of: &'a Reply, name: &[u8]) -> Option<&'a Reply> {
    let Reply::Array(fields) = of else { return None };
    let (pairs, _) = fields.as_chunks::<2>();
    pairs.iter().find(|[key, _]| text(Some(key)) == Some(name)).map(|[_, value]| value)
}

/// Returns the text of a string.
fn text(value: Option<&Reply>) -> Option<&[u8]> {
    match value? {
        Reply::BulkString(text) | Reply::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply of Redis 7.0.15 with three functions in two libraries.
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
    fn functions_of_listed_libraries_are_found_in_single_byte_segments() {
        let wanted = libraries(&["mine", "absent", "Other"]);
        let (mut list, request) = FunctionList::of(&wanted);
        assert_eq!(request, "*2\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n");
        let (last, before) = REPLY.split_last().unwrap();
        assert!(before.iter().all(|byte| list.receive(&[*byte]) == Ok(None)));
        assert_eq!(list.receive(&[*last]), Ok(Some(libraries(&["hello", "bye"]))));
        assert_eq!(outcome(b"*0\r\n"), Ok(Some(HashSet::new())));
    }

    #[test]
    fn a_reply_that_is_no_function_list_is_an_error() {
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
