//! What identities do, as long as Redoubt remembers it, and what their rules would refuse.
//!
//! Owns: the profiles of all identities, the state file that keeps them over a restart, and what dry runs have
//! found. Leaves to [`redoubt_core::observe`]: what is recorded and which rule follows from it; to
//! `crate::control`: asking the workers and the upstream.
//!
//! Invariants: all tables are bounded; no value and no whole key with variable parts is kept, in memory or in the
//! file. Requests that wait for a dry run have whole keys; they are dropped when they have been tried.

mod answers;
pub(crate) mod file;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

pub(crate) use store::{Known, Refusal, Store};

/// Questions about rules that may wait; more are refused.
pub(crate) const WAITING: usize = 4;

/// The profiles, and who tries rules. Clones share both.
#[derive(Clone)]
pub(crate) struct Learning {
    store: Arc<Mutex<Store>>,
    orders: mpsc::Sender<Order>,
}

/// A question that only the control plane can answer.
pub(crate) enum Order {
    /// Ask the workers for all that they have recorded. The answer are those that did not answer.
    Collect(oneshot::Sender<Vec<usize>>),
    /// Try a rule at the upstream.
    Check(CheckOrder, oneshot::Sender<Result<Checked, String>>),
}

/// A rule to be tried.
pub(crate) struct CheckOrder {
    /// The words of the rule.
    pub(crate) rule: Vec<String>,
    /// Requests that it should allow.
    pub(crate) requests: Vec<Vec<Bytes>>,
    /// Categories whose commands are wanted.
    pub(crate) categories: Vec<String>,
}

/// What was found out about a rule.
pub(crate) struct Checked {
    /// The outcome for each request, in order.
    pub(crate) tried: Vec<redoubt_core::observe::Tried>,
    /// The commands of each category, in order, as far as Redis knows it.
    pub(crate) categories: Vec<Option<Vec<String>>>,
}

impl Learning {
    /// Creates the place for profiles. The orders go to the task of the control plane.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, waiting) = mpsc::channel(WAITING);
        (Self { store: Arc::default(), orders }, waiting)
    }

    /// Returns the profiles. They are locked only for short times, and never across an await.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
