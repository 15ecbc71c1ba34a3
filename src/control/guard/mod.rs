//! Makes the guard, or audits the configured user instead.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `guard made`, `guard renewed` | info | `user` (its name) |
//! | `audited: …` | info | |
//! | `no guard: …` | warn | `reason`, `open` (what could run), `advice` (a line for `redis-cli`) |
//! | `stale guards removed` | info | `count` |
//! | `guard of an identity made` | info | `identity`, `user` |
//! | `no guard for this identity: …` | warn | `identity`, `reason` or `open` |
//!
//! All are under the target `redoubt::guard`, and each is logged when it is new. None holds a
//! secret.

mod audit;
mod effective;
mod identities;
mod provisioner;
mod questions;
mod trial;

use std::sync::Arc;

use crate::config::GuardMode;
use crate::control::grants::GrantedCommands;
use crate::control::identities::{KnownIdentities, KnownIdentity};
pub use effective::{EffectiveRule, effective_rules};
pub(crate) use identities::{
    IdentityGuards, IdentityOutcome, IdentityOutcomes, configured_logins,
    report as report_identities,
};
pub(in crate::control) use identities::{limits_databases, only_in};
pub(crate) use provisioner::GuardProvisioner;
pub(in crate::control) use questions::{checks_payloads, client_fields, commands};
use redoubt_core::command::ServerCommands;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::Guard;

/// The target of every line about the guard, for use in `log.level`.
pub(crate) const GUARD: &str = "redoubt::guard";

/// What the upstream has to enforce.
pub(crate) struct Task {
    /// The policy, with what depends on the upstream decided.
    pub(crate) policy: Policy,
    /// The commands that the upstream has; `None` if it does not list them for the configured user.
    pub(crate) commands: Option<Arc<ServerCommands>>,
    /// The identities that have rights of their own.
    pub(crate) identities: KnownIdentities,
    pub(crate) granted: GrantedCommands,
}

/// How links log in.
pub(crate) struct Provision {
    /// How those of the identity of `[client]` do, and the watch's.
    pub(crate) outcome: Outcome,
    pub(crate) identities: IdentityOutcomes,
}

/// How the policy is enforced by the upstream.
pub(crate) enum Outcome {
    /// Links log in as this user, to whom Redis refuses what the policy refuses.
    Guarded(Guard),
    /// The configured user may not run what the policy refuses.
    Audited,
    /// The configured user may run some of what the policy refuses.
    Unguarded {
        /// The reason why there is no guard, if one should be made.
        reason: Option<String>,
        /// Names of rules that Redis does not enforce in scripts.
        open: Vec<String>,
        /// `true` if Redis has a refused command under another name.
        has_renamed: bool,
        /// A command that the operator can run to correct it.
        advice: String,
    },
}

/// Returns whether there is anything that Redis must enforce, in scripts or for identities with rights of their
/// own, and the operator wants that.
pub(crate) fn is_wanted(mode: GuardMode, policy: &Policy, identities: &[KnownIdentity]) -> bool {
    mode != GuardMode::Off && (policy.rules().next().is_some() || !identities.is_empty())
}
