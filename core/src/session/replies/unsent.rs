//! Answers requests that wait for a link which Redis has no time to prepare. They were never sent.

use bytes::{BufMut, Bytes, BytesMut};

use super::counts::Counts;
use super::expect::{Expect, Learn};
use super::frame::replied;
use super::pending::PendingReplies;
use crate::resp::{Kind, reply};
use crate::session::decide::exec_aborted;
use crate::session::state::State;

/// Answers every request that waits for the link with `error`, the server's own error to the request
/// that prepares the link.
///
/// The reply to `MULTI` is `+OK` and its transaction fails at `EXEC`, as with Redis 7.0 and later while
/// a script overruns. If it were an error, the rest of a pipelined transaction would run outside a
/// transaction as soon as the server had time again.
pub(crate) fn answer_unsent(
    error: &Bytes,
    state: &mut State,
    pending: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) {
    while let Some(expect) = pending.front() {
        let (answer, kind) = answer(expect, error, state);
        if expect.show.passes() {
            output.put_slice(&answer);
        }
        if expect.learn == Learn::Multi {
            state.transaction.abort();
        }
        // The error fails a request of Redoubt's own that prepares the link.
        if replied(Some(kind), true, state, pending, output, counts).is_err() {
            pending.deliver_local(output);
        }
    }
    // The request did not run, so the connection has no state that lasts.
    state.pinned = false;
}

fn answer(expect: &Expect, error: &Bytes, state: &State) -> (Bytes, Kind) {
    match expect.learn {
        Learn::Multi if !state.transaction.holds() => (reply::OK.clone(), Kind::SimpleString),
        Learn::Discard if state.transaction.is_aborted() => (reply::OK.clone(), Kind::SimpleString),
        Learn::Exec(_) if state.transaction.is_aborted() => (exec_aborted(error), Kind::Error),
        _ => (error.clone(), Kind::Error),
    }
}
