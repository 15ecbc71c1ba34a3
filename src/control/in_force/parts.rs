//! The parts from which the value in force is composed.
//!
//! Invariant: whatever is unknown about the server counts as the stricter possibility. Until it is
//! known how links log in, no `AUTH` inside a client's transaction is passed on as correct; until
//! the server is known to check payloads, `RESTORE` counts as an escape; until the functions of
//! pinned libraries are known, none runs.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Finding;
use crate::config::{
    AuditKeys, AuditOutput, IdentityMode, IdentitySettings, Node, Recording, Settings,
};
use crate::control::grants::GrantedCommands;
use crate::control::identities::{KnownIdentities, KnownIdentity};
use crate::net::own_end::own_connections;
use crate::net::upstream::Target;
use crate::worker::in_force::InForce;
use crate::worker::link_login::{IdentityLogin, LinkLogin, Login, Way};
use redoubt_core::auth::{Identities, IdentityId};
use redoubt_core::command::{ServerCommands, Version};
use redoubt_core::policy::{Pins, Policy, Scripts};
use redoubt_core::resp::RequestLimits;
use redoubt_core::router::Timeouts;
use redoubt_core::session::{
    ClientFields, ClientIds, Compat, IdentityBounds, IdentityUsage, KeyForm, Limits, Parameters,
    Rights, Rulebook, Rules, StandIn,
};
use redoubt_core::upstream::{Dialect, Greeting};

/// What the settings mean for sessions and links.
#[derive(Clone)]
pub(crate) struct Configured {
    pub(crate) settings: Arc<Settings>,
    /// `settings.identities`, with their ids.
    pub(crate) identities: KnownIdentities,
    /// What the sessions of the identity of `settings.client` use.
    pub(crate) first_usage: Arc<IdentityUsage>,
    /// `settings.policy`, compiled.
    pub(crate) policy: Policy,
    /// `settings.limits`, with system defaults filled in.
    pub(crate) limits: Limits,
    /// The address and socket options of links.
    pub(crate) target: Target,
}

/// All that a reload changes.
pub(crate) struct Reload {
    pub(crate) configured: Configured,
    /// Who clients may log in as, and the passwords.
    pub(crate) identities: Identities,
    /// Present if the login of links changes, or is unknown.
    pub(crate) finding: Option<Finding>,
    /// `true` if links with scripts or transactions, running or queued, are closed because the new
    /// policy refuses more.
    pub(crate) closes_scripts: bool,
}

/// Everything that the value in force depends on.
pub(super) struct Parts {
    configured: Configured,
    identities: Identities,
    granted: GrantedCommands,
    /// The version that the upstream reported last; `None` if it has reported none.
    upstream_version: Option<Version>,
    /// The dialect of the upstream, by what it reported last.
    dialect: Dialect,
    /// `true` if the upstream is known to check the payloads of `RESTORE`.
    checks_payloads: bool,
    /// The commands that the upstream has; `None` while they are unknown.
    commands: Option<Arc<ServerCommands>>,
    /// The functions of the pinned libraries, as far as they are known.
    functions: Arc<HashSet<Bytes>>,
    /// The values of the upstream's parameters; `None` while they are unknown or not needed.
    parameters: Option<Arc<Parameters>>,
    login: LinkLogin,
    /// `true` if links log in as the guard; while the login is unknown, whether they will if a
    /// guard can be made.
    guarded: bool,
    /// `true` if Redis has a refused command under another name.
    has_renamed: bool,
    scripts_generation: u64,
    /// Requests that replace clients' requests, for the user that links log in as.
    stand_in: StandIn,
    /// Shared by all workers and all values in force.
    client_ids: ClientIds,
    /// The fields of the server's lines about connections, as far as they are known.
    client_fields: ClientFields,
}

impl Parts {
    /// Makes the parts for a start. With `guarded`, links log in as a guard if one can be made.
    pub(super) fn new(
        configured: Configured,
        identities: Identities,
        login: LinkLogin,
        guarded: bool,
        stand_in: StandIn,
        client_ids: ClientIds,
    ) -> Self {
        Self {
            configured,
            identities,
            granted: GrantedCommands::default(),
            upstream_version: None,
            dialect: Dialect::STRICTEST,
            checks_payloads: false,
            commands: None,
            functions: Arc::default(),
            parameters: None,
            login,
            guarded,
            has_renamed: false,
            scripts_generation: 0,
            stand_in,
            client_ids,
            client_fields: ClientFields::default(),
        }
    }

    /// Returns the identities of the configuration.
    pub(super) fn identities(&self) -> &KnownIdentities {
        &self.configured.identities
    }

    /// Like the following functions, takes a part and returns whether the value in force changes.
    pub(super) fn accept(&mut self, identities: Identities) -> bool {
        self.identities = identities;
        true
    }

