//! Clients' replies and the log when something around Redoubt fails. The table of all cases is
//! docs/failures.md.
//!
//! | module | what fails |
//! |---|---|
//! | `busy` | a script overruns |
//! | `clock` | the wall clock jumps |
//! | `descriptors` | no more files can be opened |
//! | `failover` | the primary becomes a replica |
//! | `login` | Redis rejects Redoubt |
//! | `network` | connections are refused, time out or break |
//! | `page` | (`docs/failures.md` names tests, metrics and alerts that exist) |
//! | `restart` | Redis restarts |
//! | `silent` | Redis, its host or a connection falls silent |
//! | `states` | Redis is loading, full, read-only or cannot save |
//! | `tampered` | the upstream is not Redis, or sends incomplete replies |

mod busy;
mod clock;
mod descriptors;
mod failover;
mod login;
mod network;
mod page;
mod restart;
mod silent;
mod states;
mod tampered;

use support::{Redoubt, frame, now, since};

/// Connects a client while the upstream cannot serve it: it must be closed soon, without a reply to
/// `PING`.
fn assert_closed_unserved(redoubt: &Redoubt) {
    let came = now();
    let mut wire = redoubt.connect();
    wire.offer(&frame::request(&["AUTH", redoubt.password()]));
    wire.offer(&frame::request(&["PING"]));
    let reply = wire.read_to_close();
    assert!(
        !reply.windows(4).any(|bytes| bytes == b"PONG"),
        "the client was served without an upstream"
    );
    assert!(since(came) < 8.0, "closed only after {} s", since(came));
}

/// Sessions that were closed because the upstream was unavailable.
const UNAVAILABLE: &str = "redoubt_sessions_closed_total{reason=\"upstream_unavailable\"}";
/// Sessions that were closed because the link broke while they waited for replies on it.
const LOST: &str = "redoubt_sessions_closed_total{reason=\"upstream_lost\"}";
/// Links that could not be opened.
const FAILED: &str = "redoubt_upstream_connects_total{outcome=\"failed\"}";
/// Errors that Redis sent in reply to `GET`, and to `SET`.
const GET_ERRORS: &str = "redoubt_commands_total{command=\"get\",outcome=\"error\"}";
const SET_ERRORS: &str = "redoubt_commands_total{command=\"set\",outcome=\"error\"}";

/// Returns how many lines of the log contain `text`.
fn lines_with(redoubt: &Redoubt, text: &str) -> usize {
    redoubt.log().all().iter().filter(|line| line.contains(text)).count()
}

/// Waits for `text` in the log.
#[track_caller]
fn says(redoubt: &Redoubt, text: &str) -> String {
    let line = redoubt.log().wait(|line| line.contains(text));
    line.unwrap_or_else(|| panic!("the log does not say {text:?}"))
}
