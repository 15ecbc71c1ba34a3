//! Decides on requests: refuse, answer, or forward.
//!
//! The order of the checks is that of Redis's `processCommand`: misuse by a browser, existence, arity,
//! authentication (which Valkey from 9.1 on checks before existence), then the command itself. Where only
//! Redis can know the outcome (inside a transaction, in subscribed state), Redis is asked, with a stand-in
//! where the request itself must not be forwarded.
//!
//! Nothing here changes a session: [`decide`] reads its state and returns the changes.

mod blocking;
mod clients;
mod compat;
mod connection;
mod known;
mod listing;
mod login;
mod maintenance;
mod naming;
mod rights;
pub(super) mod texts;

use bytes::Bytes;

use super::change::{Attempts, Change};
use super::client_reply::ReplyMode;
use super::clients::list::ClientLine;
use super::compat::Answered;
use super::decision::{Action, Claim, Decision, Described, Given, Refusal, Refused, Special};
use super::event::CloseReason;
use super::need::Need;
use super::replies::expect::Expect;
use super::replies::pending::PendingReplies;
use super::rules::Rules;
use super::state::State;
use crate::command::{self, Effect, Spec};
use crate::policy::{self, Denied, Objection, RuleName, Verdict};
use crate::resp::{Request, is_word, reply};
use crate::upstream::Databases;

pub use blocking::may_block;
pub(crate) use login::is_held_whole;
pub use rights::answered;
pub(super) use texts::exec_aborted;

/// Facts about the server and the request that a decision needs.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Databases that sessions are known to be allowed to select.
    pub databases: &'a Databases,
    /// What the program has found out or done for the request, if the request was found to need that.
    pub given: &'a Option<Given>,
    /// True if the request has arrived completely; false for the beginning of a large request.
    pub is_whole: bool,
}

impl<'a> Known<'a> {
    fn clients(self) -> Option<&'a [ClientLine]> {
        match self.given {
            Some(Given::Clients(clients)) => Some(clients),
            Some(Given::Ended { .. } | Given::Flushed(_)) | None => None,
        }
    }
}

/// The input of a decision, besides the session's own state and the request.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// The rules for all sessions.
    rules: &'a Rules,
    /// The session's pending replies.
    due: &'a PendingReplies,
    known: Known<'a>,
}

/// Returns the command or, where there is one, the subcommand that a request is for; `None` if the
/// table does not have it.
pub fn classify(request: &Request<'_>) -> Option<&'static Spec> {
    let spec = command::lookup(request.name())?;
    if spec.is_container() { subcommand(spec, request) } else { Some(spec) }
}

// Apart from the look-up, which every request takes.
#[inline(never)]
fn subcommand(spec: &'static Spec, request: &Request<'_>) -> Option<&'static Spec> {
    request.arg(1).map_or(Some(spec), |word| spec.subcommand(word))
}

/// Decides on a request that is complete, or on the beginning of a large request. `spec` is the result
/// of [`classify`], `verdict` that of [`Rules::authorize`], and `due` are the session's pending
/// replies.
#[inline]
pub fn decide(
    state: &State,
    request: &Request<'_>,
    spec: Option<&'static Spec>,
    verdict: Verdict,
    (rules, due): (&Rules, &PendingReplies),
    known: Known<'_>,
) -> Decision {
    if let Some(spec) = spec
        && spec.effect == Effect::None
        && verdict.is_ok()
        && state.is_plain()
        && known.is_whole
        && rules.rights.may_use(state.database)
    {
        return Decision::Plain;
    }
    Decision::Special(decide_special(state, request, spec, verdict, (rules, due), known))
}

/// Decides on a request that may not be plain.
#[inline(never)]
fn decide_special(
    state: &State,
    request: &Request<'_>,
    spec: Option<&'static Spec>,
    verdict: Verdict,
    (rules, due): (&Rules, &PendingReplies),
    known: Known<'_>,
) -> Special {
    let context = Context { rules, due, known };
    let mut deciding = Deciding {
        state,
        request,
        context,
        change: Change::default(),
        claim: Claim::default(),
        refused: None,
        answered: None,
    };
    let close = |reason| Action::Finish { reply: None, reason };
    let action = match verdict.err().map(|objection| *objection) {
        _ if spec.is_none() && is_cross_protocol(request.name()) => {
            close(CloseReason::CrossProtocol)
        }
        Some(Objection::Lacking) | None
            if state.is_authenticated() && maintenance::is_meant(request) =>
        {
            maintenance::decide(&mut deciding)
        }
        Some(Objection::Lacking) => known::lacking(&deciding),
        Some(Objection::Unreadable) => close(CloseReason::TooLarge),
        Some(Objection::Denied(denied)) => deciding.by_state(spec, Some(denied)),
        None => deciding.by_state(spec, None),
    };
    deciding.finish(action)
}

