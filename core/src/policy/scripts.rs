//! The scripts and functions that clients may run.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::decision::{Decision, Denied, RuleName};
use crate::command::{self, Scripting, Spec};
use crate::resp::Request;

/// Name of the rule that refuses scripts and functions.
pub(super) const RULE: RuleName = RuleName::Known("scripts");

/// The scripts and functions that clients may run.
///
/// [`Escapes`](super::Escapes) decides about other commands for scripts, such as emptying Redis's
/// script cache. Commands of modules that run code are not known here.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Scripts {
    /// Clients may run all scripts; Redis's ACL limits what a script may call.
    #[default]
    All,
    /// Clients may run scripts that cannot write. They may load scripts but no libraries.
    ReadOnly,
    /// Clients may run and load the listed scripts, run the listed functions, and load no libraries.
    Pinned(Pins),
    /// Clients may neither run nor load scripts.
    Deny,
}

/// The listed scripts and functions. Clones share memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// SHA-1 digests of scripts.
    pub scripts: Arc<HashSet<[u8; 20]>>,
    /// Functions of the listed libraries, in lower case: Redis ignores case in function names, so no
    /// two functions differ only in case.
    pub functions: Arc<HashSet<Bytes>>,
}

impl Scripts {
    /// Returns true if all scripts may run, so that requests need no check.
    #[inline]
    pub fn are_open(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Returns whether a request may run, as far as scripts are concerned. `spec` is its entry in the
    /// table, the subcommand's where there is one.
    ///
    /// A subcommand of `SCRIPT` or `FUNCTION` that the table does not have is refused unless all
    /// scripts may run, because a newer Redis may have a subcommand that loads code.
    pub fn decide(&self, spec: Option<&'static Spec>, request: &Request<'_>) -> Decision {
        if self.are_open() {
            return Decision::Allow;
        }
        let Some(spec) = spec else { return new_word(request.name()) };
        let Some(scripting) = spec.scripting else { return Decision::Allow };
        let may_run = match self {
            Self::Pinned(pins) => pins.hold(scripting, request),
            others => others.may_name(scripting),
        };
        decision(spec, may_run)
    }

    /// Decides as [`Scripts::decide`] does, for a client that must not learn which scripts are listed.
    pub fn decide_by_name(&self, spec: &'static Spec) -> Decision {
        decision(spec, spec.scripting.is_none_or(|scripting| self.may_name(scripting)))
    }

    /// Returns true if the argument of a large request that decides has not arrived completely.
    pub fn need_more(&self, spec: Option<&'static Spec>, request: &Request<'_>) -> bool {
        let Self::Pinned(_) = self else { return false };
        match spec.and_then(|spec| spec.scripting).and_then(code_at) {
            Some(at) => request.declared() > at && whole(request, at).is_none(),
            None => false,
        }
    }

    /// Returns true if the policy allows the command for at least some scripts.
    fn may_name(&self, scripting: Scripting) -> bool {
        match (self, scripting) {
            (Self::All, _) => true,
            (Self::Deny, _) | (_, Scripting::Libraries | Scripting::Debug) => false,
            (Self::ReadOnly, Scripting::Eval { writes }) => !writes,
            (Self::ReadOnly, Scripting::EvalSha { writes }) => !writes,
            (Self::ReadOnly, Scripting::Call { writes }) => !writes,
            (Self::ReadOnly, Scripting::Load) | (Self::Pinned(_), _) => true,
        }
    }
}

impl Pins {
    /// Parses a SHA-1 digest of 40 hexadecimal digits in upper or lower case, the form that Redis
    /// accepts.
    pub fn digest(hex: &[u8]) -> Option<[u8; 20]> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
        let (pairs, rest) = hex.as_chunks::<2>();
        let mut digest = [0; 20];
        if pairs.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(digest)
    }

    /// Returns true if the script or function that the request runs or loads is listed. A missing
    /// argument is not listed.
    fn hold(&self, scripting: Scripting, request: &Request<'_>) -> bool {
        match scripting {
            Scripting::Eval { .. } | Scripting::Load => code_at(scripting).is_some_and(|at| {
                // Without a script, Redis answers that there are too few arguments.
                let listed = |code| self.scripts.contains::<[u8; 20]>(&Sha1::digest(code).into());
                request.declared() <= at || whole(request, at).is_some_and(listed)
            }),
            Scripting::EvalSha { .. } => {
                let listed = |digest| self.scripts.contains(&digest);
                let digest = || whole(request, 1).and_then(Self::digest);
                request.declared() <= 1 || digest().is_some_and(listed)
            }
            Scripting::Call { .. } => {
                let listed =
                    |name: &[u8]| self.functions.contains::<[u8]>(&name.to_ascii_lowercase());
                request.declared() <= 1 || whole(request, 1).is_some_and(listed)
            }
            Scripting::Libraries | Scripting::Debug => false,
        }
    }
}

/// Returns the index of the argument that is the script itself.
fn code_at(scripting: Scripting) -> Option<usize> {
    match scripting {
        Scripting::Eval { .. } => Some(1),
        Scripting::Load => Some(2),
        _ => None,
    }
}

/// Returns the argument at `index` if all of it has arrived.
fn whole<'a>(request: &Request<'a>, index: usize) -> Option<&'a [u8]> {
    let is_cut = request.is_cut() && request.len() == index.saturating_add(1);
    request.arg(index).filter(|_| !is_cut)
}

fn decision(spec: &'static Spec, may_run: bool) -> Decision {
    if may_run {
        Decision::Allow
    } else if spec.name == spec.command() {
        Decision::Deny(Denied::command(RULE))
    } else {
        Decision::Deny(Denied::subcommand(RULE))
    }
}

/// Decides about a command, or a subcommand of the command `name`, that the table does not have.
fn new_word(name: &[u8]) -> Decision {
    match command::lookup(name) {
        Some(container) if matches!(container.name, "script" | "function") => {
            Decision::Deny(Denied::subcommand(RULE))
        }
        _ => Decision::Allow,
    }
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::ReadOnly => "ReadOnly",
            Self::Pinned(_) => "Pinned",
            Self::Deny => "Deny",
        })
    }
}
