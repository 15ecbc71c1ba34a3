//! `[client]`: the user name and passwords that clients log in with.

use std::path::PathBuf;
use std::time::SystemTime;

use secrecy::SecretString;

use super::super::declare::{Access, Form, given, quoted, settings};
use super::super::secrets::{MASK, Origin, PreviousPassword, Secret, is_in_file, is_in_text};
use super::values::{password, password_file, user};

settings! {
    /// The user name and passwords that clients log in with.
    #[derive(Debug, Clone)]
    pub struct ClientSettings in "client" {
        /// The user name for HELLO and for AUTH with two arguments, 1 to 256 characters without spaces.
        /// Without it, the name is "default", and AUTH with the password alone is enough.
        user: Option<String> = user().optional(r#""app""#).note("no user name").live();
    }
    from ClientKeys with ClientParts {
        /// The password that clients must give; the upstream's if none was configured for clients.
        password: SecretString,
        /// Where the password was found.
        password_origin: Origin,
        /// A second password that clients may use until a given time.
        previous: Option<PreviousPassword>,
    }
}

given! {
    /// The passwords that clients may use.
    struct ClientPasswords of ClientSettings in "client" {
        /// The password of clients, at least 32 characters and at most 4096 bytes. It is better kept in a file
        /// or in the environment. Make one with: openssl rand -hex 32
        ///
        /// Give only one of `password` and `password_file`. Where neither is given, clients use the password
        /// of the upstream, with a warning.
        password: SecretString =
            password().optional(r#""…""#).variable("REDOUBT_PASSWORD").live(),
            Access::compared(|old, new| is_in_text(current(old), current(new)))
                .shown(|client| Some(masked("password", &client.password_origin)));

        /// A file that holds the password of clients. One line break at its end is ignored. A changed file is
        /// read within a second, and sessions of the old password are closed.
        password_file: PathBuf = password_file()
            .optional(r#""/run/secrets/redoubt_password""#)
            .variable("REDOUBT_PASSWORD_FILE")
            .live(),
            Access::compared(|old, new| is_in_file(current(old), current(new)));

        /// A second password that clients may use until `previous_until`. With the old password here, clients
        /// can change to the new one one after another.
        previous_password: SecretString = password()
            .optional(r#""…""#)
            .variable("REDOUBT_PREVIOUS_PASSWORD")
            .live(),
            Access::compared(|old, new| is_in_text(previous(old), previous(new))).shown(|client| {
                Some(masked("previous_password", &client.previous.as_ref()?.origin))
            });

        /// A file that holds the second password. Give only one of `previous_password` and
        /// `previous_password_file`.
        previous_password_file: PathBuf = password_file()
            .optional(r#""/run/secrets/redoubt_previous_password""#)
            .variable("REDOUBT_PREVIOUS_PASSWORD_FILE")
            .live(),
            Access::compared(|old, new| is_in_file(previous(old), previous(new)));

        /// The time in UTC at which the second password ends; its sessions are then closed. Needed with a
        /// second password.
        previous_until: SystemTime = utc()
            .optional(r#""2030-01-31T12:00:00Z""#)
            .variable("REDOUBT_PREVIOUS_UNTIL")
            .live(),
            Access::of(until).shown(|client| {
                let until = humantime::format_rfc3339(until(client)?).to_string();
                Some(format!("previous_until = {}", quoted(&until)))
            });
    }
}

fn current(client: &ClientSettings) -> Secret<'_> {
    Secret { password: Some(&client.password), origin: Some(&client.password_origin) }
}

fn previous(client: &ClientSettings) -> Secret<'_> {
    let previous = client.previous.as_ref();
    Secret {
        password: previous.map(|given| &given.password),
        origin: previous.map(|given| &given.origin),
    }
}

fn until(client: &ClientSettings) -> Option<SystemTime> {
    client.previous.as_ref().map(|previous| previous.until)
}

/// Returns the line that stands for a password, with where it was found.
pub(super) fn masked(key: &str, origin: &Origin) -> String {
    format!("{key} = {} # {origin}", quoted(MASK))
}

pub(super) fn utc() -> Form<SystemTime> {
    let expects = "a time in UTC such as 2030-01-31T12:00:00Z, in quotes";
    let parse = |text: &str| humantime::parse_rfc3339(text).ok();
    Form::text(expects, parse, |time| humantime::format_rfc3339(*time).to_string())
}
