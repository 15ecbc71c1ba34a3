//! Checks what a client's own script can do to the server.

use std::io;

use redoubt_core::resp::Reply;

use super::harmless;
use super::outcome::{Check, Outcome};
use super::wire::Target;

/// A script that does nothing; every script engine runs it.
const NOTHING: &str = "return 1";

/// Checks whether clients can run scripts that the operator has not listed. In every known server,
/// a script that raises a certain error ends the server; `policy.guard` cannot prevent that, as the
/// script calls no command.
pub(super) fn engine(target: &Target) -> Check {
    let (id, what) = ("script-engine", "scripts of clients' own");
    let runs = |name: &str| {
        let args = [name, NOTHING, "0"];
        let missing = |reply: &String| harmless::is_missing(&args, reply);
        target.ask(&args).map(|reply| !missing(&reply))
    };
    match runs("EVAL").and_then(|eval| Ok(eval || runs("EVAL_RO")?)) {
        Ok(false) => Check::new(id, true, what, "only listed scripts run"),
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

/// The known ways to end a server from a script.
#[derive(Debug, PartialEq)]
enum Danger {
    /// `error({})`.
    AnyError,
    /// Only an error with a metatable, whose fields raise another error when they are read.
    Metatable,
    /// This server was not tried.
    Unknown,
}

/// Returns what ended the servers that were tried: Redis 7.0.15, 7.4.1 and 8.0.2, Valkey 8.1.1 and
/// 9.1.2, and Redict 7.3.6.
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

/// Returns the server's name and version from its reply to `HELLO`.
fn version(target: &Target) -> io::Result<(String, String)> {
    let reply = target.login()?.ask_whole(&["HELLO", "2"])?;
    let Reply::Array(fields) = &reply else {
        return Err(io::Error::other("HELLO was not answered with an array"));
    };
    let (pairs, _) = fields.as_chunks::<2>();
    let field = |name: &[u8]| {
        pairs.iter().find_map(|[key, value]| match (key, value) {
            (Reply::BulkString(key), Reply::BulkString(value)) if key == name => {
                Some(String::from_utf8_lossy(value).into_owned())
            }
            _ => None,
        })
    };
    let fields = field(b"server").zip(field(b"version"));
    fields.ok_or_else(|| io::Error::other("HELLO was answered without a version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn danger_depends_on_server_and_version() {
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
