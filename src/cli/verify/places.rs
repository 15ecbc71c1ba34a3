//! Checks addresses where Redis, or any service, must not be reachable.

use std::io;

use redoubt::config::{Endpoint, Node};
use secrecy::ExposeSecret;

use super::commands::existing;
use super::harmless::{BLOCKED, ESCAPES, is_missing};
use super::outcome::{Check, Outcome, Section, shown};
use super::wire::{Target, Wire};

/// The addresses to check from this machine.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Addresses that must not be reachable.
    pub(crate) public: Vec<Endpoint>,
    /// The admin port, which must not be reachable at the hosts of `public`.
    pub(crate) admin_port: u16,
    /// The addresses of Redis itself, and whether they use TLS.
    pub(crate) direct: Vec<(Node, bool)>,
}

/// Checks all addresses.
pub(super) fn run(target: &Target, places: &Places) -> Section {
    let mut checks = Vec::new();
    if places.public.is_empty() {
        checks.push(not_checked("public", "public addresses", "--public"));
    }
    let connect = |id, endpoint: &Endpoint, what| closed(id, target, endpoint, what);
    checks.extend(places.public.iter().map(|place| connect("public", place, place.to_string())));
    checks.extend(admin(places).iter().map(|place| {
        let what = format!("the admin port at {place}");
        connect("admin", place, what)
    }));
    if places.direct.is_empty() {
        checks.push(not_checked("direct", "Redis without the proxy", "--direct"));
    }
    let direct = places.direct.iter();
    checks.extend(direct.map(|(place, encrypted)| bypass(place, *encrypted, target)));
    Section { title: "From here", checks }
}

/// Returns the addresses of the admin port, once for each host.
fn admin(places: &Places) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for Endpoint { host, .. } in &places.public {
        let admin = Endpoint { host: host.clone(), port: places.admin_port };
        if !found.contains(&admin) && !places.public.contains(&admin) {
            found.push(admin);
        }
    }
    found
}

/// Checks that `endpoint` is not reachable.
fn closed(id: &str, target: &Target, endpoint: &Endpoint, what: String) -> Check {
    match target.network.connect(&Node::Tcp(endpoint.clone())) {
        Ok(_) => Check::new(id, false, what, "connected"),
        Err(error) => unreachable(id, what, &error),
    }
}

/// Checks that Redis cannot be reached without the proxy, or at least does not accept the clients'
/// password.
fn bypass(node: &Node, encrypted: bool, target: &Target) -> Check {
    let what = format!("Redis at {node}");
    let open = || target.connect_to(node, encrypted);
    let mut wire = match open() {
        Ok(wire) => wire,
        Err(error) if matches!(node, Node::Unix(_)) => match error.kind() {
            io::ErrorKind::PermissionDenied => {
                return Check::new("direct", true, what, "permission denied");
            }
            io::ErrorKind::NotFound => {
                return Check::new("direct", true, what, "no such socket here");
            }
            _ => return unreachable("direct", what, &error),
        },
        Err(error) => return unreachable("direct", what, &error),
    };
    let ping = wire.ask(&["PING"]);
    let (holds, found) = match ping.as_deref() {
        Ok(reply) if reply.starts_with("-NOAUTH ") => password(&mut wire, target),
        Ok(reply) if reply.starts_with("-DENIED ") => {
            (true, "answers only its own machine (protected mode)".to_owned())
        }
        Ok("+PONG") => (false, without_password(open)),
        _ => (false, shown(&ping)),
    };
    Check::new("direct", holds, what, found)
}

/// Checks that a Redis which requires a password requires another than clients have.
fn password(wire: &mut Wire, target: &Target) -> (bool, String) {
    let Some(password) = &target.password else {
        return (true, "requires a password".to_owned());
    };
    match wire.auth(target.user.as_deref(), password.expose_secret()).as_deref() {
        Ok("-WRONGPASS") => (true, "requires a password of its own".to_owned()),
        Ok("+OK") => (false, "accepts the clients' password".to_owned()),
        Ok(other) => (false, format!("AUTH is answered {other}")),
        Err(_) => (false, "AUTH is not answered".to_owned()),
    }
}

/// Describes how much a Redis without a password allows.
fn without_password(open: impl Fn() -> io::Result<Wire>) -> String {
    let commands = [&BLOCKED[..], &ESCAPES[..]].concat();
    match existing(&commands, open, is_missing).map(|existing| existing.names) {
        Ok(names) if names.is_empty() => {
            "requires no password; blocked commands do not exist there".to_owned()
        }
        Ok(names) if names.len() > BLOCKED.len() => {
            format!("wide open: no password, and {} dangerous commands", names.len())
        }
        Ok(names) => format!("requires no password, and has {}", names.join(", ")),
        Err((name, error)) => {
            format!("requires no password; {name}: {}", shown(&Err(error)))
        }
    }
}

/// Refused and timed out both mean unreachable; a name without an address proves nothing.
fn unreachable(id: &str, what: String, error: &io::Error) -> Check {
    let (holds, found) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (true, "refused".to_owned()),
        io::ErrorKind::TimedOut => (true, "timed out".to_owned()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (true, "unreachable".to_owned())
        }
        _ => (false, error.to_string()),
    };
    Check::new(id, holds, what, found)
}

fn not_checked(id: &str, what: &str, option: &str) -> Check {
    Check::with(id, Outcome::NotChecked, what, format!("not checked; give {option}"))
}
