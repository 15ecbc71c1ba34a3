//! Sets of keyspace events, as `notify-keyspace-events` writes them.

use std::fmt;

/// The classes that `A` stands for (Redis 7.0 to 8.0, Valkey 8.1 and 9.1).
const ALL: &[u8] = b"g$lshzxetd";
/// What servers accept besides `A` and the classes of `A`.
const OTHERS: &[u8] = b"KEmn";

/// The error of these servers for a letter that stands for no class.
pub(super) const INVALID: &[u8] = b"-ERR CONFIG SET failed (possibly related to argument \
'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.\r\n";

/// A set of classes of events, and of the channels `K` and `E`. Each bit is the ASCII code of a letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events(u128);

impl Events {
    /// Reads the server's value. It may have letters of a newer version.
    pub(super) fn of_server(value: &[u8]) -> Self {
        value.iter().fold(Self::default(), |events, letter| events.with(*letter))
    }

    /// Reads a client's value, up to a NUL as Redis does; `None` if it has a letter that stands for no class. A
    /// letter of a newer version is known only if it is in `present`, the server's value.
    pub(super) fn parse(text: &[u8], present: Self) -> Option<Self> {
        let letters = text.split(|byte| *byte == 0).next().unwrap_or_default();
        letters.iter().try_fold(Self::default(), |events, letter| {
            let is_known = *letter == b'A'
                || ALL.contains(letter)
                || OTHERS.contains(letter)
                || Self::default().with(*letter).is_in(present);
            is_known.then(|| events.with(*letter))
        })
    }

    fn with(self, letter: u8) -> Self {
        match letter {
            b'A' => ALL.iter().fold(self, |events, letter| events.with(*letter)),
            0..=127 => Self(self.0 | 1 << letter),
            _ => self,
        }
    }

    fn is_in(self, other: Self) -> bool {
        self.0 != 0 && self.without(other).is_empty()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Writes the letters in the order in which servers report them.
impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Self::of_server(ALL);
        let mut rest = *self;
        if all.is_in(*self) {
            f.write_str("A")?;
            rest = rest.without(all);
        }
        let first = ALL.iter().chain(OTHERS).copied();
        for letter in first.chain(b'!'..=b'~') {
            let this = Self::default().with(letter);
            if letter != b'A' && this.is_in(rest) {
                f.write_str(char::from(letter).encode_utf8(&mut [0; 4]))?;
                rest = rest.without(this);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_in_order_and_all_of_them_as_a() {
        for (given, written) in [
            ("", ""),
            ("EKx", "xKE"),
            ("EKA", "AKE"),
            ("Kdtexzhsl$gm", "AKm"),
            ("nmEK$g", "g$KEmn"),
            ("oKc", "Kco"),
        ] {
            assert_eq!(Events::of_server(given.as_bytes()).to_string(), written, "{given}");
        }
    }

    #[test]
    fn a_letter_of_a_newer_version_is_known_if_the_server_has_it() {
        let (old, new) = (Events::of_server(b"KE"), Events::of_server(b"KEo"));
        assert_eq!(Events::parse(b"Ko", old), None);
        assert!(Events::parse(b"Ko", new).unwrap().is_in(new));
        assert_eq!(Events::parse(b"K\xff", new), None);
    }
}
