//! The rules for sessions: policy, identities, limits and stand-ins.

use std::sync::Arc;

use super::clients::ids::ClientIds;
use super::clients::list::ClientFields;
use super::clients::own::OwnConnections;
use super::compat::Compat;
use super::keys::KeyForm;
use super::limits::Limits;
use super::rights::Rights;
use super::shared::IdentityBounds;
use super::stand_in::StandIn;
use crate::auth::Identities;
use crate::command::{self, Effect, ServerCommand, ServerCommands, Spec, Version};
use crate::policy::{Decision, Denied, Objection, Policy, RuleName, Scripts, Verdict};
use crate::resp::Request;
use crate::upstream::Dialect;

/// Name of the rule that refuses a command because it may be a refused command under another name.
const RENAMED: RuleName = RuleName::Known("renamed");

/// The rules for sessions of one identity, or for those that have not authenticated. A reload replaces them as a
/// whole.
#[derive(Clone)]
pub struct Rules {
    /// Which commands exist for clients.
    pub policy: Policy,
    /// Which scripts and functions clients may run.
    pub scripts: Scripts,
    /// True if links log in as the guard, so that Redis refuses what the policy refuses.
    pub guarded: bool,
    /// True if a command that the table does not have is refused, because it may be a refused command
    /// under another name.
    pub known_only: bool,
    /// The identities that clients log in as; the same in the rules of each.
    pub identities: Identities,
    /// Requests that are sent in the place of a client's.
    pub stand_in: StandIn,
    /// The upstream's version, once a link has reported it. Where Redoubt answers for the upstream,
    /// commands newer than this do not exist.
    pub upstream_version: Option<Version>,
    /// The commands that the upstream has, once they are known. `policy` is the policy for an upstream that
    /// has these ([`Policy::where_server_has`]).
    pub commands: Option<Arc<ServerCommands>>,
    /// How the upstream behaves where Redoubt answers for it.
    pub dialect: Dialect,
    /// Refused commands after which an unauthenticated session is closed.
    pub auth_attempts: u32,
    /// How keys of refused commands are reported.
    pub keys: KeyForm,
    /// Limits for each session.
    pub limits: Limits,
    /// Limits on all sessions of the identity together, and what they use.
    pub bounds: IdentityBounds,
    /// The numbers by which clients know each other.
    pub client_ids: ClientIds,
    /// The fields of the lines in which the server describes its connections.
    pub client_fields: ClientFields,
    /// The connections to the server that clients are not shown.
    pub own_connections: OwnConnections,
    /// Which refused commands are answered all the same.
    pub compat: Compat,
    /// What the identity may do where Redis does not check that.
    pub rights: Rights,
    /// True if what the sessions do is recorded ([`Recorder`](crate::observe::Recorder)).
    pub observes: bool,
}

impl Rules {
    /// Refused commands after which an unauthenticated session is closed, unless the operator says otherwise.
    const AUTH_ATTEMPTS: u32 = 10;

    /// Creates rules by which `identities` may do what `policy` allows, without limits of their own. Nothing is known of
    /// the upstream, which is taken for the strictest.
    pub fn new(policy: Policy, identities: Identities, stand_in: StandIn) -> Self {
        Self {
            policy,
            scripts: Scripts::default(),
            guarded: false,
            known_only: false,
            identities,
            stand_in,
            upstream_version: None,
            commands: None,
            dialect: Dialect::STRICTEST,
            auth_attempts: Self::AUTH_ATTEMPTS,
            keys: KeyForm::None,
            limits: Limits::default(),
            bounds: IdentityBounds::default(),
            client_ids: ClientIds::default(),
            client_fields: ClientFields::default(),
            own_connections: OwnConnections::default(),
            compat: Compat::default(),
            rights: Rights::default(),
            observes: false,
        }
    }

    /// Returns the policy's verdict on a request for `spec` (see [`classify`](super::classify)). An
    /// unauthenticated client must not learn which scripts are listed, so for it only the command's
    /// name decides.
    #[inline]
    pub fn authorize(
        &self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
        is_authenticated: bool,
    ) -> Verdict {
        match spec {
            Some(spec)
                if is_authenticated && self.scripts.are_open() && self.policy.passes(spec) =>
            {
                Ok(())
            }
            _ if is_authenticated => self.authorize_client(request, spec),
            _ => self.authorize_unknown_client(request, spec),
        }
    }

