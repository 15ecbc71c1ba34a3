//! Answers for requests that wait on a link which Redis has no time to prepare, and that were
//! therefore never sent.

use bytes::{BufMut, Bytes, BytesMut};

use super::counts::Counts;
use super::expect::{Expect, Learn};
use super::frame::replied;
use super::pending::PendingReplies;
use super::plain::deliver_local;
use crate::resp::{Kind, reply};
use crate::session::decide::exec_aborted;
use crate::session::state::State;

/// Answers everything that a link was to bring with `error`, the server's own to the request that
/// prepares the link.
///
/// `MULTI` is answered as Redis 7.0 and later answer it while a script overruns: with `+OK`, and the
/// transaction fails at `EXEC`. With an error in its place, the rest of a pipelined transaction would
/// run without one if the server had time again when it comes.
pub(crate) fn answer_unsent(
    error: &Bytes,
    state: &mut State,
    due: &mut PendingReplies,
    output: &mut BytesMut,
    counts: &mut Counts,
) {
    while let Some(expect) = due.front() {
        let (answer, kind) = answer(expect, error, state);
        if expect.show.passes() {
            output.put_slice(&answer);
        }
        if expect.learn == Learn::Multi {
            state.transaction.abort();
        }
        // A request of Redoubt's own that prepares the link has failed with it.
        if replied(Some(kind), true, state, due, output, counts).is_err() {
            deliver_local(due, output);
        }
    }
    // What was asked for has not happened, so that the connection has no state that lasts.
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
