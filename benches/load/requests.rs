//! The requests of the clients.

use crate::connection::request;

/// A kind of load.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Mix {
    /// Only GET of three bytes.
    Get,
    /// The mix of a service: mostly reads, of several types, from 3 bytes to 1 KiB.
    Mixed,
    /// MULTI, two writes and EXEC, sent together.
    Transaction,
}

/// The bytes of a request, and the number of its replies.
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) replies: usize,
}

impl Mix {
    /// Returns requests that are sent in turn, over and over.
    pub(crate) fn requests(self) -> Vec<Request> {
        let one = |words: &[&[u8]]| Request { bytes: request(words), replies: 1 };
        match self {
            Self::Get => vec![one(&[b"GET", b"load:get"])],
            Self::Mixed => {
                let (short, long) = ([b's'; 40], [b'l'; 1024]);
                vec![
                    one(&[b"SET", b"load:short", &short]),
                    one(&[b"GET", b"load:short"]),
                    one(&[b"GET", b"load:long"]),
                    one(&[b"HSET", b"load:hash", b"field", &short, b"other", b"value"]),
                    one(&[b"GET", b"load:short"]),
                    one(&[b"HGETALL", b"load:hash"]),
                    one(&[b"INCR", b"load:counter"]),
                    one(&[b"GET", b"load:counter"]),
                    one(&[b"SET", b"load:long", &long]),
                    one(&[b"GET", b"load:long"]),
                    one(&[b"ZADD", b"load:scores", b"1", b"one", b"2", b"two"]),
                    one(&[b"ZRANGE", b"load:scores", b"0", b"-1"]),
                    one(&[b"SET", b"load:short", &short, b"EX", b"60"]),
                    one(&[b"MGET", b"load:short", b"load:counter", b"load:absent"]),
                    one(&[b"EXPIRE", b"load:hash", b"60"]),
                    one(&[b"EXISTS", b"load:long"]),
                ]
            }
            Self::Transaction => {
                let words: [&[&[u8]]; 4] = [
                    &[b"MULTI"],
                    &[b"SET", b"load:one", b"value"],
                    &[b"INCR", b"load:two"],
                    &[b"EXEC"],
                ];
                let bytes = words.into_iter().flat_map(request).collect();
                vec![Request { bytes, replies: words.len() }]
            }
        }
    }
}
