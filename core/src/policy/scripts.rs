//! Which scripts and functions a client may run.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::decision::{Decision, Denied, RuleName};
use crate::command::{self, Scripting, Spec};
use crate::resp::Request;

/// What the rule is called that refuses scripts and functions.
const RULE: RuleName = RuleName::Known("scripts");

/// Which scripts and functions a client may run.
///
/// What else a client may do with them, such as emptying Redis's cache of them, is for
/// [`Escapes`](super::Escapes) to say. Commands of modules that run code are not known here.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Scripts {
    /// All; what they may call is for Redis to hold.
    #[default]
    All,
    /// Those that cannot write. Scripts may be loaded, libraries may not.
    ReadOnly,
    /// Those that are listed; only these may be loaded, and libraries not at all.
    Pinned(Pins),
    /// None, nor may any be loaded.
    Deny,
}

/// The scripts and functions that are listed. A clone shares them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// SHA-1 digests of scripts.
    pub scripts: Arc<HashSet<[u8; 20]>>,
    /// Functions that the listed libraries have, in lower case: Redis takes any, and has no two
    /// functions that differ in nothing else.
    pub functions: Arc<HashSet<Bytes>>,
}

impl Scripts {
    /// Returns whether all run, so that there is nothing to ask.
    #[inline]
    pub fn are_open(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Returns whether a request may run, as far as scripts go. `spec` is what the table says of it, the
    /// subcommand where there is one.
    ///
    /// A subcommand of `SCRIPT` or `FUNCTION` that the table does not have is refused unless all
    /// run: a newer Redis may have one that loads code.
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

    /// As [`Scripts::decide`], for a client that is not to learn what is listed.
    pub fn decide_by_name(&self, spec: &'static Spec) -> Decision {
        decision(spec, spec.scripting.is_none_or(|scripting| self.may_name(scripting)))
    }

    /// Returns whether the part of a large request that decides has not wholly arrived.
    pub fn need_more(&self, spec: Option<&'static Spec>, request: &Request<'_>) -> bool {
        let Self::Pinned(_) = self else { return false };
        match spec.and_then(|spec| spec.scripting).and_then(code_at) {
            Some(at) => request.declared() > at && whole(request, at).is_none(),
            None => false,
        }
    }

    /// Returns whether a command may be named at all, whatever it is to run.
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
    /// A SHA-1 digest as 40 hexadecimal digits in any case, which is how Redis takes one.
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

    /// Returns whether what the request is to run or load is listed. What is not there is not.
    fn hold(&self, scripting: Scripting, request: &Request<'_>) -> bool {
        match scripting {
            Scripting::Eval { .. } | Scripting::Load => code_at(scripting).is_some_and(|at| {
                // Without any, Redis answers that there are too few arguments.
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

/// Returns which argument is the script itself.
fn code_at(scripting: Scripting) -> Option<usize> {
    match scripting {
        Scripting::Eval { .. } => Some(1),
        Scripting::Load => Some(2),
        _ => None,
    }
}

/// The argument at `index`, if all of it has arrived.
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

/// Of a command, or a subcommand of the command `name`, that the table does not have.
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
