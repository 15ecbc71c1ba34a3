//! Limits on a single client, and what happens to a client that exceeds them.
//!
//! `tests/sharing/limits` tests the same limits to the byte and to the millisecond.

mod connections;
mod output;
mod rate;
mod requests;
mod subscriptions;

use support::{Redoubt, lines};

/// Waits for the log line about a session that was closed for `reason`.
#[track_caller]
fn assert_closed_for(redoubt: &Redoubt, reason: &str) {
    let closed = |line: &str| lines::field(line, "reason") == Some(reason);
    assert!(redoubt.log().wait(closed).is_some(), "no session was closed for {reason}");
}
