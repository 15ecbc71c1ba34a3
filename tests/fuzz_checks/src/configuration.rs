//! Checks of configuration files: any text is accepted or rejected, and no output shows a secret in it.
//!
//! The first byte selects the environment; the rest is the file, in which `CANARY` stands for a secret.

use std::ffi::OsString;
use std::path::Path;

use redoubt::config::{Environment, Settings};

/// The secret that replaces `CANARY`.
const SECRET: &str = "canary-7f3a9c51d2e84b60a1c9f7e35d";
const REDIS_PASSWORD: &str = "of-the-upstream-91c4e7a2b5d80f36e9a7c4b12f";
const CLIENT_PASSWORD: &str = "of-the-clients-2b5d80f36e9a7c4b12f91c4e7a";

/// Panics if a text makes the parser panic, or if an error or a printed setting shows a secret.
pub fn check(data: &[u8]) {
    let [mode, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    // The content of a file that the input names is not part of the input.
    if text.contains("_file") {
        return;
    }
    let text = text.replace("CANARY", SECRET);
    let environment = Environment::from_lookup(|name| {
        let value = match name {
            "REDIS_PASSWORD" if mode & 1 != 0 => REDIS_PASSWORD,
            "REDOUBT_PASSWORD" if mode & 2 != 0 => CLIENT_PASSWORD,
            "REDOUBT_UPSTREAM" if mode & 4 != 0 => "redis://redis.example:6379",
            "REDOUBT_LISTEN" if mode & 8 != 0 => SECRET,
            _ => return None,
        };
        Some(OsString::from(value))
    });
    let path = Path::new("redoubt.toml");
    match Settings::parse(path, &text, &environment) {
        Err(error) => {
            let shown = format!("{error} {error:?}");
            // An error may name an unknown key if it is shorter than a strong password.
            let key = error.key().filter(|key| key.len() < Settings::STRONG_PASSWORD);
            let beside = key.map_or(shown.clone(), |key| shown.replace(key, ""));
            assert!(!beside.contains("canary"), "an error shows the text");
            assert!(!shown.contains("of-the-"), "an error shows the environment");
            assert!(shown.len() < 4096, "an error without a bound");
            assert!(error.line().is_none_or(|line| line <= text.lines().count().max(1)));
            let again = Settings::parse(path, &text, &environment);
            assert_eq!(again.err(), Some(error), "the same text gives another error");
        }
        Ok(settings) => {
            let shown = format!("{settings:?} {} {:?}", settings.to_toml(), settings.warnings);
            assert!(!shown.contains("of-the-"), "the settings show a password");
            let password = format!("password = \"{SECRET}");
            assert!(!shown.contains(&password), "the settings show a password");
        }
    }
}
