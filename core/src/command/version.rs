//! Versions of Redis.

use std::fmt;

/// A version of Redis, such as 7.0.15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The major version: 7 of 7.0.15.
    pub major: u16,
    /// The minor version: 0 of 7.0.15.
    pub minor: u16,
    /// The patch version: 15 of 7.0.15.
    pub patch: u16,
}

impl Version {
    /// Creates the version `major.minor.patch`.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Parses the value of `redis_version` in `INFO`: one to three decimal numbers with dots between
    /// them, where missing numbers are 0. The part after a `-` is ignored (`7.4.0-v1`).
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split_once('-').map_or(text, |(numbers, _)| numbers);
        let mut parts = numbers.split('.');
        let major = number(parts.next()?)?;
        let minor = parts.next().map_or(Some(0), number)?;
        let patch = parts.next().map_or(Some(0), number)?;
        parts.next().is_none().then_some(Self { major, minor, patch })
    }
}

/// `u16::from_str` accepts a plus sign, which no version has.
fn number(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_printed_and_ordered() {
        let version = Version::parse("7.0.15").unwrap();
        assert_eq!(version, Version::new(7, 0, 15));
        assert_eq!(version.to_string(), "7.0.15");
        assert!(version > Version::new(7, 0, 9));
        assert!(version < Version::new(7, 2, 0));
        assert!(version < Version::new(10, 0, 0));
    }

    #[test]
    fn short_and_suffixed_versions_are_parsed() {
        assert_eq!(Version::parse("7"), Some(Version::new(7, 0, 0)));
        assert_eq!(Version::parse("7.2"), Some(Version::new(7, 2, 0)));
        assert_eq!(Version::parse("6.2.6-v2"), Some(Version::new(6, 2, 6)));
        assert_eq!(Version::parse("255.255.255"), Some(Version::new(255, 255, 255)));
    }

    #[test]
    fn other_text_is_not_parsed_as_a_version() {
        for text in ["", "-1", ".", "7.", "7..1", "7.0.1.2", "+7.0.1", "7.0.x", " 7.0", "99999"] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
