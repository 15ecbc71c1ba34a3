//! Tests that need the whole machine: they run one at a time, so that none disturbs another's
//! measurement, and have a program of their own, so that none disturbs tests with deadlines.
//!
//! | module | what it tests |
//! |---|---|
//! | `fairness` | a session with values of 100 MB and a session that never reads, beside small ones |
//! | `flood` | floods of connections that never authenticate |
//! | `flood_memory` | ten thousand unauthenticated clients take no more memory than they may |
//! | `flood_turns` | sixty clients that send the most expensive bytes |
//! | `honest` | (clients that only send requests, which a flood must not delay) |
//! | `many_sessions` | ten thousand sessions in `/sessions`, and a thousand over a few connections |
//! | `scrapes` | scrapes while clients are served |
//! | `soak` | hundreds of sessions of mixed kinds for a while, and nothing left of them |
//! | `thousand_sessions` | a thousand sessions lose and mix no reply |

mod fairness;
mod flood;
mod flood_memory;
mod flood_turns;
mod honest;
mod many_sessions;
mod scrapes;
mod soak;
mod thousand_sessions;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test of this program runs, and keeps the others waiting. Every test here begins
/// with it.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
