//! Checks of what a client sees before it authenticates, and of how well passwords are guarded.

use std::io;

use redoubt::config::Settings;
use secrecy::ExposeSecret;

use super::outcome::{Check, Outcome, Section, told};
use super::wire::Target;

/// A wrong password: shorter than the 32 characters that Redoubt asks for, so that it is no real one.
const WRONG: &str = "redoubt-verify-wrong-password";

/// Makes the checks, each on a connection of its own.
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
        // Redis before 6 knows no users and says it with other words.
        Check::replied("wrong-password", "AUTH with a wrong password", &wrong, |reply| {
            reply.starts_with("-WRONGPASS ") || reply == "-ERR invalid password"
        }),
    ];
    Section { title: "Without the password", checks }
}

fn no_password(reply: &io::Result<String>) -> Check {
    let check = Check::replied("no-password", "PING", reply, |reply| reply.starts_with("-NOAUTH "));
    match reply.as_deref() {
        Ok("+PONG") => Check { found: "+PONG: no password is asked for".to_owned(), ..check },
        _ => check,
    }
}

/// Makes the checks of the password.
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

/// Returns whether somebody on the way could read along.
fn transport(target: &Target) -> Check {
    let (outcome, found) = match target.connect() {
        Ok(wire) if wire.tls().is_some() => (Outcome::Holds, "in TLS".to_owned()),
        Ok(wire) if wire.is_local() => (Outcome::Holds, "plain, over loopback".to_owned()),
        Ok(_) => {
            let found = "plain text: whoever is on the way can read the password and all else";
            (Outcome::Warns, found.to_owned())
        }
        Err(error) => (Outcome::Fails, told(&Err(error))),
    };
    Check::with("transport", outcome, "how it travels", found)
}
