//! Finds out whether the server checks the payload of `RESTORE`.

use super::batch::{Answer, Batch};
use super::rights::Rights;

/// Asks for the setting, which Redis has from 6.2 on and Valkey had until 9.0, and for the server's
/// name.
pub fn ask_payloads() -> Batch {
    let mut batch = Batch::of(&["CONFIG", "GET", "sanitize-dump-payload"]);
    batch.add(&["INFO", "server"]);
    batch
}

/// For which users the server checks payloads before it accepts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payloads {
    /// The server checks payloads of all users.
    Checked,
    /// The server checks payloads of all users without `skip-sanitize-payload`.
    CheckedUnlessSkipped,
    /// The server checks no payloads, or does not report whether it does.
    Unchecked,
}

impl Payloads {
    /// Reads the replies to [`ask_payloads`]. A Valkey without the setting always checks.
    pub fn of(answers: &[Answer]) -> Self {
        let [Answer::Array(pair), info] = answers else { return Self::Unchecked };
        match &pair[..] {
            [Answer::BulkString(_), Answer::BulkString(value)] => match value.as_slice() {
                b"yes" => Self::Checked,
                b"clients" => Self::CheckedUnlessSkipped,
                _ => Self::Unchecked,
            },
            [] if is_valkey(info) => Self::Checked,
            _ => Self::Unchecked,
        }
    }

    /// Returns true if the server checks payloads of a user with `rights`. For unknown rights, the
    /// result is true only if it checks those of all users.
    pub fn are_checked(self, rights: Option<&Rights>) -> bool {
        match self {
            Self::Checked => true,
            Self::CheckedUnlessSkipped => rights.is_some_and(|rights| !rights.skips_checks()),
            Self::Unchecked => false,
        }
    }
}

/// Returns true if the reply to `INFO server` is Valkey's.
fn is_valkey(info: &Answer) -> bool {
    let Answer::BulkString(text) = info else { return false };
    text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"valkey_version:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Answer {
        Answer::BulkString(text.into())
    }

    fn from_setting(value: &str) -> Payloads {
        let pair = Answer::Array(vec![text("sanitize-dump-payload"), text(value)]);
        Payloads::of(&[pair, text("# Server\r\nredis_version:7.0.15\r\n")])
    }

    #[test]
    fn payloads_count_as_checked_only_by_a_clear_answer() {
        assert_eq!(from_setting("yes"), Payloads::Checked);
        assert_eq!(from_setting("clients"), Payloads::CheckedUnlessSkipped);
        assert_eq!(from_setting("no"), Payloads::Unchecked);
        assert_eq!(from_setting("YES"), Payloads::Unchecked);
        // Redis 6.0 has no such setting yet, and newer Valkeys have none any more; a managed server has
        // no CONFIG.
        let none = || Answer::Array(Vec::new());
        let denied = || Answer::Error("NOPERM no".into());
        let redis = || text("# Server\r\nredis_version:6.0.16\r\n");
        let valkey = || text("# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\n");
        assert_eq!(Payloads::of(&[none(), redis()]), Payloads::Unchecked);
        assert_eq!(Payloads::of(&[none(), denied()]), Payloads::Unchecked);
        assert_eq!(Payloads::of(&[none(), valkey()]), Payloads::Checked);
        assert_eq!(Payloads::of(&[denied(), valkey()]), Payloads::Unchecked);
        assert_eq!(Payloads::of(&[text("yes"), valkey()]), Payloads::Unchecked);
        assert_eq!(Payloads::of(&[none()]), Payloads::Unchecked);
    }

    #[test]
    fn payloads_of_a_user_with_skip_sanitize_payload_are_unchecked() {
        let checked = Rights::parse(b"on nopass sanitize-payload ~* +@all");
        let skips = Rights::parse(b"on nopass skip-sanitize-payload ~* +@all");
        for (payloads, of_checked, of_skips, of_unknown) in [
            (Payloads::Checked, true, true, true),
            (Payloads::CheckedUnlessSkipped, true, false, false),
            (Payloads::Unchecked, false, false, false),
        ] {
            assert_eq!(payloads.are_checked(Some(&checked)), of_checked);
            assert_eq!(payloads.are_checked(Some(&skips)), of_skips);
            assert_eq!(payloads.are_checked(None), of_unknown);
        }
    }
}
