//! What a client may cost, and what becomes of one that costs more.
//!
//! At every byte and to the millisecond, `tests/sharing/limits` looks at the same bounds.

mod connections;
mod output;
mod rate;
mod requests;
mod subscriptions;

use support::{Redoubt, lines};

/// Waits for the log to say that a session was closed for `reason`.
#[track_caller]
fn assert_closed_for(redoubt: &Redoubt, reason: &str) {
    let closed = |line: &str| lines::field(line, "reason") == Some(reason);
    assert!(redoubt.log().wait(closed).is_some(), "no session was closed for {reason}");
}