/// A decision in progress.
struct Deciding<'a> {
    state: &'a State,
    request: &'a Request<'a>,
    context: Context<'a>,
    change: Change,
    claim: Claim,
    refused: Option<Box<Refused>>,
    answered: Option<Box<Answered>>,
}

impl Deciding<'_> {
    fn finish(self, action: Action) -> Special {
        if action.waits() {
            return action.into();
        }
        // On a connection that carries a stream, no reply of Redoubt's own can be put in order.
        let is_opaque = self.state.opaque || self.change.opaque;
        let orderable = matches!(
            action,
            Action::Forward { .. } | Action::Substitute { .. } | Action::Finish { reply: None, .. }
        );
        let action = if is_opaque && !orderable {
            Action::Finish { reply: None, reason: CloseReason::Unorderable }
        } else {
            action
        };
        let Self { change, claim, refused, answered, .. } = self;
        Special { action, change, claim, refused, answered }
    }

    /// Decides on a request that can be read; `denied` is present if the policy refuses it.
    fn by_state(&mut self, spec: Option<&'static Spec>, denied: Option<Denied>) -> Action {
        if self.state.is_authenticated() {
            known::decide(self, spec, denied)
        } else {
            self.unauthenticated(spec, denied)
        }
    }

    /// Decides on a request of an unauthenticated session.
    fn unauthenticated(&mut self, spec: Option<&'static Spec>, denied: Option<Denied>) -> Action {
        let rules = self.context.rules;
        let must_log_in = rules.dialect.authenticates_first && !spec.is_some_and(may_run_first);
        let noauth = || match spec {
            Some(spec) => in_place_of(spec, reply::NOAUTH.clone()),
            None => reply::NOAUTH.clone(),
        };
        if let Some(denied) = denied {
            let error = self.note_refusal(spec, &denied, (None, Vec::new()));
            return self.refuse(if must_log_in { noauth() } else { error });
        }
        if must_log_in {
            return self.refuse(noauth());
        }
        let spec = match spec.filter(|spec| rules.exists(spec)) {
            Some(spec) => spec,
            None => {
                let args = self.request.args();
                if let Some(command) = rules.known_to_server(self.request) {
                    let fits = command.arity_holds(self.request.declared());
                    let wrong = || policy::wrong_arity(&command.name);
                    return self.refuse(if fits { reply::NOAUTH.clone() } else { wrong() });
                }
                let is_command = |spec: &&Spec| rules.exists(spec);
                let error = match command::lookup(self.request.name()).filter(is_command) {
                    None => policy::unknown_command(args),
                    Some(_) => policy::unknown_subcommand(args),
                };
                return self.refuse(error);
            }
        };
        if !spec.arity_holds(self.request.declared()) {
            return self.refuse(in_place_of(spec, policy::wrong_arity(spec.name)));
        }
        let action = match spec.effect {
            Effect::Quit => self.quit(),
            Effect::Reset => {
                let attempts = self.state.attempts.after_idle_request();
                self.change.attempts = Some(attempts);
                if attempts.refused > rules.auth_attempts {
                    let reply = Some(reply::RESET.clone());
                    return Action::Finish { reply, reason: CloseReason::AuthAttempts };
                }
                self.reset()
            }
            Effect::Auth => login::auth(self),
            Effect::Hello => login::hello(self),
            _ => Action::Reply(in_place_of(spec, reply::NOAUTH.clone())),
        };
        match action {
            Action::Reply(error) if self.change.authenticated.is_none() => self.refuse(error),
            other => other,
        }
    }

    /// Counts an error that an unauthenticated session gets.
    fn refuse(&mut self, error: Bytes) -> Action {
        let Attempts { refused, idle } = self.state.attempts;
        let refused = refused.saturating_add(1);
        self.change.attempts = Some(Attempts { refused, idle });
        if refused > self.context.rules.auth_attempts {
            return Action::Finish { reply: Some(error), reason: CloseReason::AuthAttempts };
        }
        Action::Reply(error)
    }

    /// Records that the policy refused the command, what would open it, and its keys. Returns the error for it.
    fn note_refusal(
        &mut self,
        spec: Option<&'static Spec>,
        denied: &Denied,
        (opened_by, keys): (Option<&'static str>, Vec<String>),
    ) -> Bytes {
        let rule = denied.rule().clone();
        // Of an unknown subcommand only the command can be named.
        let spec = spec.or_else(|| command::lookup(self.request.name()));
        let command = spec.map_or_else(|| rule.clone(), |spec| RuleName::Known(spec.name));
        let refusal = Refusal { command, rule, opened_by };
        self.refused = Some(Box::new(Refused { refusal, keys }));
        denied.reply(self.request.args())
    }

    /// Decides on `RESET`. It ends `CLIENT REPLY OFF` before it answers, but not `SKIP`.
    fn reset(&self) -> Action {
        Action::Reset { shown: self.state.replies != ReplyMode::Skip }
    }

    fn quit(&self) -> Action {
        let reply = self.state.shows_replies().then(|| reply::OK.clone());
        Action::Finish { reply, reason: CloseReason::Quit }
    }

    /// Replies with `reply` if the client wants replies.
    fn local(&self, reply: Bytes) -> Action {
        if self.state.shows_replies() { Action::Reply(reply) } else { Action::Silence }
    }

    /// Returns how the reply to an ordinary request is handled.
    fn plain(&self) -> Expect {
        if self.state.shows_replies() { Expect::PLAIN } else { Expect::DROPPED }
    }

    /// Forwards the request unchanged over a lease.
    fn over_lease(&self) -> Action {
        Action::Forward { expect: self.plain(), need: Need::Lease }
    }

    /// Returns true if a transaction is assumed to be open.
    fn in_transaction(&self) -> bool {
        self.state.transaction.believed
    }
}