    #[cold]
    fn authorize_client(&self, request: &Request<'_>, spec: Option<&'static Spec>) -> Verdict {
        if let Decision::Deny(denied) = self.policy.decide(spec, request.name(), request.arg(1)) {
            return self::denied(denied);
        }
        if self.scripts.need_more(spec, request) {
            return Err(Box::new(Objection::Unreadable));
        }
        if let Decision::Deny(denied) = self.scripts.decide(spec, request) {
            return self::denied(denied);
        }
        if spec.is_none() && self.known_only && command::lookup(request.name()).is_none() {
            return self::denied(Denied::command(RENAMED));
        }
        if self.lacks(request, spec) {
            return Err(Box::new(Objection::Lacking));
        }
        Ok(())
    }

    /// Returns true if the upstream is known to have no such command or subcommand.
    fn lacks(&self, request: &Request<'_>, spec: Option<&'static Spec>) -> bool {
        let Some(commands) = &self.commands else { return false };
        if let Some(spec) = spec {
            return !has(commands, spec);
        }
        let container = command::lookup(request.name());
        if container.is_some_and(|container| !has(commands, container)) {
            return true;
        }
        let word = container.and_then(|_| request.arg(1));
        commands.find(request.name(), word).is_none() && commands.is_complete(word)
    }

    /// Returns the command or subcommand that only the upstream knows.
    pub fn known_to_server(&self, request: &Request<'_>) -> Option<&ServerCommand> {
        let commands = self.commands.as_ref()?;
        let word = request.arg(1);
        match command::lookup(request.name()) {
            Some(_) => commands.find(request.name(), word),
            None => {
                commands.find(request.name(), word).or_else(|| commands.find(request.name(), None))
            }
        }
    }

    #[cold]
    fn authorize_unknown_client(
        &self,
        request: &Request<'_>,
        spec: Option<&'static Spec>,
    ) -> Verdict {
        let command = command::lookup(request.name()).filter(|spec| self.exists(spec));
        if let Decision::Deny(denied) = self.policy.decide(command, request.name(), request.arg(1))
        {
            return self::denied(denied);
        }
        match spec.filter(|spec| self.exists(spec)).map(|spec| self.scripts.decide_by_name(spec)) {
            Some(Decision::Deny(denied)) => self::denied(denied),
            _ => Ok(()),
        }
    }

    /// Returns true unless the upstream is known to lack the command: by its own list or, before that is
    /// known, by its version.
    pub fn exists(&self, spec: &Spec) -> bool {
        match &self.commands {
            Some(commands) => has(commands, spec),
            None => self.upstream_version.is_none_or(|version| spec.is_in(version)),
        }
    }

    /// Returns true if the upstream is known to support `HELLO`, so that its effect is known in
    /// advance.
    pub fn speaks_hello(&self) -> bool {
        self.upstream_version.is_some()
    }
}

/// Returns true if the upstream has the command. `AUTH` is Redoubt's own, and Redis before 7.2 has `QUIT`
/// and does not list it.
fn has(commands: &ServerCommands, spec: &Spec) -> bool {
    matches!(spec.effect, Effect::Auth | Effect::Quit) || commands.has(spec)
}

fn denied(denied: Denied) -> Verdict {
    Err(Box::new(Objection::Denied(denied)))
}

/// Returns rules for unit tests.
#[cfg(test)]
pub(crate) fn for_tests(scripts: Scripts) -> Rules {
    let blocked = ["GET", "OBJECT|FREQ", "FLUSHALL"];
    let policy = Policy::compile(&blocked, crate::policy::Escapes::Deny).unwrap();
    let identity = crate::auth::Identity::new(None, &"password".to_owned().into());
    Rules {
        scripts,
        dialect: Dialect::REDIS_7_0,
        auth_attempts: 1,
        ..Rules::new(policy, identity.into(), StandIn::new(None, None, 1))
    }
}
