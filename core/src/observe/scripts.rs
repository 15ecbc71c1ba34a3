//! Remembers which commands scripts and functions name, so that `EVALSHA` and `FCALL` can be told apart.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha1::{Digest, Sha1};

use super::calls::Calls;
use crate::policy::Pins;

/// The scripts and functions whose texts have been seen. Clones share memory: the workers of a process have one.
#[derive(Clone, Default)]
pub struct ScriptsSeen {
    inner: Arc<Mutex<Inner>>,
    texts: Arc<AtomicU64>,
}

#[derive(Default)]
struct Inner {
    by_digest: HashMap<[u8; 20], Arc<Calls>>,
    by_function: HashMap<Vec<u8>, Arc<Calls>>,
}

impl ScriptsSeen {
    /// Most scripts, and most functions, that are remembered. With more, all are forgotten.
    const MOST: usize = 1024;

    /// Adds a script. Returns what it names.
    pub(super) fn add_script(&self, text: &[u8]) -> Arc<Calls> {
        let calls = Arc::new(Calls::of(text));
        self.put(|inner| &mut inner.by_digest, Sha1::digest(text).into(), &calls);
        calls
    }

    /// Adds the functions of a library. Returns what it names.
    pub(super) fn add_library(&self, text: &[u8]) -> Arc<Calls> {
        let calls = Arc::new(Calls::of(text));
        for function in &calls.functions {
            self.put(|inner| &mut inner.by_function, function.clone(), &calls);
        }
        calls
    }

    /// Returns what the script with this digest, in hexadecimal, names; `None` if its text has not been seen.
    pub(super) fn script(&self, digest: &[u8]) -> Option<Arc<Calls>> {
        self.lock().by_digest.get(&Pins::digest(digest)?).cloned()
    }

    /// Returns what the library of this function names; `None` if its text has not been seen.
    pub(super) fn function(&self, name: &[u8]) -> Option<Arc<Calls>> {
        self.lock().by_function.get(&name.to_ascii_lowercase()).cloned()
    }

    /// Returns a number that grows with each text that is new.
    pub(super) fn texts(&self) -> u64 {
        self.texts.load(Ordering::Acquire)
    }

    fn put<K: Eq + Hash>(
        &self,
        map: impl Fn(&mut Inner) -> &mut HashMap<K, Arc<Calls>>,
        key: K,
        calls: &Arc<Calls>,
    ) {
        let mut inner = self.lock();
        let map = map(&mut inner);
        if map.len() >= Self::MOST {
            map.clear();
        }
        if map.insert(key, Arc::clone(calls)).is_none() {
            self.texts.fetch_add(1, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
