//! The names that a configuration file may hold, and suggestions for unknown names.

use std::borrow::Cow;

use strsim::levenshtein;

use super::super::declare::Key;

/// The table of all identities.
pub(crate) const IDENTITIES: &str = "identities";
/// What the table of one identity is called in declarations.
pub(crate) const IDENTITY: &str = "identities.NAME";
/// What stands for the name of an identity in the declared name of an environment variable.
pub(super) const VARIABLE_NAME: &str = "<NAME>";
/// Most characters of the name of an identity.
const MOST_NAME: usize = 64;

/// Returns the name of the table of the identity called `name`.
pub(crate) fn of_identity(name: &str) -> String {
    format!("{IDENTITIES}.{name}")
}

/// Returns whether an identity may be called `name`.
pub(super) fn is_identity(name: &str) -> bool {
    (1..=MOST_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns the declared name of the key or table that a file calls `path`.
pub(super) fn declared(path: &str) -> Cow<'_, str> {
    let inner = path.strip_prefix(IDENTITIES).and_then(|rest| rest.strip_prefix('.'));
    match inner.map(|inner| inner.split_once('.')) {
        Some(Some((_, key))) => format!("{IDENTITY}.{key}").into(),
        Some(None) => IDENTITY.into(),
        None => path.into(),
    }
}

/// The keys and tables that a file may hold.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) keys: &'a [&'a Key],
    pub(crate) tables: &'a [&'a str],
}

impl<'a> Names<'a> {
    /// Returns the key with this full name.
    pub(super) fn key(&self, name: &str) -> Option<&'a Key> {
        self.keys.iter().copied().find(|key| key.name == name)
    }

    /// Returns the table with this name.
    pub(super) fn table(&self, name: &str) -> Option<&'a str> {
        self.tables.iter().copied().chain([IDENTITIES]).find(|table| *table == name)
    }

    /// Returns what to write instead of `name`, which is neither a key nor a table.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let Some(meant) = self.meant(&declared(name)) else {
            return "config/redoubt.toml documents all keys".to_owned();
        };
        let Some(key) = self.key(meant) else {
            return format!("did you mean [{meant}]?");
        };
        let (short, example) = (key.short(), &key.example);
        match key.table() {
            "" => {
                format!("did you mean {short} = {example} at the top, above the first [table]?")
            }
            table => format!("did you mean {short} = {example} under [{table}]?"),
        }
    }

    /// Returns the key or table that `name` was probably meant to be.
    ///
    /// A name that belongs to another table comes first, as a forgotten `[table]` line is the
    /// likeliest mistake; then the name with the fewest changed letters, up to a third of the
    /// letters.
    pub(crate) fn meant(&self, name: &str) -> Option<&'a str> {
        let short = name.rsplit('.').next().unwrap_or(name);
        // Keys of an identity are meant only in the table of one.
        let is_identity = name.starts_with(IDENTITY);
        let keys = self.keys.iter().filter(|key| is_identity || key.table() != IDENTITY);
        if let Some(key) = keys.clone().find(|key| key.short() == short) {
            return Some(key.name);
        }
        let keys = keys.flat_map(|key| [(key.name, key.name), (key.name, key.short())]);
        keys.chain(self.tables.iter().map(|table| (*table, *table)))
            .map(|(meant, spelling)| {
                let given = if spelling.contains('.') { name } else { short };
                (meant, levenshtein(given, spelling), spelling.len() / 3)
            })
            .filter(|(_, changes, most)| changes <= most)
            .min_by_key(|(_, changes, _)| *changes)
            .map(|(meant, ..)| meant)
    }
}
