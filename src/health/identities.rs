//! What the sessions of each identity use, for metrics and `/stats`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use redoubt_core::session::{IdentityCounts, IdentityUsage};

/// What the sessions of each user name use that a configuration of this process has given. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdentityUsages(Arc<RwLock<BTreeMap<String, Arc<IdentityUsage>>>>);

impl IdentityUsages {
    /// Returns what the sessions of the user called `name` use.
    pub(crate) fn of(&self, name: &str) -> Arc<IdentityUsage> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_default())
    }

    /// Returns the counts of each name.
    pub(crate) fn counts(&self) -> Vec<(String, IdentityCounts)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, usage)| (name.clone(), usage.counts())).collect()
    }
}
