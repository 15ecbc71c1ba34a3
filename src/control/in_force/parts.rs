//! The parts that what is in force is composed of, and composing it.
//!
//! Invariant: whatever is not known of the server counts as the stricter possibility. Until it is known
//! how links log in, no `AUTH` of a client's inside a transaction is passed on as a right one; until the
//! server is known to check payloads, `RESTORE` counts as an escape; until the functions of pinned libraries
//! are known, none runs.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Finding;
use crate::config::{AuditKeys, AuditOutput, Settings};
use crate::net::upstream::Target;
use crate::worker::in_force::InForce;
use crate::worker::link_login::{LinkLogin, Way};
use redoubt_core::auth::Identity;
use redoubt_core::command::Version;
use redoubt_core::policy::{Pins, Policy, Scripts};
use redoubt_core::router::Timeouts;
use redoubt_core::session::{ClientIds, KeyForm, Limits, Rules, StandIn};

/// What the settings come to.
#[derive(Clone)]
pub(crate) struct Configured {
    pub(crate) settings: Arc<Settings>,
    /// `settings.policy`, compiled.
    pub(crate) policy: Policy,
    /// `settings.limits`, with what they leave to the system.
    pub(crate) limits: Limits,
    /// Where links go.
    pub(crate) target: Target,
}

/// What a reload changes, all at once.
pub(crate) struct Reload {
    pub(crate) configured: Configured,
    /// Passwords that clients may log in with.
    pub(crate) identity: Identity,
    /// Present if links log in otherwise than before, or it is not known how.
    pub(crate) finding: Option<Finding>,
    /// Whether links are closed on which scripts may run or wait, or transactions, since the new policy
    /// refuses more.
    pub(crate) closes_scripts: bool,
}

/// Everything that decides what is in force.
pub(super) struct Parts {
    configured: Configured,
    identity: Identity,
    /// The version that the upstream told last; `None` before that, or if it has none to tell.
    upstream_version: Option<Version>,
    /// Whether the upstream is known to check what `RESTORE` brings.
    checks_payloads: bool,
    /// The functions that the pinned libraries have, as far as is known.
    functions: Arc<HashSet<Bytes>>,
    login: LinkLogin,
    /// Whether links log in as the guard; while it is not known how they log in, whether they will if a
    /// guard can be made.
    guarded: bool,
    /// Whether Redis was found to have under another name what the policy refuses.
    has_renamed: bool,
    scripts_generation: u64,
    /// Requests in the place of clients' ones, for whatever user links log in as.
    stand_in: StandIn,
    /// Shared by all workers and by all values.
    client_ids: ClientIds,
}

impl Parts {
    /// Those of the start. With `guarded`, links log in as a guard, if one can be made.
    pub(super) fn new(
        configured: Configured,
        identity: Identity,
        login: LinkLogin,
        guarded: bool,
        stand_in: StandIn,
    ) -> Self {
        Self {
            configured,
            identity,
            upstream_version: None,
            checks_payloads: false,
            functions: Arc::default(),
            login,
            guarded,
            has_renamed: false,
            scripts_generation: 0,
            stand_in,
            client_ids: ClientIds::default(),
        }
    }

    /// As all that follow, takes a part and returns whether there is anything new to be put in force.
    pub(super) fn accept(&mut self, identity: Identity) -> bool {
        self.identity = identity;
        true
    }

    pub(super) fn take_version(&mut self, version: Option<Version>) -> bool {
        std::mem::replace(&mut self.upstream_version, version) != version
    }

    pub(super) fn take_payload_check(&mut self, checks: bool) -> bool {
        std::mem::replace(&mut self.checks_payloads, checks) != checks
    }

    pub(super) fn take_functions(&mut self, functions: Arc<HashSet<Bytes>>) -> bool {
        let is_new = self.functions != functions;
        self.functions = functions;
        is_new
    }

