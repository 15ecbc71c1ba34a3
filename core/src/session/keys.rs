//! Reports the keys of refused commands, if the operator has enabled it.

use sha2::{Digest, Sha256};

use crate::command::Spec;
use crate::resp::Request;

/// The form in which keys of refused commands are reported. Other arguments are never reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// Keys are not reported.
    #[default]
    None,
    /// The SHA-256 digest of each key is reported, in hexadecimal.
    Hashed,
    /// Keys are reported as they are, escaped; a long key is truncated and ends in `…`.
    Plain,
}

impl KeyForm {
    /// Most keys of a command that are reported.
    pub const MOST: usize = 16;
    /// Most bytes of a plain key that are reported.
    pub const LONGEST: usize = 256;

    /// Returns the keys of `request` at the positions that the table gives. Keys that must be counted
    /// out of the arguments, as those of `EVAL`, and keys that have not arrived completely are left
    /// out.
    pub(super) fn of(self, request: &Request<'_>, spec: Option<&Spec>) -> Vec<String> {
        let Some(spec) = spec.filter(|_| self != Self::None) else { return Vec::new() };
        let place = |number: i16| usize::try_from(number).ok();
        let (Some(first @ 1..), Some(step @ 1..)) = (place(spec.keys.first), place(spec.keys.step))
        else {
            return Vec::new();
        };
        let from_end = usize::from(spec.keys.last.unsigned_abs());
        let last = match place(spec.keys.last) {
            Some(last) => last,
            None => request.declared().saturating_sub(from_end),
        };
        let arrived = request.len().saturating_sub(usize::from(request.is_cut()));
        let places = (first..=last.min(arrived.saturating_sub(1))).step_by(step);
        let keys = places.take(Self::MOST).filter_map(|place| request.arg(place));
        keys.map(|key| self.show(key)).collect()
    }

    /// Returns the form in which a key is reported; empty if it is not.
    pub fn show(self, key: &[u8]) -> String {
        match (self, key.get(..Self::LONGEST)) {
            (Self::None, _) => String::new(),
            (Self::Hashed, _) => hex::encode(Sha256::digest(key)),
            (Self::Plain, Some(cut)) if cut.len() < key.len() => {
                format!("{}…", cut.escape_ascii())
            }
            (Self::Plain, _) => key.escape_ascii().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Parsed, RequestLimits, RequestParser};
    use crate::session::classify as find;

    /// Returns the keys of the request in `bytes`, which may be incomplete.
    fn keys(form: KeyForm, bytes: &[u8]) -> Vec<String> {
        let limits = RequestLimits { stream_at: 64, ..RequestLimits::AUTHENTICATED };
        let mut parser = RequestParser::new();
        let parsed = parser.parse(bytes, &limits).unwrap();
        assert!(matches!(parsed, Parsed::Request { .. } | Parsed::Large));
        let request = parser.request(bytes);
        form.of(&request, find(&request))
    }

    #[test]
    fn reported_keys_are_those_at_the_positions_in_the_command_table() {
        for (request, wanted) in [
            ("GET a\r\n", "a"),
            ("MSET a 1 b 2\r\n", "a b"),
            ("DEL a b c\r\n", "a b c"),
            ("BLPOP a b 0\r\n", "a b"),
            ("OBJECT ENCODING a\r\n", "a"),
            ("RENAME a b\r\n", "a b"),
            // The keys must be counted out, or there are no keys, too few arguments, or the command is
            // unknown.
            ("EVAL x 1 a\r\n", ""),
            ("CONFIG SET a b\r\n", ""),
            ("MSET\r\n", ""),
            ("BLPOP\r\n", ""),
            ("NONSENSE a\r\n", ""),
        ] {
            assert_eq!(keys(KeyForm::Plain, request.as_bytes()).join(" "), wanted, "{request}");
            assert_eq!(keys(KeyForm::None, request.as_bytes()).len(), 0);
        }
        let many = format!("DEL {}\r\n", "a ".repeat(100));
        assert_eq!(keys(KeyForm::Plain, many.as_bytes()).len(), KeyForm::MOST);
    }

    #[test]
    fn incomplete_keys_are_not_reported() {
        let begun = format!("*4\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n$99\r\n{}", "c".repeat(90));
        assert_eq!(keys(KeyForm::Plain, begun.as_bytes()), ["a", "b"]);
    }

    #[test]
    fn reported_keys_are_escaped_truncated_or_hashed() {
        let asked = |form, key: &str| keys(form, format!("GET {key}\r\n").as_bytes()).join(" ");
        assert_eq!(asked(KeyForm::Plain, "\"a\\nb\\xff\""), "a\\nb\\xff");
        let whole = "k".repeat(KeyForm::LONGEST);
        assert_eq!(asked(KeyForm::Plain, &whole), whole);
        assert_eq!(asked(KeyForm::Plain, &format!("{whole}x")), format!("{whole}…"));
        // The digest is the output of `printf %s abc | sha256sum`.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(asked(KeyForm::Hashed, "abc"), abc);
    }
}
