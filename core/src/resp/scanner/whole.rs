//! Finds the end of short replies that have arrived completely, as most have.

use crate::resp::integer;

/// Returns the length of the reply at the start of `input`, if it has arrived completely and is a
/// string, null, an integer, `+OK` or `+QUEUED`. The result is that of a
/// [`ReplyScanner`](super::ReplyScanner) at the beginning of a frame. `None` means that the scanner has
/// to look.
#[inline]
pub(crate) fn whole(input: &[u8]) -> Option<usize> {
    let (&lead, after) = input.split_first()?;
    match lead {
        b'$' => {
            let Some((number, digits)) = integer::short_prefix(after) else {
                return input.starts_with(b"$-1\r\n").then_some(5);
            };
            let body = after.get(digits..)?.strip_prefix(b"\r\n")?;
            let len = usize::try_from(number).ok()?;
            let end = len.checked_add(2)?;
            (body.get(len..end)? == b"\r\n").then_some(digits.checked_add(end)?.checked_add(3)?)
        }
        b':' => {
            let (_, digits) = integer::short_prefix(after)?;
            after.get(digits..)?.starts_with(b"\r\n").then_some(digits.checked_add(3)?)
        }
        b'+' if after.starts_with(b"OK\r\n") => Some(5),
        b'+' if after.starts_with(b"QUEUED\r\n") => Some(9),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Kind, ReplyScanner};

    /// Every result must agree with the scanner's, and a truncated reply must have no result.
    #[test]
    fn the_fast_path_for_whole_replies_agrees_with_the_scanner() {
        let long = format!("$1000\r\n{}\r\n", "x".repeat(1000));
        let replies: [&[u8]; 15] = [
            b"$3\r\nabc\r\n",
            b"$0\r\n\r\n",
            b"$11\r\n$3\r\nabc\r\n:1\r\n",
            b"$-1\r\n",
            long.as_bytes(),
            b":0\r\n",
            b":1234567\r\n",
            b"+OK\r\n",
            b"+QUEUED\r\n",
            b":-1\r\n",
            b"+PONG\r\n",
            b"-ERR no\r\n",
            b"*1\r\n:1\r\n",
            b"_\r\n",
            b">2\r\n:1\r\n:2\r\n",
        ];
        for (at, reply) in replies.into_iter().enumerate() {
            let followed = [reply, b":7\r\n"].concat();
            let mut scanner = ReplyScanner::new();
            let scan = scanner.scan(&followed).unwrap();
            assert_eq!((scan.len, scan.done), (reply.len(), true));
            let found = whole(&followed);
            assert_eq!(found, (at < 9).then_some(reply.len()), "{}", reply.escape_ascii());
            assert!(found.is_none() || scanner.kind().is_some_and(|kind| !Kind::is_error(kind)));
            for end in 0..reply.len() {
                assert_eq!(whole(&reply[..end]), None, "{}", reply.escape_ascii());
            }
        }
    }

    #[test]
    fn invalid_bytes_are_no_whole_reply() {
        for wrong in
            ["$3\r\nabcd\r\n", "$3\nabc\r\n", "$03\r\nabc\r\n", ":\r\n", "$\r\n", ":1\n\r", ""]
        {
            assert_eq!(whole(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
