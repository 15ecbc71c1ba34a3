//! The settings in effect, written as a configuration file with its secrets masked.

use super::settings::Settings;
use super::table::fields;

impl Settings {
    /// A configuration file that says what these settings say. No secret is in it: passwords are
    /// masked, with a note of where they come from.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut table = "";
        for field in fields() {
            let Some(line) = field.shown(self) else { continue };
            if field.key.table() != table {
                table = field.key.table();
                out.push_str(&format!("\n[{table}]\n"));
            }
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}
