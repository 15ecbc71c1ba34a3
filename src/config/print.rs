//! Prints the settings in effect as a configuration file with masked secrets.

use super::settings::Settings;
use super::table::fields;

impl Settings {
    /// Returns a configuration file with these settings. It holds no secret: passwords are masked,
    /// with a note where they come from.
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
