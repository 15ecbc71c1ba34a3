//! What holds for every session of a worker: policy, identity, bounds and the stand-ins.

use super::keys::KeyForm;
use super::limits::Limits;
use super::redirect::ClientIds;
use super::stand_in::StandIn;
use crate::auth::Identity;
use crate::command::{self, Spec, Version};
use crate::policy::{Decision, Denied, Objection, Policy, RuleName, Scripts, Verdict};
use crate::resp::Request;

/// What the rule is called that refuses what may be a refused command under another name.
const RENAMED: RuleName = RuleName::Known("renamed");

/// Shared by all sessions of a worker and swapped whole.
#[derive(Clone)]
pub struct Rules {
    /// Which commands exist for clients.
    pub policy: Policy,
    /// Which scripts and functions run.
    pub scripts: Scripts,
    /// Whether links log in as the guard, so that Redis refuses what the policy refuses.
    pub guarded: bool,
    /// Whether a command that the table does not have is refused, as it may be one that the policy
    /// refuses, under another name.
    pub known_only: bool,
    /// Who may log in.
    pub identity: Identity,
    /// Requests sent in the place of a client's.
    pub stand_in: StandIn,
    /// The upstream's version, once a link has told it. Commands newer than it do not exist where
    /// Redoubt answers in its place.
    pub upstream_version: Option<Version>,
    /// Refused commands after which a session that is not authenticated is closed.
    pub auth_attempts: u32,
    /// How keys of refused commands are reported.
    pub keys: KeyForm,
    /// What each session may take up.
    pub limits: Limits,
    /// Connections that a client may have Redis send invalidations to.
    pub client_ids: ClientIds,
}

impl Rules {
    /// Returns whether the policy lets a request run, which is for `spec` (see
    /// [`classify`](super::classify)). A client that has not authenticated is not to learn which
    /// scripts are listed.
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
        Ok(())
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

    /// Returns whether the upstream can have the command, as far as is known.
    pub fn exists(&self, spec: &Spec) -> bool {
        self.upstream_version.is_none_or(|version| spec.since <= version)
    }

    /// Returns whether the upstream is known to have `HELLO`, so that its effect is known beforehand.
    pub fn speaks_hello(&self) -> bool {
        self.upstream_version.is_some()
    }
}

fn denied(denied: Denied) -> Verdict {
    Err(Box::new(Objection::Denied(denied)))
}
