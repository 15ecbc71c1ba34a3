//! The checks of the proxy itself.

use std::io;

use redoubt::config::Settings;
use secrecy::ExposeSecret;

use super::harmless::{self, BLOCKED, ESCAPES};
use super::outcome::{Check, Outcome};
use super::wire::{Target, Wire, told};

/// What no client may run in another spelling or place; no form of it flushes anything.
const FLUSH: &[&str] = &["FLUSHALL", "NONSENSE"];
/// Tells whether scripts are held: Redis's ACL refuses before it looks at the arguments.
const SCRIPT: &str = "return redis.pcall('FLUSHALL','NONSENSE')";

/// Makes them, each on a connection of its own or, for the long list, on as few as will do.
pub(super) fn run(target: &Target) -> Vec<Check> {
    let mut checks = strangers(target);
    checks.push(replied("ping", "PING with the password", login_and(target, &["PING"]), |reply| {
        reply == "+PONG"
    }));
    checks.push(length(target));
    checks.push(transport(target));
    checks.extend(BLOCKED.iter().map(|args| blocked(target, args)));
    checks.push(escapes(target));
    checks.extend(variants(target));
    checks.push(script(target));
    checks
}

/// What a client that has not authenticated is told.
fn strangers(target: &Target) -> Vec<Check> {
    let open = || Wire::open(&target.endpoint, target.timeout);
    let noauth = |reply: &str| reply.starts_with("-NOAUTH ");
    let reset = open().and_then(|mut wire| {
        wire.ask(&["RESET"])?;
        wire.ask(&["PING"])
    });
    vec![
        replied(
            "no-password",
            "PING without a password",
            open().and_then(|mut wire| wire.ask(&["PING"])),
            noauth,
        ),
        replied("reset", "PING after RESET, without a password", reset, noauth),
        replied(
            "hello",
            "HELLO without a password",
            open().and_then(|mut wire| wire.ask(&["HELLO", "3"])),
            // Redis before 6 has no HELLO.
            |reply| noauth(reply) || reply.starts_with("-ERR unknown command "),
        ),
        replied(
            "wrong-password",
            "AUTH with a wrong password",
            open().and_then(|mut wire| wire.auth_wrongly(target)),
            |reply| reply.starts_with("-WRONGPASS "),
        ),
    ]
}

fn length(target: &Target) -> Check {
    let length = target.password.expose_secret().chars().count();
    let least = Settings::STRONG_PASSWORD;
    let found = if length >= least {
        format!("at least {least} characters")
    } else {
        format!("fewer than {least} characters")
    };
    Check::new("password-length", length >= least, "length of the password", found)
}

/// Whether somebody on the way could read along.
fn transport(target: &Target) -> Check {
    let is_local = Wire::open(&target.endpoint, target.timeout).is_ok_and(|wire| wire.is_local());
    let found = if is_local {
        "plain, over loopback"
    } else {
        "plain: who is on the way can read the password"
    };
    let check = Check::new("transport", is_local, "how it is spoken to", found);
    let outcome = if is_local { Outcome::Holds } else { Outcome::Warns };
    Check { outcome, ..check }
}

fn blocked(target: &Target, args: &[&str]) -> Check {
    let name = harmless::name(args);
    let reply = login_and(target, args);
    let id = format!("blocked-{}", name.to_lowercase());
    replied(&id, &format!("{name} with the password"), reply, |reply| {
        harmless::is_missing(args, reply)
    })
}

/// All escapes, in one check that names those that got through.
fn escapes(target: &Target) -> Check {
    let what = "commands that would get round the rules";
    let mut open = Vec::new();
    let mut wire = None;
    for args in ESCAPES {
        let mut ask = || {
            let mut used = match wire.take() {
                Some(used) => used,
                None => Wire::login(target)?,
            };
            let reply = used.ask(args)?;
            // What is no error may have more lines, or be the first of many.
            wire = reply.starts_with('-').then_some(used);
            io::Result::Ok(reply)
        };
        match ask() {
            Ok(reply) if harmless::is_missing(args, &reply) => {}
            Ok(_) => open.push(harmless::name(args)),
            Err(error) => {
                let found = format!("{}: {}", harmless::name(args), told(&Err(error)));
                return Check::new("escapes", false, what, found);
            }
        }
    }
    let found = match open.len() {
        0 => format!("none of {} exists", ESCAPES.len()),
        count => format!("{count} of {} exist: {}", ESCAPES.len(), open.join(", ")),
    };
    Check::new("escapes", open.is_empty(), what, found)
}

/// `FLUSHALL` by other ways.
fn variants(target: &Target) -> Vec<Check> {
    let missing = |reply: &str| harmless::is_missing(FLUSH, reply);
    let inline = |line: &str| Wire::login(target).and_then(|mut wire| wire.say(line.as_bytes()));
    let pipeline = Wire::login(target).and_then(|mut wire| {
        wire.say(b"PING\r\nFLUSHALL NONSENSE\r\nPING\r\n")?;
        wire.line()
    });
    // DISCARD and not EXEC: nothing that was queued may run.
    let multi = Wire::login(target).and_then(|mut wire| {
        wire.ask(&["MULTI"])?;
        let reply = wire.ask(FLUSH);
        wire.ask(&["DISCARD"])?;
        reply
    });
    vec![
        replied("case", "flUshaLL", login_and(target, &["flUshaLL", "NONSENSE"]), missing),
        replied("inline", "FLUSHALL inline", inline("FLUSHALL NONSENSE\r\n"), missing),
        replied(
            "quoted",
            "FLUSHALL inline, quoted",
            inline("\"FLUSH\\x41LL\" NONSENSE\r\n"),
            missing,
        ),
        replied("pipeline", "FLUSHALL in a pipeline", pipeline, missing),
        replied("multi", "FLUSHALL in MULTI", multi, missing),
    ]
}

/// Whether a script may call what is blocked: the guard, or no scripts at all.
fn script(target: &Target) -> Check {
    let reply = login_and(target, &["EVAL", SCRIPT, "0"]);
    let what = "FLUSHALL in a script";
    replied("script", what, reply, |reply| {
        reply.starts_with("-NOPERM")
            || reply.contains("can't run this command")
            || reply.starts_with("-ERR unknown command 'EVAL'")
            || reply.starts_with("-ERR unknown command `EVAL`")
    })
}

fn login_and(target: &Target, args: &[&str]) -> io::Result<String> {
    Wire::login(target)?.ask(args)
}

fn replied(id: &str, what: &str, reply: io::Result<String>, right: impl Fn(&str) -> bool) -> Check {
    let holds = reply.as_ref().is_ok_and(|reply| right(reply));
    Check::new(id, holds, what, told(&reply))
}
