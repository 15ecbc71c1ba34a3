//! Checks what a client can do before it authenticates, and how well passwords are protected.

use std::io;

use redoubt::config::Settings;
use secrecy::ExposeSecret;

use super::outcome::{Check, Outcome, Section, shown};
use super::wire::Target;

/// A wrong password: shorter than the 32 characters that Redoubt requires, so it is never a real
/// password.
const WRONG: &str = "redoubt-verify-wrong-password";

/// Runs the checks, each on a connection of its own.
pub(super) fn run(target: &Target) -> Section {
    let noauth = |reply: &str| reply.starts_with("-NOAUTH ");
    let ask = |args: &[&str]| target.connect().and_then(|mut wire| wire.ask(args));
    let reset = target.connect().and_then(|mut wire| {
        wire.ask(&["RESET"])?;
        wire.ask(&["PING"])
    });
    let wrong = match &target.user {
        Some(user) => ask(&["AUTH", user, WRONG]),
        None => ask(&["AUTH", WRONG]),
    };
    let checks = vec![
        no_password(&ask(&["PING"])),
        Check::replied("reset", "PING after RESET", &reset, noauth),
        // Redis before 6 has no HELLO.
        Check::replied("hello", "HELLO", &ask(&["HELLO", "3"]), |reply| {
            noauth(reply) || reply.starts_with("-ERR unknown command ")
        }),
        // Redis before 6 has no users, and its error differs.
        Check::replied("wrong-password", "AUTH with a wrong password", &wrong, |reply| {
            reply.starts_with("-WRONGPASS ") || reply == "-ERR invalid password"
        }),
    ];
    Section { title: "Without the password", checks }
}

fn no_password(reply: &io::Result<String>) -> Check {
    let check = Check::replied("no-password", "PING", reply, |reply| reply.starts_with("-NOAUTH "));
    match reply.as_deref() {
        Ok("+PONG") => Check { found: "+PONG: no password is required".to_owned(), ..check },
        _ => check,
    }
}

/// Runs the checks of the password.
pub(super) fn password(target: &Target) -> Section {
    let ping = Check::replied("ping", "PING", &target.ask(&["PING"]), |reply| reply == "+PONG");
    Section { title: "With the password", checks: vec![ping, length(target), transport(target)] }
}

fn length(target: &Target) -> Check {
    let (id, what, least) =
        ("password-length", "length of the password", Settings::STRONG_PASSWORD);
    let Some(password) = &target.password else {
        return Check::with(id, Outcome::NotChecked, what, "no password was given");
    };
    let is_long = password.expose_secret().chars().count() >= least;
    let found = if is_long { "at least" } else { "fewer than" };
    Check::new(id, is_long, what, format!("{found} {least} characters"))
}

/// Checks that an attacker on the network cannot read the traffic.
fn transport(target: &Target) -> Check {
    let (outcome, found) = match target.connect() {
        Ok(wire) if wire.tls().is_some() => (Outcome::Holds, "in TLS".to_owned()),
        Ok(wire) if wire.is_unix() => (Outcome::Holds, "a Unix socket".to_owned()),
        Ok(wire) if wire.is_local() => (Outcome::Holds, "plain, over loopback".to_owned()),
        Ok(_) => {
            let found = "plain text: an attacker on the network can read the password and all data";
            (Outcome::Warns, found.to_owned())
        }
        Err(error) => (Outcome::Fails, shown(&Err(error))),
    };
    Check::with("transport", outcome, "encryption of the connection", found)
}
