//! What is made from files, and made anew when they change.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::TlsError;
use super::files::Named;
use crate::audit;

/// Settings that name files, and what is made from these.
pub(super) trait Files {
    type Made;

    /// All files; what is in them is looked at for changes.
    fn files(&self) -> Vec<Named<'_>>;

    fn make(&self) -> Result<Self::Made, TlsError>;
}

/// What is in force. Those who use it keep what they have; a bad file changes nothing.
#[derive(Debug)]
pub(super) struct Current<F: Files> {
    made: RwLock<Arc<F::Made>>,
    state: Mutex<State<F>>,
}

#[derive(Debug)]
struct State<F> {
    files: F,
    /// What was in the files when `made` was made, or when it last could not be.
    tried: Fingerprint,
    /// What the last look found.
    seen: Fingerprint,
}

/// What was made from files and is not in force yet.
pub struct Fresh<M> {
    made: M,
    found: Fingerprint,
}

type Fingerprint = [u8; 32];

impl<F: Files> Current<F> {
    pub(super) fn new(files: F) -> Result<Self, TlsError> {
        // In this order, so that what changes in between is seen as a change later.
        let tried = fingerprint(&files);
        let made = files.make()?;
        Ok(Self {
            made: RwLock::new(Arc::new(made)),
            state: Mutex::new(State { files, tried, seen: tried }),
        })
    }

    pub(super) fn get(&self) -> Arc<F::Made> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what the files have in them now, changed or not, to be [put](Current::put).
    pub(super) fn read(&self) -> Result<Fresh<F::Made>, TlsError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fingerprint(&state.files);
        match state.files.make() {
            Ok(made) => Ok(Fresh { made, found }),
            Err(error) => {
                // Whoever asked tells of it; a look need not.
                state.tried = found;
                Err(error)
            }
        }
    }

    /// Puts in force what was read. Should a look have put something newer meanwhile, the next one
    /// does so again.
    pub(super) fn put(&self, fresh: Fresh<F::Made>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_changed = state.tried != fresh.found;
        self.swap(&mut state, fresh);
        if is_changed {
            tell(&state.files);
        }
    }

    /// Looks at the files and takes up what has changed, once two looks in a row have found the
    /// same: a certificate and its key are written one after the other. What cannot be used is said
    /// once. Reads files, so no worker's thread may do it.
    pub(super) fn look(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fingerprint(&state.files);
        let is_settled = std::mem::replace(&mut state.seen, found) == found;
        if !is_settled || found == state.tried {
            return;
        }
        state.tried = found;
        match state.files.make() {
            Ok(made) => {
                self.swap(&mut state, Fresh { made, found });
                tell(&state.files);
            }
            Err(error) => {
                let reason = error.chain();
                warn!(reason, "certificates cannot be used; the old ones stay in use");
            }
        }
    }

    fn swap(&self, state: &mut State<F>, fresh: Fresh<F::Made>) {
        state.tried = fresh.found;
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh.made);
    }
}

fn tell(files: &impl Files) {
    let keys: Vec<_> = files.files().iter().map(|file| file.key.to_owned()).collect();
    info!(keys = keys.join(" "), "certificates changed");
    audit::record(audit::Event::ConfigurationChanged { keys });
}

fn fingerprint(files: &impl Files) -> Fingerprint {
    let mut digest = Sha256::new();
    files.files().iter().for_each(|file| file.digest(&mut digest));
    digest.finalize().into()
}
