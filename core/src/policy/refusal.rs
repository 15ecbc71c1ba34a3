//! Redis 7.0's errors for commands that do not exist or have the wrong number of arguments.
//!
//! Redis builds them with C's `printf`: a string ends at its first NUL, and precisions cut it.

use bytes::Bytes;

use crate::resp::reply;

/// Most bytes of a name that Redis shows.
const NAME_SHOWN: usize = 128;
/// Redis adds arguments until their list is this long; no argument is shown beyond it.
const ARGS_SHOWN: usize = 128;

/// Returns Redis's error for a command that does not exist. `args` is the request as the client sent
/// it, its name first.
///
/// Redis cuts the name at 128 bytes. It appends arguments, each in quotes with a space after it, while
/// their list is shorter than 128 bytes, and cuts each at the rest of the 128. All end at a NUL; CR and
/// LF become spaces.
pub fn unknown_command<'a>(args: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(b"ERR unknown command '");
    text.extend_from_slice(shown(name, NAME_SHOWN));
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in args {
        let room = ARGS_SHOWN.saturating_sub(text.len().saturating_sub(start));
        if room == 0 {
            break;
        }
        text.push(b'\'');
        text.extend_from_slice(shown(arg, room));
        text.extend_from_slice(b"' ");
    }
    reply::error(&text)
}

/// Returns Redis 7.0's error for a subcommand that does not exist. `args` is the request as the client
/// sent it: the container's name first, then the subcommand's.
///
/// Redis cuts the subcommand at 128 bytes and shows the container's name in upper case; both end at a
/// NUL; CR and LF become spaces.
pub fn unknown_subcommand<'a>(args: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    let word = args.next().unwrap_or_default();
    let mut text = Vec::with_capacity(256);
    text.extend_from_slice(b"ERR unknown subcommand '");
    text.extend_from_slice(shown(word, NAME_SHOWN));
    text.extend_from_slice(b"'. Try ");
    text.extend(shown(name, usize::MAX).iter().map(u8::to_ascii_uppercase));
    text.extend_from_slice(b" HELP.");
    reply::error(&text)
}

/// Returns Redis's error for a wrong number of arguments of the command called `name`, in lower case.
pub fn wrong_arity(name: &str) -> Bytes {
    let mut text = Vec::with_capacity(96);
    text.extend_from_slice(b"ERR wrong number of arguments for '");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"' command");
    reply::error(&text)
}

/// Returns what `%.*s` shows of `text` with the precision `most`.
fn shown(text: &[u8], most: usize) -> &[u8] {
    let text = text.get(..most).unwrap_or(text);
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}
