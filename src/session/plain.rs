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
    if let Some(counted) = due.pop_plainly(many) {
        counts.add_many(counted, Outcome::Ok, many);
    }
    deliver_local(due, output);
}
