//! Finds which keys have changed: those that a reload puts in force, and those that need a restart.

use std::sync::LazyLock;

use crate::config::{self, IdentitySettings, Key, Reload, Settings};

/// The keys that a reload puts in force. A user or password in `upstream.url` counts as
/// `upstream.user` or `upstream.password`.
pub static LIVE: LazyLock<Vec<&'static Key>> = LazyLock::new(|| with(Reload::Live));

/// The keys that need a restart.
pub static RESTART: LazyLock<Vec<&'static Key>> = LazyLock::new(|| with(Reload::Restart));

fn with(reload: Reload) -> Vec<&'static Key> {
    let keys = config::fields().iter().map(|field| &field.key);
    keys.filter(|key| key.reload == reload).collect()
}

/// The keys that have changed, in the order of the documentation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keys that a reload puts in force.
    pub changed: Vec<String>,
    /// Keys that need a restart.
    pub needs_restart: Vec<String>,
}

impl Difference {
    /// Compares `new` with `old`. Returns the difference, and the new settings with the old values
    /// of the keys that need a restart. Passwords are compared too; no value is shown.
    pub fn take(old: &Settings, mut new: Settings) -> (Self, Settings) {
        let mut found = Self::default();
        for field in config::fields().iter().filter(|field| field.differs(old, &new)) {
            match field.key.reload {
                Reload::Live if field.key.table() == config::IDENTITY => {}
                Reload::Live => found.changed.push(field.key.name.to_owned()),
                Reload::Restart => found.needs_restart.push(field.key.name.to_owned()),
            }
        }
        found.changed.extend(changed_identities(old, &new));
        config::fields().iter().for_each(|field| field.keep(&mut new, old));
        (found, new)
    }
}

/// Returns the keys of identities that differ, and the tables of identities that only one of both has.
fn changed_identities(old: &Settings, new: &Settings) -> Vec<String> {
    let fields = config::identity_fields();
    let named = |all: &'_ Settings, name: &str| {
        all.identities.iter().find(|identity| identity.name == name).cloned()
    };
    let table = |identity: &IdentitySettings| config::of_identity(&identity.name);
    let mut changed = Vec::new();
    for identity in &new.identities {
        match named(old, &identity.name) {
            None => changed.push(table(identity)),
            Some(before) => {
                let differ = fields.iter().filter(|field| field.differs(&before, identity));
                changed.extend(
                    differ.map(|field| format!("{}.{}", table(identity), field.key.short())),
                );
            }
        }
    }
    let gone = old.identities.iter().filter(|identity| named(new, &identity.name).is_none());
    changed.extend(gone.map(table));
    changed
}
