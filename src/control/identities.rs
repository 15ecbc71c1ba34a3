//! The identities of the configuration, with the ids that tell them apart while the process lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{IdentitySettings, Settings};
use crate::health::identities::IdentityUsages;
use redoubt_core::auth::{DEFAULT_USER, IdentityId};
use redoubt_core::session::IdentityUsage;

/// An identity of the configuration other than that of `[client]`, which is [`IdentityId::FIRST`].
#[derive(Debug, Clone)]
pub(crate) struct KnownIdentity {
    pub(crate) id: IdentityId,
    /// What its sessions use, before and after reloads.
    pub(crate) usage: Arc<IdentityUsage>,
    pub(crate) settings: IdentitySettings,
}

/// The identities of a configuration, in its order.
pub(crate) type KnownIdentities = Arc<[KnownIdentity]>;

/// Gives each name an id, for as long as the process lives.
#[derive(Debug, Default)]
pub(crate) struct IdentityIds {
    ids: BTreeMap<String, IdentityId>,
    usages: IdentityUsages,
}

/// There have been more names of identities than a process can tell apart.
#[derive(Debug, thiserror::Error)]
#[error("too many identities have been added by reloads; restart Redoubt")]
pub(crate) struct TooManyNames;

impl IdentityIds {
    /// Returns the identities of `settings`.
    ///
    /// # Errors
    /// [`TooManyNames`]
    pub(crate) fn known(&mut self, settings: &Settings) -> Result<KnownIdentities, TooManyNames> {
        let known = settings.identities.iter().map(|settings| {
            let id = self.id(&settings.name)?;
            let usage = self.usages.of(&settings.name);
            Ok(KnownIdentity { id, usage, settings: settings.clone() })
        });
        known.collect()
    }

    /// Returns what the sessions of the identity of `[client]` use.
    pub(crate) fn first_usage(&self, settings: &Settings) -> Arc<IdentityUsage> {
        let Some(client) = &settings.client else { return Arc::default() };
        self.usages.of(client.user.as_deref().unwrap_or(DEFAULT_USER))
    }

    /// Returns what the sessions of all identities use.
    pub(crate) fn usages(&self) -> IdentityUsages {
        self.usages.clone()
    }

    fn id(&mut self, name: &str) -> Result<IdentityId, TooManyNames> {
        if let Some(id) = self.ids.get(name) {
            return Ok(*id);
        }
        // The first id is that of `[client]`.
        let number = u16::try_from(self.ids.len().saturating_add(1)).map_err(|_| TooManyNames)?;
        let id = IdentityId::new(number).ok_or(TooManyNames)?;
        self.ids.insert(name.to_owned(), id);
        Ok(id)
    }
}
