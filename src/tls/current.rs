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

    /// Reads the files anew, whether they have changed or not.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.tried;
        self.remake(&mut state)?;
        if state.tried != before {
            tell(&state.files);
        }
        Ok(())
    }

    /// Puts other settings in force, or keeps the old ones if their files cannot be used.
    pub(super) fn replace(&self, files: F) -> Result<(), TlsError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = fingerprint(&files);
        let made = files.make()?;
        *state = State { files, tried, seen: tried };
        self.put(made);
        Ok(())
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
        match self.remake(&mut state) {
            Ok(()) => tell(&state.files),
            Err(error) => {
                let reason = error.chain();
                warn!(reason, "certificates cannot be used; the old ones stay in use");
            }
        }
    }

    fn remake(&self, state: &mut State<F>) -> Result<(), TlsError> {
        state.tried = fingerprint(&state.files);
        let made = state.files.make()?;
        self.put(made);
        Ok(())
    }

    fn put(&self, made: F::Made) {
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
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
