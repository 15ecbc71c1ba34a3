//! Opens and closes what is granted.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `granted` | warn | `grant` (its number), `identity`, `command`, `reason`, `by`, `until` |
//! | `grant ended` | info | `grant`, `identity`, `command`, `why` (`over` or `revoked`) |
//! | `a grant has ended, but Redis cannot be reached: …` | warn | `reason` |
//!
//! A grant is opened at Redis first and then at the door, and closed in the other order. Nothing is kept over a
//! restart: guards are made anew then, without grants.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::audit;
use crate::config::{Settings, wall_clock};
use crate::control::in_force::Composer;
use crate::control::watch::Watch;
use crate::grants::{Ask, Grant, GrantRequest, Grants, MOST, MOST_REASON, NewGrant, TIMES};
use crate::net::now;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::auth::DEFAULT_USER;
use redoubt_core::policy::{Escapes, Policy};
use redoubt_core::upstream::guard::GuardError;

/// A grant in force.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    number: u64,
    /// The name of the identity; `None` for that of `[client]`.
    identity: Option<String>,
    /// The name that is shown.
    user: String,
    /// In lower case.
    command: String,
    reason: String,
    by: Option<String>,
    ends: Instant,
    until: SystemTime,
}

/// The grants in force, the oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct GrantedCommands(Arc<[Granted]>);

impl GrantedCommands {
    /// Returns the commands that are granted to the identity called `name`; `None` is that of `[client]`.
    pub(crate) fn of<'a>(&'a self, name: Option<&'a str>) -> Vec<&'a str> {
        let granted = self.0.iter().filter(|granted| granted.identity.as_deref() == name);
        granted.map(|granted| granted.command.as_str()).collect()
    }
}

/// Answers requests about grants and ends those whose time is over.
pub(crate) struct Granter {
    pub(crate) asked: mpsc::Receiver<GrantRequest>,
    pub(crate) composer: Arc<Composer>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) stop: CancellationToken,
}

impl Granter {
    pub(crate) async fn run(mut self) {
        let mut given: Vec<Granted> = Vec::new();
        let mut last = 0;
        loop {
            let next = given.iter().map(|granted| granted.ends).min();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = until(next) => {
                    let at = now();
                    while let Some(place) = given.iter().position(|granted| granted.ends <= at) {
                        let over = given.remove(place);
                        self.end(&over, &given, "over", None).await;
                    }
                }
                Some(GrantRequest { ask, by, reply }) = self.asked.recv() => {
                    let outcome = self.answer(ask, by, &mut given, &mut last).await;
                    // The requester may be gone meanwhile.
                    let _ = reply.send(outcome);
                }
            }
        }
    }

    async fn answer(
        &self,
        ask: Ask,
        by: Option<String>,
        given: &mut Vec<Granted>,
        last: &mut u64,
    ) -> Result<Grants, String> {
        match ask {
            Ask::List => Ok(shown(given, None)),
            Ask::Revoke(number) => {
                let place = given.iter().position(|granted| granted.number == number);
                let place = place.ok_or_else(|| format!("there is no grant {number}"))?;
                let revoked = given.remove(place);
                self.end(&revoked, given, "revoked", by).await;
                Ok(shown(given, None))
            }
            Ask::Give(new) => {
                let granted = granted(&self.composer.settings(), new, by, last.saturating_add(1))?;
                if given.len() >= MOST {
                    return Err(format!("there are {MOST} grants already; revoke one"));
                }
                given.push(granted.clone());
                if let Err(error) = self.put_in_force(given).await {
                    given.pop();
                    return Err(error);
                }
                *last = granted.number;
                report(&granted);
                Ok(shown(given, Some(granted.number)))
            }
        }
    }

    /// Opens what is granted, at Redis first.
    async fn put_in_force(&self, given: &[Granted]) -> Result<(), String> {
        let granted = GrantedCommands(given.into());
        let provisioned = &mut *self.watch.provisioned.lock().await;
        let before = std::mem::replace(&mut provisioned.granted, granted.clone());
        match self.watch.grants_changed(provisioned, true).await {
            Ok(()) => {
                self.composer.take_grants(granted).await;
                Ok(())
            }
            Err(error) => {
                provisioned.granted = before;
                // A command that Redis does not take was refused to a user that is there for trying. After any
                // other error, some guards may have been given their rights.
                if !matches!(error, UpstreamError::Guard(GuardError::Rule(_))) {
                    provisioned.is_stale = true;
                    self.watch.again.notify_one();
                }
                Err(format!("upstream: {}", error.chain()))
            }
        }
    }

    /// Closes what `over` has opened, at the door first. `rest` are the grants that stay.
    async fn end(&self, over: &Granted, rest: &[Granted], why: &'static str, by: Option<String>) {
        let granted = GrantedCommands(rest.into());
        self.composer.take_grants(granted.clone()).await;
        let provisioned = &mut *self.watch.provisioned.lock().await;
        provisioned.granted = granted;
        if let Err(error) = self.watch.grants_changed(provisioned, false).await {
            warn!(
                reason = %error.chain(),
                "a grant has ended, but Redis cannot be reached: connections that may still use it are closed when it can"
            );
            provisioned.is_stale = true;
            self.watch.again.notify_one();
        }
        let Granted { number, user: identity, command, .. } = over;
        info!(grant = number, identity, command, why, "grant ended");
        audit::record(audit::Event::GrantEnded {
            grant: *number,
            identity: identity.clone(),
            command: command.clone(),
            why,
            by,
        });
    }
}

