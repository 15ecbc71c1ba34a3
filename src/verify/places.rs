//! Addresses at which Redis, or anything, must not be reached.

use std::io;
use std::time::Duration;

use redoubt::config::Endpoint;

use super::outcome::{Check, Outcome};
use super::wire::{self, Target, Wire, told};

/// That nobody gets through to `addresses`.
pub(super) fn public(addresses: &[Endpoint], timeout: Duration) -> Vec<Check> {
    if addresses.is_empty() {
        return vec![not_checked("public", "public address", "--public")];
    }
    let one = |address| {
        let what = format!("connecting to {address}");
        match wire::connect(address, timeout) {
            Ok(_) => Check::new("public", false, what, "connected"),
            Err(error) => unreachable("public", what, &error),
        }
    };
    addresses.iter().map(one).collect()
}

/// That Redis cannot be reached round the proxy, or at least not as its clients.
pub(super) fn direct(addresses: &[Endpoint], target: &Target) -> Vec<Check> {
    if addresses.is_empty() {
        return vec![not_checked("direct", "Redis round the proxy", "--direct")];
    }
    addresses.iter().map(|address| round(address, target)).collect()
}

fn round(address: &Endpoint, target: &Target) -> Check {
    let what = format!("Redis at {address}");
    let mut wire = match Wire::open(address, target.timeout) {
        Ok(wire) => wire,
        Err(error) => return unreachable("direct", what, &error),
    };
    let ping = wire.ask(&["PING"]);
    if !ping.as_ref().is_ok_and(|reply| reply.starts_with("-NOAUTH ")) {
        return Check::new("direct", false, what, told(&ping));
    }
    match wire.auth(target).as_deref() {
        Ok("-WRONGPASS") => Check::new("direct", true, what, "answers, with a password of its own"),
        Ok("+OK") => Check::new("direct", false, what, "takes the clients' password"),
        Ok(other) => Check::new("direct", false, what, format!("AUTH is answered {other}")),
        Err(_) => Check::new("direct", false, what, "AUTH is not answered"),
    }
}

/// Refused and timed out are as good as each other; a name without an address proves nothing.
fn unreachable(id: &str, what: String, error: &io::Error) -> Check {
    let (holds, found) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (true, "refused".to_owned()),
        _ if wire::is_timeout(error) => (true, "timed out".to_owned()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (true, "unreachable".to_owned())
        }
        _ => (false, error.to_string()),
    };
    Check::new(id, holds, what, found)
}

fn not_checked(id: &str, what: &str, option: &str) -> Check {
    let found = format!("not checked; give {option}");
    Check { outcome: Outcome::NotChecked, ..Check::new(id, true, what, found) }
}
