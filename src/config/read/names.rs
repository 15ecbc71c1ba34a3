//! The names that a configuration file may hold, and suggestions for unknown names.

use strsim::levenshtein;

use super::super::declare::Key;

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
        self.tables.iter().copied().find(|table| *table == name)
    }

    /// Returns what to write instead of `name`, which is neither a key nor a table.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let Some(meant) = self.meant(name) else {
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
        if let Some(key) = self.keys.iter().find(|key| key.short() == short) {
            return Some(key.name);
        }
        let keys = self.keys.iter().flat_map(|key| [(key.name, key.name), (key.name, key.short())]);
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
