//! Checks of inline requests: the parser accepts a line exactly as `sdssplitargs` of Redis 7.0 would.
//!
//! The first byte selects how the line is divided into segments; the rest is the line.

use bytes::BytesMut;
use redoubt_core::resp::{Parsed, ProtocolError, RequestLimits, RequestParser};

/// The result of parsing a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Args(Vec<Vec<u8>>),
    Blank,
    Unbalanced,
    Unfinished,
}

/// Panics if the parser and Redis's rules differ, or if segments change the result.
pub fn check(data: &[u8]) {
    let [cuts, line @ ..] = data else { return };
    // A star would begin a multibulk request, and a second line would be another request.
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.first() == Some(&b'*') {
        return;
    }
    let wire = [line, b"\n"].concat();
    let wanted = expected(line);
    assert_eq!(wanted, parsed(&wire, wire.len()), "not as Redis");
    assert_eq!(wanted, parsed(&wire, 1), "single bytes change the line");
    assert_eq!(wanted, parsed(&wire, usize::from(*cuts).max(2)), "segments change the line");
}

fn parsed(wire: &[u8], step: usize) -> Line {
    let limits = RequestLimits::AUTHENTICATED;
    let mut parser = RequestParser::new();
    let mut end = 0;
    while end < wire.len() {
        end = (end + step).min(wire.len());
        let held = &wire[..end];
        match parser.parse(held, &limits) {
            Ok(Parsed::Incomplete) => {}
            Ok(Parsed::Empty { len }) => {
                assert_eq!(len, wire.len());
                return Line::Blank;
            }
            Ok(Parsed::Request { len }) => {
                assert_eq!(len, wire.len());
                let request = parser.request(held);
                let args: Vec<_> = request.args().map(<[u8]>::to_vec).collect();
                assert_eq!(args.len(), request.declared());
                let mut written = BytesMut::new();
                request.write_to(&mut written);
                assert_eq!(
                    multibulk(&written),
                    args,
                    "the forwarded request differs from the parsed one"
                );
                return Line::Args(args);
            }
            Ok(Parsed::Large) => panic!("a line is not large"),
            Err(error) => {
                assert_eq!(error, ProtocolError::UnbalancedQuotes);
                return Line::Unbalanced;
            }
        }
    }
    Line::Unfinished
}

/// Returns the arguments of a complete multibulk request.
fn multibulk(wire: &[u8]) -> Vec<Vec<u8>> {
    let mut parser = RequestParser::new();
    let whole = RequestLimits { stream_at: usize::MAX, ..RequestLimits::AUTHENTICATED };
    assert_eq!(parser.parse(wire, &whole), Ok(Parsed::Request { len: wire.len() }));
    parser.request(wire).args().map(<[u8]>::to_vec).collect()
}

/// Parses a line as Redis does, without its line end: `processInlineBuffer` and `sdssplitargs`,
/// statement by statement, with the NUL that ends a C string at and beyond the end.
fn expected(line: &[u8]) -> Line {
    // strchr finds no line end after a NUL.
    if line.contains(&0) {
        return Line::Unfinished;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let at = |place: usize| line.get(place).copied().unwrap_or(0);
    let is_space = |byte: u8| matches!(byte, b' ' | 0x09..=0x0d);
    let mut args = Vec::new();
    let mut p = 0;
    loop {
        while at(p) != 0 && is_space(at(p)) {
            p += 1;
        }
        if at(p) == 0 {
            return if args.is_empty() { Line::Blank } else { Line::Args(args) };
        }
        let (mut double, mut single, mut done) = (false, false, false);
        let mut current = Vec::new();
        while !done {
            let byte = at(p);
            if double {
                let digits = [at(p + 2), at(p + 3)];
                if byte == b'\\' && at(p + 1) == b'x' && digits.iter().all(u8::is_ascii_hexdigit) {
                    let text = std::str::from_utf8(&digits).expect("digits");
                    current.push(u8::from_str_radix(text, 16).expect("two digits"));
                    p += 3;
                } else if byte == b'\\' && at(p + 1) != 0 {
                    p += 1;
                    current.push(match at(p) {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'a' => 7,
                        other => other,
                    });
                } else if byte == b'"' {
                    if at(p + 1) != 0 && !is_space(at(p + 1)) {
                        return Line::Unbalanced;
                    }
                    done = true;
                } else if byte == 0 {
                    return Line::Unbalanced;
                } else {
                    current.push(byte);
                }
            } else if single {
                if byte == b'\\' && at(p + 1) == b'\'' {
                    p += 1;
                    current.push(b'\'');
                } else if byte == b'\'' {
                    if at(p + 1) != 0 && !is_space(at(p + 1)) {
                        return Line::Unbalanced;
                    }
                    done = true;
                } else if byte == 0 {
                    return Line::Unbalanced;
                } else {
                    current.push(byte);
                }
            } else {
                match byte {
                    b' ' | b'\n' | b'\r' | b'\t' | 0 => done = true,
                    b'"' => double = true,
                    b'\'' => single = true,
                    other => current.push(other),
                }
            }
            if at(p) != 0 {
                p += 1;
            }
        }
        args.push(current);
    }
}
