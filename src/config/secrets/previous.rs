//! A former password of clients, which stays valid until a given time.

use std::time::SystemTime;

use secrecy::SecretString;

use super::super::error::{ConfigError, Problem};
use super::super::read::Given;
use super::origin::Origin;
use super::password::{Candidates, Password};

/// A former password of clients, replaced by another.
#[derive(Debug, Clone)]
pub struct PreviousPassword {
    /// The password.
    pub password: SecretString,
    /// Where it was found.
    pub origin: Origin,
    /// When it stops being accepted, and the sessions that used it are closed.
    pub until: SystemTime,
}

impl PreviousPassword {
    /// Returns whether the password has ended at `now`.
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.until
    }

    /// Returns the configured previous password, and whether it is weak. An end in the past is no
    /// error: a restart must not fail because time has passed.
    pub(crate) fn find(
        given: Candidates,
        until: Given<SystemTime>,
        allow_weak: bool,
    ) -> Result<Option<(Self, bool)>, ConfigError> {
        match (given.only(|_| true)?, until.winner()) {
            (None, None) => Ok(None),
            (Some(given), None) => Err(given.site.error(Problem::NoUntil)),
            (None, Some((site, _))) => Err(site.error(Problem::NothingPrevious)),
            (Some(given), Some((_, until))) => {
                let Password { secret, origin, weak } = given.resolve(allow_weak)?;
                Ok(Some((Self { password: secret, origin, until }, weak)))
            }
        }
    }
}

/// Returns the time of day: the end of a password is given as a date.
#[allow(clippy::disallowed_methods, reason = "the end of a password is a date")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Returns the time of day in seconds since 1970, for comparison with the clocks of other processes.
pub(crate) fn seconds() -> u64 {
    let since = wall_clock().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}

/// Returns the time of day in milliseconds since 1970.
pub(crate) fn milliseconds() -> u64 {
    let since = wall_clock().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn previous_password_ends_exactly_at_its_end() {
        let until = UNIX_EPOCH + Duration::from_secs(100);
        let previous = PreviousPassword { password: "x".into(), origin: Origin::Upstream, until };
        assert!(!previous.is_over(until - Duration::from_millis(1)));
        assert!(previous.is_over(until));
    }
}