    pub(super) fn take_finding(&mut self, finding: Finding) -> bool {
        match finding {
            Finding::Unknown => self.login.is_known = false,
            Finding::Revoked { guarded } => {
                self.login.is_known = false;
                self.guarded = guarded;
                self.renew_scripts();
            }
            Finding::Failed => self.fail(None),
            Finding::Busy(error) => self.fail(Some(error)),
            Finding::Settled { login, has_renamed } => {
                let before = self.login.last.as_ref().map(|login| login.way);
                // Scripts may wait that are refused now, and links may be logged in as a user who does
                // no harm only while they are. Before the first login none has run yet.
                if before != Some(login.way) && (before.is_some() || login.way == Way::Open) {
                    self.renew_scripts();
                }
                self.guarded = login.way == Way::Guard;
                self.has_renamed = has_renamed;
                self.login.last = Some(login);
                self.login.is_known = true;
            }
        }
        true
    }

    pub(super) fn reload(&mut self, reload: Reload) {
        let Reload { configured, identity, finding, closes_scripts } = reload;
        if gate_differs(&self.configured.settings, &configured.settings) {
            // The functions known are those of other libraries.
            self.functions = Arc::default();
        }
        self.configured = configured;
        self.identity = identity;
        if let Some(finding) = finding {
            self.take_finding(finding);
        }
        if closes_scripts {
            self.renew_scripts();
        }
    }

    /// Returns what is in force now.
    pub(super) fn compose(&self, version: u64) -> InForce {
        let settings = &self.configured.settings;
        InForce {
            version,
            rules: Arc::new(self.rules()),
            timeouts: Timeouts {
                auth: settings.limits.auth_timeout,
                idle: settings.limits.idle_timeout.unwrap_or_default(),
            },
            target: self.configured.target.clone(),
            shutdown_timeout: settings.shutdown_timeout,
            stall_timeout: settings.upstream.stall_timeout,
            allow: settings.allow.clone().into(),
            login: self.login.clone(),
            scripts_generation: self.scripts_generation,
        }
    }

    fn rules(&self) -> Rules {
        let Configured { settings, policy, limits, .. } = &self.configured;
        Rules {
            policy: match self.checks_payloads {
                true => policy.where_payloads_are_checked(),
                false => policy.clone(),
            },
            scripts: self.scripts(),
            guarded: self.guarded,
            known_only: self.has_renamed,
            identity: self.identity.clone(),
            stand_in: match self.login.known() {
                Some(login) => self.stand_in.logging_in_as(&login.credentials),
                None => self.stand_in.rejecting_logins(),
            },
            upstream_version: self.upstream_version,
            auth_attempts: settings.limits.auth_attempts,
            keys: keys(settings),
            limits: *limits,
            client_ids: self.client_ids.clone(),
        }
    }

    /// Returns which scripts run: none where Redis would let them run what the policy refuses.
    fn scripts(&self) -> Scripts {
        if self.login.last.as_ref().is_some_and(|login| login.way == Way::Open) {
            return Scripts::Deny;
        }
        match self.configured.settings.policy.gate() {
            Scripts::Pinned(pins) => {
                Scripts::Pinned(Pins { functions: Arc::clone(&self.functions), ..pins })
            }
            others => others,
        }
    }

    fn fail(&mut self, busy: Option<Bytes>) {
        self.login.failures = self.login.failures.wrapping_add(1);
        self.login.busy = busy;
    }

    /// Has links be closed on which scripts may run or wait.
    fn renew_scripts(&mut self) {
        self.scripts_generation = self.scripts_generation.wrapping_add(1);
    }
}

/// Returns whether other scripts or functions run by `new` than by `old`, as far as the settings tell.
pub(crate) fn gate_differs(old: &Settings, new: &Settings) -> bool {
    let (old, new) = (&old.policy, &new.policy);
    old.gate() != new.gate() || old.pinned_libraries != new.pinned_libraries
}

/// How keys of refused commands are reported.
fn keys(settings: &Settings) -> KeyForm {
    match settings.audit.keys {
        _ if settings.audit.output == AuditOutput::Off => KeyForm::None,
        AuditKeys::None => KeyForm::None,
        AuditKeys::Hashed => KeyForm::Hashed,
        AuditKeys::Plain => KeyForm::Plain,
    }
}