    pub(super) fn take_server(&mut self, greeting: Greeting) -> bool {
        let Greeting { version, dialect, .. } = greeting;
        let before = (self.upstream_version, self.dialect);
        (self.upstream_version, self.dialect) = (version, dialect);
        before != (version, dialect)
    }

    /// Takes the server that links go to. How links log in there must be found out first, unless that never depends on
    /// the server.
    pub(super) fn take_node(&mut self, node: Option<Node>) -> bool {
        if self.configured.target.node == node {
            return false;
        }
        self.configured.target.node = node;
        let depends = self.login.last.as_ref().is_none_or(|login| login.epoch > 0);
        self.login.is_known &= !depends;
        true
    }

    pub(super) fn take_payload_check(&mut self, checks: bool) -> bool {
        std::mem::replace(&mut self.checks_payloads, checks) != checks
    }

    pub(super) fn take_grants(&mut self, granted: GrantedCommands) -> bool {
        self.granted = granted;
        true
    }

    pub(super) fn take_client_fields(&mut self, fields: ClientFields) -> bool {
        let is_new = self.client_fields != fields;
        self.client_fields = fields;
        is_new
    }

    pub(super) fn take_commands(&mut self, commands: Option<Arc<ServerCommands>>) -> bool {
        let is_new = self.commands != commands;
        self.commands = commands;
        is_new
    }

    pub(super) fn take_functions(&mut self, functions: Arc<HashSet<Bytes>>) -> bool {
        let is_new = self.functions != functions;
        self.functions = functions;
        is_new
    }

