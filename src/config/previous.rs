//! `client.previous_…`: a password that clients may use for a while besides the one that follows it.

use std::fmt::{self, Write};
use std::time::SystemTime;

use secrecy::SecretString;
use toml::Spanned;

use super::assemble::expected;
use super::credentials::from_environment;
use super::environment::{
    Environment, REDOUBT_PREVIOUS_PASSWORD, REDOUBT_PREVIOUS_PASSWORD_FILE, REDOUBT_PREVIOUS_UNTIL,
};
use super::error::{ConfigError, Problem, Site};
use super::password::{Candidate, Password};
use super::print::{MASK, quoted};
use super::schema::Given;
use super::settings::Origin;
use super::source::Source;

/// A client password that is about to go.
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
    pub(super) const KEYS: [&str; 2] =
        ["client.previous_password", "client.previous_password_file"];

    /// Whether it is accepted no more at `now`.
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.until
    }

    /// The one that is configured, and whether it is weak. A past end is no error: a restart must
    /// not fail because time has gone by.
    pub(super) fn find(
        source: &Source<'_>,
        environment: &Environment,
        in_file: Vec<Candidate>,
        until: Given<String>,
        allow_weak: bool,
    ) -> Result<Option<(Self, bool)>, ConfigError> {
        let names = [REDOUBT_PREVIOUS_PASSWORD, REDOUBT_PREVIOUS_PASSWORD_FILE];
        let outer = Candidate::only(from_environment(environment, names[0], names[1])?)?;
        let inner = Candidate::only(in_file)?;
        match (outer.or(inner), end(source, environment, until)?) {
            (None, None) => Ok(None),
            (Some(given), None) => Err(given.site.error(Problem::NoUntil)),
            (None, Some((site, _))) => Err(site.error(Problem::NothingPrevious)),
            (Some(given), Some((_, until))) => {
                let Password { secret, origin, weak } = given.resolve(allow_weak)?;
                Ok(Some((Self { password: secret, origin, until }, weak)))
            }
        }
    }

    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        let until = humantime::format_rfc3339(self.until).to_string();
        writeln!(out, "previous_password = {} # {}", quoted(MASK), self.origin)?;
        writeln!(out, "previous_until = {}", quoted(&until))
    }
}

/// The end that was given, and where.
fn end(
    source: &Source<'_>,
    environment: &Environment,
    given: Given<String>,
) -> Result<Option<(Site, SystemTime)>, ConfigError> {
    const KEY: &str = "client.previous_until";
    let in_file = |given: Spanned<String>| (source.site(KEY, given.span()), given.into_inner());
    let (site, text) = match (environment.text(REDOUBT_PREVIOUS_UNTIL)?, given) {
        (Some(text), _) => (Site::Variable(REDOUBT_PREVIOUS_UNTIL), text),
        (None, Some(given)) => in_file(given),
        (None, None) => return Ok(None),
    };
    match humantime::parse_rfc3339(&text) {
        Ok(until) => Ok(Some((site, until))),
        Err(_) => Err(expected(&site, KEY)),
    }
}

/// The time of day, which the end of a password is given in.
#[allow(clippy::disallowed_methods, reason = "the end of a password is a date")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn it_is_over_at_its_end_and_not_before() {
        let until = UNIX_EPOCH + Duration::from_secs(100);
        let previous = PreviousPassword { password: "x".into(), origin: Origin::Upstream, until };
        assert!(!previous.is_over(until - Duration::from_millis(1)));
        assert!(previous.is_over(until));
    }
}
