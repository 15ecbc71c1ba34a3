//! How links log in, as far as a worker has been told.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::health::Health;
use crate::net::now;
use crate::net::upstream::UpstreamError;
use crate::telemetry::metrics::{GuardState, guard};
use crate::worker::Worker;
use redoubt_core::policy::{Pins, Policy, Scripts};
use redoubt_core::session::Rules;
use redoubt_core::upstream::guard::GuardError;
use redoubt_core::upstream::{Credentials, LoginError};

/// What the watch of the upstream tells workers.
#[derive(Clone)]
pub(crate) enum Standing {
    /// It is not known any more how links log in: new ones wait.
    Unknown,
    /// The same, and what links may do that are open is not what it should be: those on which
    /// scripts may be are closed.
    Revoked {
        /// Whether they will log in as a guard, if one can be made.
        guarded: bool,
    },
    /// Links log in like this from here on.
    Settled(Arc<Login>),
    /// It could not be found out, since the upstream lets Redoubt itself in no more. Links that wait
    /// are given up; it will be tried again.
    Failed,
    /// The same, since the upstream has no time: what waits for those links is answered with this, its
    /// own error.
    Busy(Bytes),
}

impl Standing {
    /// Shows it, as a metric and where `health` is told.
    pub(crate) fn show(&self, health: &Health) {
        let (state, name) = match self {
            Self::Unknown | Self::Revoked { .. } => (GuardState::Unknown, None),
            Self::Settled(login) => match login.way {
                Way::Guard => (GuardState::Guarded, login.credentials.user.clone()),
                Way::Configured => (GuardState::Configured, None),
                Way::Open => (GuardState::Open, None),
            },
            // What held before still holds for links that are open.
            Self::Failed | Self::Busy(_) => return,
        };
        guard(state);
        health.guard(state, name);
    }
}

/// How links log in.
pub(crate) struct Login {
    /// Counts from 1; each is newer than the one before.
    pub(crate) epoch: u64,
    pub(crate) credentials: Credentials,
    pub(crate) way: Way,
    /// Whether Redis has under another name what the policy refuses, and would let clients run it.
    pub(crate) has_renamed: bool,
}

/// As whom links log in, and what that means for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a guard.
    Guard,
    /// As the configured user, who may not run what the policy refuses, or need not be asked.
    Configured,
    /// As the configured user, who may, so that scripts are refused.
    Open,
}

/// What the links of a worker wait for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// How they log in, once that is known.
    login: Option<Epoch>,
    /// How often it could not be found out.
    failures: u64,
    /// The upstream's error, if it had no time the last time.
    busy: Option<Bytes>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch {
    pub(crate) number: u64,
    pub(crate) way: Way,
}

impl Known {
    /// With the configured credentials, for ever.
    pub(crate) fn configured() -> Self {
        Self { login: Some(Epoch { number: 0, way: Way::Configured }), ..Self::default() }
    }

    fn fail(&mut self, busy: Option<Bytes>) {
        self.failures = self.failures.wrapping_add(1);
        self.busy = busy;
    }

    /// Whether it is known.
    pub(crate) fn is_known(&self) -> bool {
        self.login.is_some()
    }
}

/// Waits until it is known how links log in; with `refused`, until that is another way. Not bounded
/// in time.
pub(crate) async fn known(
    mut news: watch::Receiver<Known>,
    refused: Option<u64>,
) -> Result<Epoch, UpstreamError> {
    let failures = news.borrow().failures;
    let fits = |known: &Known| {
        known.login.filter(|login| refused.is_none_or(|refused| login.number > refused))
    };
    let found = news.wait_for(|known| fits(known).is_some() || known.failures != failures).await;
    let Ok(known) = found else { return Err(not_let_in()) };
    match (fits(&known), &known.busy) {
        (Some(login), _) => Ok(login),
        (None, Some(error)) => Err(LoginError::NotNow(error.clone()).into()),
        (None, None) => Err(not_let_in()),
    }
}

