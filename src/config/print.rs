//! Prints the settings in effect as a configuration file with masked secrets.

use super::read::{IDENTITY, of_identity};
use super::sections::IdentitySettings;
use super::settings::Settings;
use super::table::{fields, identity_fields};

impl Settings {
    /// Returns a configuration file with these settings. It holds no secret: passwords are masked,
    /// with a note where they come from.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let mut table = "";
        let mut has_identities = false;
        for field in fields() {
            if field.key.table() == IDENTITY {
                if !std::mem::replace(&mut has_identities, true) {
                    self.identities.iter().for_each(|identity| print(identity, &mut out));
                }
                continue;
            }
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

/// Prints the table of an identity.
fn print(identity: &IdentitySettings, out: &mut String) {
    out.push_str(&format!("\n[{}]\n", of_identity(&identity.name)));
    for line in identity_fields().iter().filter_map(|field| field.shown(identity)) {
        out.push_str(&line);
        out.push('\n');
    }
}
