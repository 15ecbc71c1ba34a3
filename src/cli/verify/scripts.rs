//! Checks what a client's own script can do to the server.

use super::harmless;
use super::outcome::{Check, Outcome};
use super::version::{self, Server};
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
            let (server, danger) = match version::of(target) {
                Ok(server) => (server.to_string(), danger(&server)),
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
fn danger(server: &Server) -> Danger {
    let Some([major, minor, _]) = server.numbers() else { return Danger::Unknown };
    let is_up_to = |last| (major, minor) <= last;
    match server.name.as_str() {
        "redis" if is_up_to((8, 0)) => Danger::AnyError,
        "valkey" if is_up_to((8, 1)) => Danger::AnyError,
        "redict" if is_up_to((7, 3)) => Danger::AnyError,
        "valkey" if (major, minor) == (9, 1) => Danger::Metatable,
        _ => Danger::Unknown,
    }
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
            let server = Server { name: name.to_owned(), version: version.to_owned() };
            assert_eq!(danger(&server), wanted, "{server}");
        }
    }
}
