//! Addresses at which Redis, or anything, must not be reached.

use std::io;

use redoubt::config::Endpoint;
use secrecy::ExposeSecret;

use super::commands::existing;
use super::harmless::{BLOCKED, ESCAPES};
use super::outcome::{Check, Outcome, Section, told};
use super::wire::{Target, Wire};

/// What to look at from here.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Addresses at which nobody must get through.
    pub(crate) public: Vec<Endpoint>,
    /// The admin port, which must not be there at the hosts of these.
    pub(crate) admin_port: u16,
    /// Where Redis itself is, and whether it speaks TLS there.
    pub(crate) direct: Vec<(Endpoint, bool)>,
}

/// Tries them all.
pub(super) fn run(target: &Target, places: &Places) -> Section {
    let mut checks = Vec::new();
    if places.public.is_empty() {
        checks.push(not_checked("public", "public addresses", "--public"));
    }
    let connect = |id, endpoint: &Endpoint, what| closed(id, target, endpoint, what);
    checks.extend(places.public.iter().map(|place| connect("public", place, place.to_string())));
    checks.extend(admin(places).iter().map(|place| {
        let what = format!("{place}, the admin port");
        connect("admin", place, what)
    }));
    if places.direct.is_empty() {
        checks.push(not_checked("direct", "Redis round the proxy", "--direct"));
    }
    let direct = places.direct.iter();
    checks.extend(direct.map(|(place, encrypted)| round(place, *encrypted, target)));
    Section { title: "From here", checks }
}

/// Returns where the admin port would be, once for each host.
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

/// That nobody gets through to `endpoint`.
fn closed(id: &str, target: &Target, endpoint: &Endpoint, what: String) -> Check {
    match target.network.connect(endpoint) {
        Ok(_) => Check::new(id, false, what, "connected"),
        Err(error) => unreachable(id, what, &error),
    }
}

/// That Redis cannot be reached round the proxy, or at least not as its clients.
fn round(endpoint: &Endpoint, encrypted: bool, target: &Target) -> Check {
    let what = format!("Redis at {endpoint}");
    let open = || target.connect_to(endpoint, encrypted);
    let mut wire = match open() {
        Ok(wire) => wire,
        Err(error) => return unreachable("direct", what, &error),
    };
    let ping = wire.ask(&["PING"]);
    let (holds, found) = match ping.as_deref() {
        Ok(reply) if reply.starts_with("-NOAUTH ") => password(&mut wire, target),
        Ok(reply) if reply.starts_with("-DENIED ") => {
            (true, "answers nobody but its own machine (protected mode)".to_owned())
        }
        Ok("+PONG") => (false, without_password(open)),
        _ => (false, told(&ping)),
    };
    Check::new("direct", holds, what, found)
}

/// Returns whether a Redis that asks for a password asks for another than clients have.
fn password(wire: &mut Wire, target: &Target) -> (bool, String) {
    let Some(password) = &target.password else {
        return (true, "asks for a password".to_owned());
    };
    match wire.auth(target.user.as_deref(), password.expose_secret()).as_deref() {
        Ok("-WRONGPASS") => (true, "answers, with a password of its own".to_owned()),
        Ok("+OK") => (false, "takes the clients' password".to_owned()),
        Ok(other) => (false, format!("AUTH is answered {other}")),
        Err(_) => (false, "AUTH is not answered".to_owned()),
    }
}

/// How far a Redis without a password is open.
fn without_password(open: impl Fn() -> io::Result<Wire>) -> String {
    let commands = [&BLOCKED[..], &ESCAPES[..]].concat();
    match existing(&commands, open) {
        Ok(names) if names.is_empty() => {
            "asks for no password; what would be blocked does not exist there".to_owned()
        }
        Ok(names) if names.len() > BLOCKED.len() => {
            format!("wide open: no password, and {} dangerous commands", names.len())
        }
        Ok(names) => format!("asks for no password, and has {}", names.join(", ")),
        Err((name, error)) => {
            format!("asks for no password; {name}: {}", told(&Err(error)))
        }
    }
}

/// Refused and timed out are as good as each other; a name without an address proves nothing.
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
