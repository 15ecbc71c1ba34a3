//! Compares the requests that Redis and the parser find.

use redoubt_core::resp::{Parsed, ProtocolError, RequestLimits, RequestParser};

use super::server::Redis;

/// Returns the requests in `input`, divided into segments of `size`, and the error that ends them.
pub(crate) fn parse(
    input: &[u8],
    limits: &RequestLimits,
    size: usize,
) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let mut parser = RequestParser::new();
    let (mut start, mut end) = (0, 0);
    let mut requests = vec![];
    while end < input.len() {
        end = input.len().min(end + size);
        loop {
            let held = &input[start..end];
            match parser.parse(held, limits) {
                Ok(Parsed::Incomplete) => break,
                Ok(Parsed::Empty { len }) => start += len,
                Ok(Parsed::Request { len }) => {
                    requests.push(parser.request(held).args().map(<[u8]>::to_vec).collect());
                    start += len;
                }
                Ok(Parsed::Large) => panic!("these limits never stream"),
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// Returns Redis's replies to requests that are all `ECHO`.
fn echoes(requests: &[Vec<Vec<u8>>], error: Option<ProtocolError>) -> Vec<u8> {
    let mut output = vec![];
    for args in requests {
        assert!(args[0].eq_ignore_ascii_case(b"ECHO"), "not an ECHO: {args:?}");
        match &args[1..] {
            [text] => {
                output.extend(format!("${}\r\n", text.len()).bytes());
                output.extend(text);
                output.extend(b"\r\n");
            }
            _ => output.extend(b"-ERR wrong number of arguments for 'echo' command\r\n"),
        }
    }
    if let Some(error) = error {
        output.extend(error.reply());
    }
    output
}

/// Checks that Redis and the parser find the same `ECHO`s and the same error in `input`.
pub(crate) fn agree(redis: &Redis, input: &[u8], limits: &RequestLimits) {
    let shown = input[..input.len().min(80)].escape_ascii();
    let (requests, error) = parse(input, limits, input.len());
    assert_eq!(parse(input, limits, 1), (requests.clone(), error), "{shown}");
    let (ours, theirs) = (echoes(&requests, error), redis.answer(input));
    assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{shown}");
}
