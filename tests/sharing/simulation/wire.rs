//! The part of RESP that the model and the clients need. It uses none of the proxy's own parsers, which
//! could otherwise agree with their own mistakes.

pub(crate) type Args = Vec<Vec<u8>>;

/// Returns a request in multibulk form.
pub(crate) fn multibulk(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend(bulk(arg));
    }
    out
}

pub(crate) fn bulk(data: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

pub(crate) fn integer(number: usize) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

pub(crate) fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

/// Returns the end of the line that starts at `at`, and the number after its first byte.
fn line(input: &[u8], at: usize) -> Option<(usize, i64)> {
    let len = input.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
    let text = std::str::from_utf8(&input[at + 1..at + len]).ok();
    Some((at + len + 2, text.and_then(|text| text.parse().ok()).unwrap_or(0)))
}

/// Returns the complete multibulk request at the start of `input`, and its length.
///
/// Panics if it is not canonical multibulk, since a link carries nothing else.
pub(crate) fn request(input: &[u8]) -> Option<(Args, usize)> {
    let first = input.first()?;
    assert_eq!(*first, b'*', "a link carries {:?}", input.escape_ascii().to_string());
    let (mut at, count) = line(input, 0)?;
    let mut args = Args::new();
    for _ in 0..count {
        assert_eq!(*input.get(at)?, b'$');
        let (start, len) = line(input, at)?;
        let end = start + usize::try_from(len).unwrap();
        let arg = input.get(start..end)?;
        assert_eq!(input.get(end..end + 2)?, b"\r\n");
        args.push(arg.to_vec());
        at = end + 2;
    }
    Some((args, at))
}

/// Returns the length of the complete reply or push at the start of `input`.
pub(crate) fn frame(input: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1);
    while left > 0 {
        let (end, number) = line(input, at)?;
        let count = usize::try_from(number).unwrap_or(0);
        left -= 1;
        match input[at] {
            b'*' | b'>' | b'~' => left += count,
            b'%' => left += 2 * count,
            b'$' if number >= 0 => {
                at = end + count + 2;
                if at > input.len() {
                    return None;
                }
                continue;
            }
            b'+' | b'-' | b':' | b'_' | b'$' => {}
            other => panic!("a client got a frame that begins with {:?}", char::from(other)),
        }
        at = end;
    }
    Some(at)
}
