//! A small part of RESP for tests: requests in multibulk form, and the length of a reply.

/// Returns a request in multibulk form.
pub fn request(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Returns a bulk string reply.
pub fn bulk(value: &[u8]) -> Vec<u8> {
    let mut out = format!("${}\r\n", value.len()).into_bytes();
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    out
}

/// Returns the length of the RESP2 or RESP3 frame at the start of `input`; `None` if it is incomplete.
///
/// # Panics The bytes are not a valid frame.
pub fn length(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut due = 1_u64;
    while due > 0 {
        let line = input[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let (kind, text) = input[at..at + line].split_first().expect("a type byte");
        at += line + 2;
        due -= 1;
        let number = || -> i64 {
            let text = std::str::from_utf8(text).expect("a length");
            text.parse().unwrap_or_else(|_| panic!("not a length: {text:?}"))
        };
        let elements = || u64::try_from(number()).unwrap_or(0);
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'!' | b'=' => {
                if let Ok(bytes) = usize::try_from(number()) {
                    at += bytes + 2;
                    if at > input.len() {
                        return None;
                    }
                }
            }
            b'*' | b'~' | b'>' => due += elements(),
            b'%' => due += elements() * 2,
            b'|' => due += elements() * 2 + 1,
            _ => panic!("no frame begins with {:?}", super::shown(&input[at - line - 2..])),
        }
    }
    Some(at)
}