/// Returns true if an unauthenticated client may run the command.
fn may_run_first(spec: &Spec) -> bool {
    matches!(spec.effect, Effect::Auth | Effect::Hello | Effect::Quit | Effect::Reset)
}

/// Returns the error for a command that is rejected before it runs; for `EXEC`, Redis words the error
/// differently.
fn in_place_of(spec: &Spec, error: Bytes) -> Bytes {
    if spec.effect == Effect::Exec { exec_aborted(&error) } else { error }
}

/// Returns true for `POST` and `Host:`, which a browser sends when a web page makes it connect to
/// Redis.
fn is_cross_protocol(name: &[u8]) -> bool {
    is_word(name, b"post") || is_word(name, b"host:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Identities, Identity};
    use crate::command;
    use crate::policy::{Escapes, Policy, Scripts};
    use crate::resp::{Parsed, RequestLimits, RequestParser};
    use crate::session::Expect;
    pub(super) use crate::session::rules::for_tests as rules;
    use std::sync::LazyLock;

    static DATABASES: LazyLock<Databases> = LazyLock::new(Databases::default);

    pub(super) fn known() -> Known<'static> {
        Known { databases: &DATABASES, given: &None, is_whole: true }
    }

    /// Each bit of `number` sets one property of a session that makes its requests special.
    pub(super) fn state(number: u32) -> State {
        let identities = Identities::from(Identity::new(None, &"password".to_owned().into()));
        let is = |bit: u32| number & (1 << bit) != 0;
        let mut state = State::new(is(0));
        state.authenticated = identities.check(b"default", b"password").filter(|_| !is(1));
        state.opaque = is(2);
        state.pinned = is(3);
        state.transaction.believed = is(4);
        state.replies = if is(5) { ReplyMode::SkipNext } else { ReplyMode::On };
        state
    }

    #[test]
    fn fast_plain_decisions_agree_with_full_decisions() {
        let mut passed = 0;
        for scripts in [Scripts::All, Scripts::Deny] {
            let rules = rules(scripts);
            for spec in command::specs() {
                let words: Vec<_> = spec.name.split('|').chain(["1"; 4]).collect();
                let wire: String =
                    words.iter().map(|w| format!("${}\r\n{w}\r\n", w.len())).collect();
                let wire = format!("*{}\r\n{wire}", words.len()).to_uppercase().into_bytes();
                let mut parser = RequestParser::new();
                let parsed = parser.parse(&wire, &RequestLimits::AUTHENTICATED).unwrap();
                assert_eq!(parsed, Parsed::Request { len: wire.len() });
                let request = parser.request(&wire);
                let Some(spec) = classify(&request) else {
                    assert!(spec.is_container(), "{} with a word that it does not have", spec.name);
                    continue;
                };
                for number in 0..64 {
                    let state = state(number);
                    let due = PendingReplies::default();
                    let authenticated = state.is_authenticated();
                    let verdict = rules.authorize(&request, Some(spec), authenticated);
                    let decision = decide(
                        &state,
                        &request,
                        Some(spec),
                        verdict.clone(),
                        (&rules, &due),
                        known(),
                    );
                    let Decision::Plain = decision else { continue };
                    passed += 1;
                    let special = decide_special(
                        &state,
                        &request,
                        Some(spec),
                        verdict,
                        (&rules, &due),
                        known(),
                    );
                    let action = Action::Forward { expect: Expect::PLAIN, need: Need::Shared };
                    assert!(special == Special::from(action), "{} in state {number}", spec.name);
                }
            }
        }
        // All of these requests are forwarded where all scripts may run; none otherwise.
        assert!(passed > 1000, "{passed}");
    }

    #[test]
    fn refused_and_special_requests_are_not_decided_as_plain() {
        let rules = rules(Scripts::All);
        let passes = |name: &str, state: State| {
            let wire = format!("{name} 1 1\r\n");
            let mut parser = RequestParser::new();
            parser.parse(wire.as_bytes(), &RequestLimits::AUTHENTICATED).unwrap();
            let request = parser.request(wire.as_bytes());
            let spec = classify(&request);
            let verdict = rules.authorize(&request, spec, state.is_authenticated());
            let due = PendingReplies::default();
            matches!(
                decide(&state, &request, spec, verdict, (&rules, &due), known()),
                Decision::Plain
            )
        };
        assert!(passes("SET", state(0)) && passes("ZADD", state(0)));
        for name in [
            "GET",
            "FLUSHALL",
            "OBJECT FREQ",
            "OBJECT",
            "ACL LIST",
            "MULTI",
            "EVAL",
            "BLPOP",
            "INFO",
        ] {
            assert!(!passes(name, state(0)), "{name}");
        }
        for special in [1, 2, 5] {
            assert!(!passes("SET", state(1 << special)), "{special}");
        }
    }

    #[test]
    fn session_ends_when_the_debugger_of_scripts_is_refused() {
        let ends = |line: &str, policy: Policy| {
            let rules = Rules { policy, ..rules(Scripts::All) };
            let mut parser = RequestParser::new();
            parser.parse(line.as_bytes(), &RequestLimits::AUTHENTICATED).unwrap();
            let request = parser.request(line.as_bytes());
            let (spec, state, due) = (classify(&request), state(0), PendingReplies::default());
            let verdict = rules.authorize(&request, spec, true);
            let decision = decide(&state, &request, spec, verdict, (&rules, &due), known());
            let Decision::Special(special) = decision else { panic!("{line} is plain") };
            match special.action {
                Action::Finish { reply: Some(reply), reason: CloseReason::DebuggerRefused } => {
                    assert!(reply.starts_with(b"-ERR unknown "), "{reply:?}");
                    true
                }
                _ => false,
            }
        };
        let refuses = || Policy::compile(&["GET"], Escapes::Deny).unwrap();
        for line in ["SCRIPT DEBUG YES\r\n", "script debug sync\r\n", "SCRIPT DEBUG yes x\r\n"] {
            assert!(ends(line, refuses()), "{line}");
            assert!(!ends(line, Policy::compile(&["GET"], Escapes::Allow).unwrap()), "{line}");
        }
        for line in ["SCRIPT DEBUG NO\r\n", "SCRIPT DEBUG\r\n", "SCRIPT FLUSH SYNC\r\n"] {
            assert!(!ends(line, refuses()), "{line}");
        }
    }
}
