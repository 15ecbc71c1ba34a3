//! A changed configuration takes effect without a restart.

mod asked;
mod fails;
mod guard;
mod keys;
mod limits;
mod live;
mod passwords;
mod scripts;
mod throttle;
mod upstream;

use support::{Redoubt, lines};

/// Puts `value` in force for `key`, and checks the log line about it. Returns how many sessions were
/// closed because of it.
fn change(redoubt: &mut Redoubt, key: &str, value: &str) -> u64 {
    redoubt.write(key, Some(value));
    reloaded(redoubt, key, "")
}

/// Sends SIGHUP and checks the log line. Returns how many sessions were closed because of the reload.
fn reloaded(redoubt: &Redoubt, changed: &str, needs_restart: &str) -> u64 {
    let line = redoubt.reload();
    assert_eq!(lines::field(&line, "message"), Some("configuration reloaded"), "{line}");
    assert_eq!(lines::field(&line, "changed"), Some(changed), "{line}");
    assert_eq!(lines::field(&line, "needs_restart"), Some(needs_restart), "{line}");
    let (_, closed) = line.split_once("\"closed_sessions\":").expect("a count");
    let digits = closed.find(|c: char| !c.is_ascii_digit()).unwrap_or(closed.len());
    closed[..digits].parse().expect("a number")
}

/// Returns `text` as TOML writes it.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
