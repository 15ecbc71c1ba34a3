//! The identities of the configuration, with the ids that tell them apart while the process lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{IdentitySettings, Settings};
use redoubt_core::auth::IdentityId;

/// An identity of the configuration other than that of `[client]`, which is [`IdentityId::FIRST`].
#[derive(Debug, Clone)]
pub(crate) struct KnownIdentity {
    pub(crate) id: IdentityId,
    pub(crate) settings: IdentitySettings,
}

/// The identities of a configuration, in its order.
pub(crate) type KnownIdentities = Arc<[KnownIdentity]>;

/// Gives each name an id, for as long as the process lives.
#[derive(Debug, Default)]
pub(crate) struct IdentityIds {
    ids: BTreeMap<String, IdentityId>,
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
            Ok(KnownIdentity { id, settings: settings.clone() })
        });
        known.collect()
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
