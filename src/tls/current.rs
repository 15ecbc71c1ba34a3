//! Keeps what is made from files, and makes it again when the files change.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::TlsError;
use super::files::Named;
use crate::audit;

/// Settings that name files, and the value that is made from the files.
pub(super) trait Files {
    type Made;

    /// Returns all files; their content is watched for changes.
    fn files(&self) -> Vec<Named<'_>>;

    fn make(&self) -> Result<Self::Made, TlsError>;
}

/// The value in force. Users keep the value that they have; an invalid file changes nothing.
#[derive(Debug)]
pub(super) struct Current<F: Files> {
    made: RwLock<Arc<F::Made>>,
    state: Mutex<State<F>>,
}

#[derive(Debug)]
struct State<F> {
    files: F,
    /// The content of the files when `made` was made, or when making it last failed.
    tried: Fingerprint,
    /// The content that the last check found.
    found_last: Fingerprint,
}

/// A value that was made from files and is not in force yet.
pub struct Fresh<M> {
    made: M,
    found: Fingerprint,
}

type Fingerprint = [u8; 32];

impl<F: Files> Current<F> {
    pub(super) fn new(files: F) -> Result<Self, TlsError> {
        // The files are hashed first, so that a change in between is noticed later.
        let tried = fingerprint(&files);
        let made = files.make()?;
        Ok(Self {
            made: RwLock::new(Arc::new(made)),
            state: Mutex::new(State { files, tried, found_last: tried }),
        })
    }

    pub(super) fn get(&self) -> Arc<F::Made> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a value made from the current files, changed or not; [`Current::put`] puts it in
    /// force.
    pub(super) fn read(&self) -> Result<Fresh<F::Made>, TlsError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fingerprint(&state.files);
        match state.files.make() {
            Ok(made) => Ok(Fresh { made, found }),
            Err(error) => {
                // The caller reports an error; the next check need not.
                state.tried = found;
                Err(error)
            }
        }
    }

    /// Puts a value in force. If a check has put a newer value in force meanwhile, the next check
    /// does so again.
    pub(super) fn put(&self, fresh: Fresh<F::Made>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_changed = state.tried != fresh.found;
        self.swap(&mut state, fresh);
        if is_changed {
            log_change(&state.files);
        }
    }

    /// Checks the files and puts a change in force once two checks in a row have found the same
    /// content: a certificate and its key are written one after the other. An error is logged once.
    /// Reads files, so it must not run on a worker's thread.
    pub(super) fn look(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = fingerprint(&state.files);
        let is_settled = std::mem::replace(&mut state.found_last, found) == found;
        if !is_settled || found == state.tried {
            return;
        }
        state.tried = found;
        match state.files.make() {
            Ok(made) => {
                self.swap(&mut state, Fresh { made, found });
                log_change(&state.files);
            }
            Err(error) => {
                let reason = error.chain();
                warn!(reason, "certificates cannot be used; the old certificates stay in use");
            }
        }
    }

    fn swap(&self, state: &mut State<F>, fresh: Fresh<F::Made>) {
        state.tried = fresh.found;
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh.made);
    }
}

fn log_change(files: &impl Files) {
    let keys: Vec<_> = files.files().iter().map(|file| file.key.to_owned()).collect();
    info!(keys = keys.join(" "), "certificates changed");
    audit::record(audit::Event::ConfigurationChanged { keys });
}

fn fingerprint(files: &impl Files) -> Fingerprint {
    let mut digest = Sha256::new();
    files.files().iter().for_each(|file| file.digest(&mut digest));
    digest.finalize().into()
}
