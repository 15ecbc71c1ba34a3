//! Most requests and most replies: nothing about them is special.

use bytes::BytesMut;

use super::client_reply::ReplyMode;
use super::counts::{Counts, Outcome};
use super::due::DueQueue;
use super::receive::deliver_local;
use super::rules::Rules;
use super::state::State;
use crate::command::{Effect, Spec};
use crate::resp::whole;

impl State {
    /// Whether a request for `spec` is sure to be passed on as it came over a shared link, or
    /// its own if it has one, with nothing to be learned from its reply: [`State::need`] would say
    /// [`Need::Shared`] and [`State::decide`] would say [`Step::Forward`] with [`Expect::PLAIN`], and
    /// change nothing.
    ///
    /// It is there because it takes a few instructions where those two take hundreds. `false`
    /// says nothing.
    ///
    /// [`Need::Shared`]: super::Need::Shared
    /// [`Step::Forward`]: super::Step::Forward
    /// [`Expect::PLAIN`]: super::Expect::PLAIN
    #[inline]
    pub fn passes(&self, spec: &'static Spec, rules: &Rules) -> bool {
        spec.effect == Effect::None
            && self.authenticated
            && self.replies == ReplyMode::On
            && !self.opaque
            && rules.scripts.are_open()
            && rules.policy.passes(spec)
    }
}

/// How many replies `input` begins with that are all there, are no errors, and go to the client as
/// they are with nothing to be learned from them, and how many bytes these have; no more than `most`.
/// Then [`replied_plainly`] has to be called. The link must be between two frames.
#[inline]
pub(crate) fn plain_replies(input: &[u8], due: &DueQueue, most: u32) -> (usize, u32) {
    let most = most.min(due.plain());
    let (mut len, mut many) = (0_usize, 0_u32);
    while many < most
        && let Some(reply) = input.get(len..).and_then(whole)
    {
        len = len.saturating_add(reply);
        many = many.saturating_add(1);
    }
    (len, many)
}

/// So many of these have gone to the client: counts them, and goes on with what comes after.
#[inline]
pub(crate) fn replied_plainly(
    many: u32,
    due: &mut DueQueue,
    output: &mut BytesMut,
    counts: &mut Counts,
) {
    if let Some(counted) = due.pop_plain(many) {
        counts.add_many(counted, Outcome::Ok, many);
    }
    deliver_local(due, output);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;
    use crate::command;
    use crate::policy::{Escapes, Policy, Scripts};
    use crate::resp::{Parsed, RequestLimits, RequestParser};
    use crate::session::{Context, Expect, KeyForm, Limits, Need, StandIn, Step, find};

    fn rules(scripts: Scripts) -> Rules {
        Rules {
            policy: Policy::compile(&["GET", "OBJECT|FREQ", "FLUSHALL"], Escapes::Deny).unwrap(),
            scripts,
            guarded: false,
            known_only: false,
            identity: Identity::new(None, &"password".to_owned().into()),
            stand_in: StandIn::new(None, None, 1),
            upstream_version: None,
            auth_attempts: 1,
            keys: KeyForm::None,
            limits: Limits::default(),
            client_ids: Default::default(),
        }
    }

    /// One for each bit of `number`, that would make a request of this session special.
    fn state(number: u32) -> State {
        let is = |bit: u32| number & (1 << bit) != 0;
        let mut state = State::new(is(0));
        state.authenticated = !is(1);
        state.opaque = is(2);
        state.pinned = is(3);
        state.transaction.believed = is(4);
        state.replies = if is(5) { ReplyMode::SkipNext } else { ReplyMode::On };
        state
    }

    #[test]
    fn what_passes_would_have_been_decided_so() {
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
                let Some(spec) = find(&request) else {
                    assert!(spec.is_container(), "{} with a word that it does not have", spec.name);
                    continue;
                };
                for number in 0..64 {
                    let mut state = state(number);
                    if !state.passes(spec, &rules) {
                        continue;
                    }
                    passed += 1;
                    let name = spec.name;
                    let need = state.need(&request, Some(spec), 1, &rules);
                    assert_eq!(need, Need::Shared, "{name}");
                    let due = DueQueue::default();
                    let context = Context { rules: &rules, due: &due, need };
                    let step = state.decide(&request, Some(spec), context, &mut |_| {
                        panic!("{name} has something to tell");
                    });
                    let forward = Step::Forward { expect: Expect::PLAIN, need };
                    assert!(step == forward, "{name} in state {number}");
                }
            }
        }
        // All of them where all scripts run; none otherwise.
        assert!(passed > 1000, "{passed}");
    }

    #[test]
    fn what_is_refused_or_special_does_not_pass() {
        let rules = rules(Scripts::All);
        let passes = |name: &str, state: State| {
            let (name, word) = name.split_once(' ').unwrap_or((name, ""));
            let spec = command::lookup(name.as_bytes()).unwrap();
            let spec = spec.subcommand(word.as_bytes()).unwrap_or(spec);
            state.passes(spec, &rules)
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
}
