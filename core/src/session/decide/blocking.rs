//! Finds out whether a request has the option that holds up its connection.

use crate::resp::{Request, is_word};

/// Returns true if an `XREAD` or `XREADGROUP` may wait for entries before Redis answers it: on a shared
/// link, all sessions would wait with it.
///
/// Options are read as by `xreadCommand` of Redis 5 to 8 and of Valkey, where a word after `COUNT` or
/// `GROUP` is a value whatever its text. Options that are not understood, or that have not arrived of a
/// large request, may block: a newer server may have options that an older one refuses.
pub fn may_block(request: &Request<'_>) -> bool {
    // The last argument that is present may be the beginning of a longer word.
    let whole = request.len().saturating_sub(usize::from(request.is_cut()));
    let mut args = request.args().take(whole).skip(1);
    while let Some(option) = args.next() {
        let values = match option {
            _ if is_word(option, b"streams") => return false,
            _ if is_word(option, b"count") => 1,
            _ if is_word(option, b"group") => 2,
            _ if is_word(option, b"noack") => 0,
            // The word is `BLOCK`, or is not understood.
            _ => return true,
        };
        for _ in 0..values {
            args.next();
        }
    }
    true
}

/// Returns true if a `VADD` may be answered from a thread, while Redis 8 reads nothing more from its
/// connection: it has the option `CAS`, or an element or value that is the same word.
pub(super) fn may_be_late(request: &Request<'_>) -> bool {
    request.is_cut() || request.args().skip(2).any(|arg| is_word(arg, b"cas"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser, encode_command};
    use bytes::BytesMut;

    fn ask(bytes: &[u8], limits: &RequestLimits, question: fn(&Request<'_>) -> bool) -> bool {
        let mut parser = RequestParser::new();
        let parsed = parser.parse(bytes, limits).unwrap();
        assert!(matches!(parsed, Parsed::Request { .. } | Parsed::Large));
        question(&parser.request(bytes))
    }

    fn asked(bytes: &[u8], limits: &RequestLimits) -> bool {
        ask(bytes, limits, may_block)
    }

    fn encoded(text: &str) -> BytesMut {
        let mut bytes = BytesMut::new();
        let words: Vec<_> = text.split(' ').map(str::as_bytes).collect();
        encode_command(words, &mut bytes);
        bytes
    }

    fn words(text: &str) -> bool {
        asked(&encoded(text), &RequestLimits::AUTHENTICATED)
    }

    #[test]
    fn vadd_may_be_late_only_with_the_option_cas() {
        let late = |text| ask(&encoded(text), &RequestLimits::AUTHENTICATED, may_be_late);
        for text in
            ["VADD k VALUES 1 1 e CAS", "VADD k VALUES 1 1 e cas M 4", "VADD k FP32 v e CAS\0x"]
        {
            assert!(late(text), "{text:?}");
        }
        for text in ["VADD k VALUES 1 1 e", "VADD cas VALUES 1 1 e NOQUANT", "VADD"] {
            assert!(!late(text), "{text:?}");
        }
    }

    #[test]
    fn xread_values_are_not_read_as_options() {
        for waits in [
            "XREAD BLOCK 0 STREAMS k $",
            "xread block 0 streams k $",
            "XREAD COUNT 1 BLOCK 0 STREAMS k $",
            "XREAD BLOCK\0 0 STREAMS k $",
            "XREAD BLOCK\0x 0 STREAMS k $",
            "XREAD COUNT\0 streams BLOCK 0 STREAMS k $",
            "XREADGROUP GROUP streams c BLOCK 0 STREAMS k >",
            "XREADGROUP GROUP g streams BLOCK 0 STREAMS k >",
            "XREADGROUP NOACK GROUP streams streams COUNT streams BLOCK 0 STREAMS k >",
            // The request is not understood, or is incomplete.
            "XREAD CLAIM 1 STREAMS k $",
            "XREAD COUNT 1",
            "XREAD",
        ] {
            assert!(words(waits), "{waits:?}");
        }
        for plain in [
            "XREAD STREAMS k $",
            "XREAD COUNT block STREAMS block 0",
            "XREAD STREAMS\0 block 0",
            "XREADGROUP GROUP block c STREAMS k >",
            "XREADGROUP GROUP g block NOACK COUNT 1 STREAMS k >",
        ] {
            assert!(!words(plain), "{plain:?}");
        }
    }

    #[test]
    fn xread_with_missing_arguments_may_block() {
        let limits = RequestLimits { stream_at: 64, ..RequestLimits::AUTHENTICATED };
        let name =
            format!("$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$1\r\ng\r\n$90\r\n{}\r\n", "c".repeat(90));
        assert!(asked(format!("*9\r\n{name}").as_bytes(), &limits));
        // The first part of the word alone would be the end of the options.
        assert!(asked(format!("*9\r\n{name}$9\r\nstreams").as_bytes(), &limits));
        assert!(!asked(format!("*9\r\n{name}$7\r\nstreams\r\n").as_bytes(), &limits));
    }
}