/// Returns at `at`; never returns for `None`.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Checks a request for a grant.
fn granted(
    settings: &Settings,
    new: NewGrant,
    by: Option<String>,
    number: u64,
) -> Result<Granted, String> {
    let NewGrant { identity: user, command, lasts, reason } = new;
    let client = settings.client.as_ref();
    let client = client.map(|client| client.user.as_deref().unwrap_or(DEFAULT_USER));
    let identity = match settings.identities.iter().any(|identity| identity.name == user) {
        true => Some(user.clone()),
        false if client == Some(user.as_str()) => None,
        false => return Err("there is no identity of this name".to_owned()),
    };
    Policy::compile(&[&command], Escapes::Allow).map_err(|error| error.to_string())?;
    if !TIMES.contains(&lasts) {
        return Err("a grant lasts from 1s to 24h".to_owned());
    }
    let reason = reason.trim().to_owned();
    if reason.is_empty()
        || reason.chars().count() > MOST_REASON
        || reason.contains(char::is_control)
    {
        return Err(format!("a reason has 1 to {MOST_REASON} characters, on one line"));
    }
    let command = command.to_ascii_lowercase();
    let (ends, until) = (now() + lasts, wall_clock() + lasts);
    Ok(Granted { number, identity, user, command, reason, by, ends, until })
}

fn shown(given: &[Granted], number: Option<u64>) -> Grants {
    let at = now();
    let grants = given.iter().map(|granted| Grant {
        number: granted.number,
        identity: granted.user.clone(),
        command: granted.command.clone(),
        reason: granted.reason.clone(),
        by: granted.by.clone(),
        until: time(granted.until),
        left_seconds: granted.ends.saturating_duration_since(at).as_secs(),
    });
    Grants { grants: grants.collect(), given: number }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn report(granted: &Granted) {
    let Granted { number, user: identity, command, reason, by, until, .. } = granted;
    let until = time(*until);
    warn!(grant = number, identity, command, reason, by, until, "granted");
    audit::record(audit::Event::Granted {
        grant: *number,
        identity: identity.clone(),
        command: command.clone(),
        reason: reason.clone(),
        by: by.clone(),
        until,
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Environment;

    fn ask(identity: &str, command: &str, lasts: u64, reason: &str) -> Result<Granted, String> {
        let text = "allow_weak_passwords = true\n[client]\npassword = \"x\"\n[upstream]\nurl = \"redis://x\"\n\
                    [identities.worker]\npassword = \"y\"\nacl = \"+get\"\n";
        let environment = Environment::from_lookup(|_| None);
        let settings = Settings::parse("test".as_ref(), text, &environment).unwrap();
        let [identity, command, reason] = [identity, command, reason].map(str::to_owned);
        let lasts = Duration::from_secs(lasts);
        granted(&settings, NewGrant { identity, command, lasts, reason }, None, 1)
    }

    #[test]
    fn a_grant_needs_an_identity_a_command_a_time_and_a_reason() {
        assert_eq!(
            ask("worker", "FLUSHALL", 1, " why ").unwrap().identity.as_deref(),
            Some("worker")
        );
        assert_eq!(ask("default", "config|GET", 86_400, "why").unwrap().command, "config|get");
        assert!(ask("default", "config|GET", 86_400, "why").unwrap().identity.is_none());
        for (identity, command, lasts, reason) in [
            ("nobody", "flushall", 1, "why"),
            ("worker", "", 1, "why"),
            ("worker", "+flushall", 1, "why"),
            ("worker", "get|x", 1, "why"),
            ("worker", "flushall", 0, "why"),
            ("worker", "flushall", 86_401, "why"),
            ("worker", "flushall", 1, " "),
            ("worker", "flushall", 1, "two\nlines"),
        ] {
            assert!(
                ask(identity, command, lasts, reason).is_err(),
                "{identity} {command} {lasts} {reason}"
            );
        }
        assert!(ask("worker", "flushall", 1, &"x".repeat(MOST_REASON + 1)).is_err());
    }
}
