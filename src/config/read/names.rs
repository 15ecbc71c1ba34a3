//! The names that a file may hold, and what a wrong one was probably meant to be.

use strsim::levenshtein;

use super::super::declare::Key;

/// The keys and tables that a file may hold.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) keys: &'a [&'a Key],
    pub(crate) tables: &'a [&'a str],
}

impl<'a> Names<'a> {
    /// The key of this full name.
    pub(super) fn key(&self, name: &str) -> Option<&'a Key> {
        self.keys.iter().copied().find(|key| key.name == name)
    }

    /// The table of this name.
    pub(super) fn table(&self, name: &str) -> Option<&'a str> {
        self.tables.iter().copied().find(|table| *table == name)
    }

    /// Returns what to write instead of `name`, which is no key and no table.
    pub(super) fn suggestion(&self, name: &str) -> String {
        let Some(meant) = self.meant(name) else {
            return "config/redoubt.toml documents all there are".to_owned();
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

    /// The key or table that `name` was probably meant to be.
    ///
    /// A name that belongs to another table comes first, as a forgotten `[table]` line is the likeliest
    /// mistake; then the name with the fewest letters changed, up to a third of them.
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