fn not_let_in() -> UpstreamError {
    GuardError::Later("Redoubt itself is not let in".to_owned()).into()
}

impl Worker {
    /// Puts what the watch says in force, and then lets links go on that waited for it.
    pub(crate) fn stand(&mut self, standing: &Standing) {
        let mut rules = Rules::clone(self.exchange.rules());
        self.rule(standing, &mut rules);
        self.exchange.replace_rules(Arc::new(rules));
        if self.log_in_as(standing) {
            self.exchange.drop_links_with_scripts(now());
        }
        self.go_on(standing);
        self.settle(None);
    }

    /// Writes into `rules` what follows for sessions.
    pub(crate) fn rule(&mut self, standing: &Standing, rules: &mut Rules) {
        match standing {
            Standing::Unknown => rules.stand_in = rules.stand_in.letting_nobody_in(),
            Standing::Revoked { guarded } => {
                rules.stand_in = rules.stand_in.letting_nobody_in();
                rules.guarded = *guarded;
            }
            Standing::Failed | Standing::Busy(_) => {}
            Standing::Settled(login) => {
                self.withholds_scripts = login.way == Way::Open;
                rules.stand_in = rules.stand_in.logging_in_as(&login.credentials);
                rules.guarded = login.way == Way::Guard;
                rules.scripts = self.scripts();
                rules.known_only = login.has_renamed;
            }
        }
    }

    /// Has links log in so from here on. Returns whether those on which scripts may be are to be
    /// closed: scripts may wait there that are refused now, and they may be logged in as a user who
    /// does no harm only while they are.
    pub(crate) fn log_in_as(&mut self, standing: &Standing) -> bool {
        let login = match standing {
            Standing::Settled(login) => login,
            Standing::Revoked { .. } => return true,
            Standing::Unknown | Standing::Failed | Standing::Busy(_) => return false,
        };
        match self.way {
            Some(_) => self.exchange.rotate_credentials(login.credentials.clone(), now()),
            // No link has logged in yet.
            None => self.exchange.replace_credentials(login.credentials.clone()),
        }
        let before = self.way.replace(login.way);
        before != Some(login.way) && (before.is_some() || login.way == Way::Open)
    }

    /// Lets links go on, or wait, or give up. Rules and credentials must be in force.
    pub(crate) fn go_on(&self, standing: &Standing) {
        self.standing.send_modify(|known| match standing {
            Standing::Unknown | Standing::Revoked { .. } => known.login = None,
            Standing::Failed => known.fail(None),
            Standing::Busy(error) => known.fail(Some(error.clone())),
            Standing::Settled(login) => {
                known.login = Some(Epoch { number: login.epoch, way: login.way });
            }
        });
    }

    /// Lets these functions run and no others, where functions are pinned.
    pub(crate) fn pin(&mut self, functions: Arc<HashSet<Bytes>>) {
        if let Scripts::Pinned(pins) = &self.configured_scripts
            && pins.functions != functions
        {
            self.configured_scripts = Scripts::Pinned(Pins { functions, ..pins.clone() });
            let scripts = self.scripts();
            self.change_rules(|rules| rules.scripts = scripts);
        }
    }

    /// Takes up whether the upstream checks what `RESTORE` brings.
    pub(crate) fn check_payloads(&mut self, checks: bool) {
        if checks != self.checks_payloads {
            self.checks_payloads = checks;
            let policy = self.policy();
            self.change_rules(|rules| rules.policy = policy);
        }
    }

    /// What is refused now.
    pub(crate) fn policy(&self) -> Policy {
        if self.checks_payloads {
            self.configured_policy.where_payloads_are_checked()
        } else {
            self.configured_policy.clone()
        }
    }

    /// Which scripts run now.
    pub(crate) fn scripts(&self) -> Scripts {
        if self.withholds_scripts { Scripts::Deny } else { self.configured_scripts.clone() }
    }
}
