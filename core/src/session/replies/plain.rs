//! The fast path for plain replies, which most replies are.

use bytes::{Buf, BufMut, BytesMut};

use super::counts::{Counts, Outcome};
use super::pending::PendingReplies;
use crate::ids::LinkId;
use crate::resp::whole;

/// Returns how many bytes `input` begins with that are whole replies which `link` is to bring next, which
/// are no errors and go to the client as they are with nothing to be learned from them, and how many
/// replies these are; no more than `most`. [`replied_plainly`] has to be called for them. The link must be
/// between two frames.
#[inline]
pub(crate) fn plain_replies(
    input: &[u8],
    link: LinkId,
    due: &PendingReplies,
    most: u32,
) -> (usize, u32) {
    let most = most.min(due.plain_from(link));
    let (mut len, mut many) = (0_usize, 0_u32);
    while many < most
        && let Some(reply) = input.get(len..).and_then(whole)
    {
        len = len.saturating_add(reply);
        many = many.saturating_add(1);
    }
    (len, many)
}

/// Counts replies that have gone to the client, and sends the local replies that follow them.
#[inline]
pub(crate) fn replied_plainly(
    many: u32,
    due: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) {
    if let Some(counted) = due.pop_plain(many) {
        counts.add_many(counted, Outcome::Ok, many);
    }
    deliver_local(due, output);
}

/// Moves the local replies at the front to `output`.
pub(in crate::session) fn deliver_local(due: &mut PendingReplies, output: &mut BytesMut) {
    while let Some(reply) = due.pop_local() {
        output.reserve(reply.remaining());
        output.put(reply);
    }
}
