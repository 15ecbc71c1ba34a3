//! What a script of a client's own can do to the server itself.

use std::io;

use redoubt_core::resp::Reply;

use super::harmless;
use super::outcome::{Check, Outcome};
use super::wire::Target;

/// Runs whatever the script engine is: it does nothing.
const NOTHING: &str = "return 1";

/// Returns whether clients can run scripts that nobody has looked at. The engine of every server that is known
/// ends the server when a script raises an error of a certain form; `policy.guard` cannot keep it from
/// that, as nothing is called.
pub(super) fn engine(target: &Target) -> Check {
    let (id, what) = ("script-engine", "scripts of clients' own");
    let runs = |name: &str| {
        let args = [name, NOTHING, "0"];
        let missing = |reply: &String| harmless::is_missing(&args, reply);
        target.ask(&args).map(|reply| !missing(&reply))
    };
    match runs("EVAL").and_then(|eval| Ok(eval || runs("EVAL_RO")?)) {
        Ok(false) => Check::new(id, true, what, "none runs that is not listed"),
        Ok(true) => {
            let (server, danger) = match version(target) {
                Ok((name, version)) => (format!("{name} {version}"), danger(&name, &version)),
                Err(_) => ("this server".to_owned(), Danger::Unknown),
            };
            let found = match danger {
                Danger::AnyError => format!("run, and error({{}}) in one ends {server}"),
                Danger::Metatable => {
                    format!("run, and an error() with a metatable in one ends {server}")
                }
                Danger::Unknown => format!("run, and one may be able to end {server}"),
            };
            let advice = "policy.scripts = \"pinned\" runs only those that you have listed";
            Check::with(id, Outcome::Warns, what, format!("{found}: {advice}"))
        }
        Err(error) => Check::with(id, Outcome::NotChecked, what, error.to_string()),
    }
}

/// What is known to end a server.
#[derive(Debug, PartialEq)]
enum Danger {
    /// `error({})`.
    AnyError,
    /// Only an error whose fields cannot be read without another one.
    Metatable,
    /// It was not tried.
    Unknown,
}

/// By what was tried, with Redis 7.0.15, 7.4.1 and 8.0.2, Valkey 8.1.1 and 9.1.2, and Redict 7.3.6.
fn danger(name: &str, version: &str) -> Danger {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Danger::Unknown;
    };
    let is_up_to = |last| (major, minor) <= last;
    match name {
        "redis" if is_up_to((8, 0)) => Danger::AnyError,
        "valkey" if is_up_to((8, 1)) => Danger::AnyError,
        "redict" if is_up_to((7, 3)) => Danger::AnyError,
        "valkey" if (major, minor) == (9, 1) => Danger::Metatable,
        _ => Danger::Unknown,
    }
}

/// The server's name and version, by its `HELLO`.
fn version(target: &Target) -> io::Result<(String, String)> {
    let reply = target.login()?.ask_whole(&["HELLO", "2"])?;
    let Reply::Array(fields) = &reply else { return Err(io::Error::other("no HELLO")) };
    let (pairs, _) = fields.as_chunks::<2>();
    let field = |name: &[u8]| {
        pairs.iter().find_map(|[key, value]| match (key, value) {
            (Reply::BulkString(key), Reply::BulkString(value)) if key == name => {
                Some(String::from_utf8_lossy(value).into_owned())
            }
            _ => None,
        })
    };
    let told = field(b"server").zip(field(b"version"));
    told.ok_or_else(|| io::Error::other("another HELLO"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_told_by_version() {
        for (name, version, wanted) in [
            ("redis", "7.0.15", Danger::AnyError),
            ("redis", "8.0.6", Danger::AnyError),
            ("redis", "8.4.0", Danger::Unknown),
            ("valkey", "8.1.1", Danger::AnyError),
            ("valkey", "9.1.2", Danger::Metatable),
            ("valkey", "10.0.0", Danger::Unknown),
            ("redict", "7.3.6", Danger::AnyError),
            ("dragonfly", "1.0.0", Danger::Unknown),
            ("redis", "nonsense", Danger::Unknown),
        ] {
            assert_eq!(danger(name, version), wanted, "{name} {version}");
        }
    }
}