    pub(super) fn take_parameters(&mut self, parameters: Option<Arc<Parameters>>) -> bool {
        let is_new = self.parameters != parameters;
        self.parameters = parameters;
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
            Finding::Login { login, has_renamed } => {
                let before = self.login.last.as_deref();
                // Scripts may be queued that are refused now, and links may be logged in as a user
                // who is safe only while they are refused. Before the first login no script has
                // run.
                let is_open = login.way == Way::Open;
                if before.map_or(is_open, |before| has_other_ways(before, &login)) {
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
        let Reload { configured, identities, finding, closes_scripts } = reload;
        if script_rules_differ(&self.configured.settings, &configured.settings) {
            // The known functions belong to other libraries.
            self.functions = Arc::default();
        }
        if !compat(&configured.settings).needs_parameters() {
            // Nothing keeps them up to date any more.
            self.parameters = None;
        }
        let node = self.configured.target.node.take();
        self.configured = configured;
        self.configured.target.node = node;
        self.identities = identities;
        if let Some(finding) = finding {
            self.take_finding(finding);
        }
        if closes_scripts {
            self.renew_scripts();
        }
    }

    /// Returns the value in force with this `version`.
    pub(super) fn compose(&self, version: u64) -> InForce {
        let settings = &self.configured.settings;
        InForce {
            version,
            rules: Arc::new(self.rulebook()),
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

    fn rulebook(&self) -> Rulebook {
        let rules = Arc::new(self.rules());
        let mut book = match self.configured.settings.client {
            Some(_) => Rulebook::of_one(Arc::clone(&rules)),
            None => Rulebook::new(Arc::clone(&rules)),
        };
        for identity in &*self.configured.identities {
            book = book.with(identity.id, Arc::new(self.rules_of(identity, &rules)));
        }
        book
    }

    /// Returns the rules for an identity with rights of its own, which differ from `rules` in what depends on its links.
    fn rules_of(&self, identity: &KnownIdentity, rules: &Rules) -> Rules {
        let login = self.login.last.as_ref().and_then(|login| login.identities.get(&identity.id));
        let is = |way| login.is_some_and(|login| login.way == way);
        let settings = &identity.settings;
        let mut limits = rules.limits;
        if let Some(in_flight) = settings.limits.in_flight {
            limits.in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        }
        let policy = match self.granted.of(Some(&settings.name)) == self.granted.of(None) {
            true => rules.policy.clone(),
            false => self.policy(Some(&settings.name)),
        };
        Rules {
            policy,
            scripts: if is(Way::Open) { Scripts::Deny } else { self.allowed_scripts() },
            guarded: login.map_or(rules.guarded, |login| login.way == Way::Guard),
            known_only: login.is_some_and(|login| login.has_renamed),
            stand_in: match login.filter(|_| self.login.is_known) {
                Some(login) => self.stand_in.logging_in_as(&login.credentials),
                None => self.stand_in.rejecting_logins(),
            },
            limits,
            rights: rights(settings, login),
            observes: rules.observes || settings.mode == IdentityMode::Observe,
            bounds: IdentityBounds {
                limits: settings.limits.shared(),
                usage: Arc::clone(&identity.usage),
            },
            ..rules.clone()
        }
    }

    /// Returns the policy for the identity called `name`, or for that of `[client]`.
    fn policy(&self, name: Option<&str>) -> Policy {
        let policy = &self.configured.policy;
        let granted = self.granted.of(name);
        let commands = self.commands.as_deref();
        match granted.is_empty() {
            true => enforced(policy, self.checks_payloads, commands),
            false => enforced(&policy.granting(&granted), self.checks_payloads, commands),
        }
    }

    /// Returns who may log in: without the identities that no link can log in for.
    fn accepted(&self) -> Identities {
        match self.login.known() {
            None => self.identities.clone(),
            Some(login) => self
                .identities
                .only(|id| id == IdentityId::FIRST || login.identities.contains_key(&id)),
        }
    }

    fn rules(&self) -> Rules {
        let Configured { settings, limits, .. } = &self.configured;
        Rules {
            policy: self.policy(None),
            commands: self.commands.clone(),
            scripts: self.scripts(),
            guarded: self.guarded,
            known_only: self.has_renamed,
            identities: self.accepted(),
            stand_in: match self.login.known() {
                Some(login) => self.stand_in.logging_in_as(&login.credentials),
                None => self.stand_in.rejecting_logins(),
            },
            upstream_version: self.upstream_version,
            dialect: self.dialect,
            auth_attempts: settings.limits.auth_attempts,
            keys: keys(settings),
            limits: Limits {
                request: RequestLimits { crlf: self.dialect.checks_line_ends, ..limits.request },
                ..*limits
            },
            bounds: IdentityBounds {
                usage: Arc::clone(&self.configured.first_usage),
                ..IdentityBounds::default()
            },
            client_ids: self.client_ids.clone(),
            client_fields: self.client_fields.clone(),
            own_connections: own_connections(),
            compat: Compat { parameters: self.parameters.clone(), ..compat(settings) },
            rights: Rights::default(),
            observes: settings.learn.record == Recording::All,
        }
    }

    /// Returns which scripts run: none if Redis would allow them what the policy refuses.
    fn scripts(&self) -> Scripts {
        if self.login.last.as_ref().is_some_and(|login| login.way == Way::Open) {
            return Scripts::Deny;
        }
        self.allowed_scripts()
    }

    /// Returns which scripts the settings allow.
    fn allowed_scripts(&self) -> Scripts {
        match self.configured.settings.policy.script_rules() {
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

    /// Marks links as outdated on which scripts may run or be queued, so that they are closed.
    fn renew_scripts(&mut self) {
        self.scripts_generation = self.scripts_generation.wrapping_add(1);
    }
}

/// Returns the rights of an identity, as far as Redoubt has to know them; `None` if its login is not known yet.
fn rights(settings: &IdentitySettings, login: Option<&IdentityLogin>) -> Rights {
    let refused = login.into_iter().flat_map(|login| login.refused.iter().copied());
    let databases = settings.databases.as_deref().map(Arc::from);
    Rights::default().without(refused).only_in(databases)
}

/// Returns whether links of an identity log in in another way than `before`.
fn has_other_ways(before: &Login, login: &Login) -> bool {
    let way = |login: &IdentityLogin| login.way;
    let differs = |(id, is): (&IdentityId, &IdentityLogin)| {
        before.identities.get(id).map(way).is_some_and(|before| before != is.way)
    };
    before.way != login.way || login.identities.iter().any(differs)
}

/// Returns the policy for a server that checks payloads or not, and that has `commands` if they are known.
pub(crate) fn enforced(
    policy: &Policy,
    checks_payloads: bool,
    commands: Option<&ServerCommands>,
) -> Policy {
    let policy = if checks_payloads { policy.where_payloads_are_checked() } else { policy.clone() };
    commands.map_or(policy.clone(), |commands| policy.where_server_has(commands))
}

/// Returns whether `old` and `new` allow different scripts or functions, as far as the settings
/// determine it.
pub(crate) fn script_rules_differ(old: &Settings, new: &Settings) -> bool {
    let (old, new) = (&old.policy, &new.policy);
    old.script_rules() != new.script_rules() || old.pinned_libraries != new.pinned_libraries
}

/// Returns which refused commands are answered, without the values that this needs.
pub(crate) fn compat(settings: &Settings) -> Compat {
    let settings = &settings.compat;
    Compat {
        config_get: settings.config_get,
        notify_keyspace_events: settings.notify_keyspace_events,
        flush: settings.flush.is_some(),
        parameters: None,
    }
}

/// Returns how keys of refused commands are reported.
pub(crate) fn keys(settings: &Settings) -> KeyForm {
    match settings.audit.keys {
        _ if settings.audit.output == AuditOutput::Off => KeyForm::None,
        AuditKeys::None => KeyForm::None,
        AuditKeys::Hashed => KeyForm::Hashed,
        AuditKeys::Plain => KeyForm::Plain,
    }
}
