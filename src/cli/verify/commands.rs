//! Checks that refused commands do not exist for an authenticated client, in any spelling or place.

use std::io;

use super::harmless::{self, BLOCKED, ESCAPES, FLUSHALL, RESTORE};
use super::outcome::{Check, Outcome, Section, shown};
use super::scripts;
use super::version;
use super::wire::{Target, Wire};

/// Shows whether the policy is enforced in scripts: Redis's ACL refuses the call before Redis
/// checks the arguments.
const SCRIPT: &str = "return redis.pcall('FLUSHALL','NONSENSE','NONSENSE')";
/// The name of a function that no server has.
const NO_FUNCTION: &str = "redoubt_verify_no_such_function";

/// Runs the checks, each on a connection of its own; the long list uses as few connections as
/// possible.
pub(super) fn run(target: &Target) -> Section {
    let mut checks: Vec<_> = BLOCKED.iter().map(|args| blocked(target, args)).collect();
    checks.push(escapes(target));
    checks.push(restore(target));
    checks.extend(variants(target));
    let script = target.ask(&["EVAL", SCRIPT, "0"]);
    checks.push(in_script(&script));
    checks.push(in_function(target, &script));
    checks.push(scripts::engine(target));
    Section { title: "What must not exist", checks }
}

/// Checks that a command of [`BLOCKED`] does not exist.
pub(super) fn blocked(target: &Target, args: &'static [&'static str]) -> Check {
    let name = harmless::name(args);
    let id = format!("blocked-{}", name.to_lowercase());
    match name.as_str() {
        "FLUSHDB" | "FLUSHALL" => flush(target, &id, &name, args, &|wire| wire.ask(args)),
        _ => missing(&id, &name, target.ask(args), args),
    }
}

/// Checks all escapes, and names those that exist.
fn escapes(target: &Target) -> Check {
    let (id, what) = ("escapes", "commands that get round the policy");
    let Existing { names, untested, count } =
        match existing(&ESCAPES, || target.login(), harmless::is_missing) {
            Ok(existing) => existing,
            Err((name, error)) => {
                return Check::new(id, false, what, format!("{name}: {}", shown(&Err(error))));
            }
        };
    let mut found = if names.is_empty() {
        format!("none of {count} exists")
    } else {
        format!("{} of {count} exist: {}", names.len(), names.join(", "))
    };
    if untested > 0 {
        found += &format!("; {untested} can be tested only in MULTI, which does not work");
    }
    Check::new(id, names.is_empty(), what, found)
}

/// Checks `RESTORE`, which is safe if the server checks payloads. A client can find out whether it does
/// only for a version that always does.
fn restore(target: &Target) -> Check {
    let (id, what) = ("restore", "RESTORE");
    match target.ask(&RESTORE) {
        Ok(reply) if harmless::is_missing(&RESTORE, &reply) => {
            missing(id, what, Ok(reply), &RESTORE)
        }
        Ok(_) => match version::of(target) {
            Ok(server) if server.always_checks_payloads() => {
                Check::new(id, true, what, format!("exists; {server} checks every payload"))
            }
            _ => {
                let found =
                    "exists: a crafted payload ends a server without sanitize-dump-payload yes";
                Check::with(id, Outcome::Warns, what, found)
            }
        },
        reply => missing(id, what, reply, &RESTORE),
    }
}

/// Which of some commands exist.
#[derive(Debug, Default)]
pub(super) struct Existing {
    /// The names of those that exist.
    pub(super) names: Vec<String>,
    /// How many were not tested, since they may only be queued and `MULTI` does not work.
    pub(super) untested: usize,
    /// How many were tested.
    pub(super) count: usize,
}

/// Returns which of `commands` exist: those whose replies are not `is_refused`. Fails at the first for which that
/// could not be found out, with the reason.
pub(super) fn existing(
    commands: &[&[&str]],
    mut open: impl FnMut() -> io::Result<Wire>,
    is_refused: impl Fn(&[&str], &str) -> bool,
) -> Result<Existing, (String, io::Error)> {
    let mut found = Existing::default();
    let mut wire = None;
    for args in commands {
        let mut ask = || {
            let mut used = match wire.take() {
                Some(used) => used,
                None => open()?,
            };
            let reply = if harmless::is_only_queued(args) {
                queued(&mut used, args)?
            } else {
                Some(used.ask(args)?)
            };
            // A reply that is not an error may have more lines or be followed by others, so the
            // connection is not used again.
            wire = reply.as_ref().is_some_and(|reply| reply.starts_with('-')).then_some(used);
            io::Result::Ok(reply)
        };
        match ask() {
            Ok(None) => found.untested += 1,
            Ok(Some(reply)) => {
                found.count += 1;
                if !is_refused(args, &reply) {
                    found.names.push(harmless::name(args));
                }
            }
            Err(error) => return Err((harmless::name(args), error)),
        }
    }
    Ok(found)
}

/// Returns the reply to a command inside `MULTI`, which is discarded; `None` without sending it if
/// `MULTI` does not work, as it would run then.
fn queued(wire: &mut Wire, args: &[&str]) -> io::Result<Option<String>> {
    if wire.ask(&["MULTI"])? != "+OK" {
        return Ok(None);
    }
    let reply = wire.ask(args)?;
    wire.ask(&["DISCARD"])?;
    Ok(Some(reply))
}

/// Sends `FLUSHALL` in other forms.
fn variants(target: &Target) -> [Check; 5] {
    let [_, word, _] = FLUSHALL;
    // DISCARD and not EXEC: no queued command may run.
    let multi = target.login().and_then(|mut wire| {
        wire.ask(&["MULTI"])?;
        let reply = wire.ask(&FLUSHALL);
        wire.ask(&["DISCARD"])?;
        reply
    });
    let multi = match &multi {
        Ok(reply) if harmless::is_limited_flush(reply) => {
            Check::new("multi", true, IN_MULTI, LIMITED)
        }
        _ => missing("multi", IN_MULTI, multi, &FLUSHALL),
    };
    let check = |id: &str, what: &str, send: &Send| flush(target, id, what, &FLUSHALL, send);
    [
        check("case", "flUshaLL", &|wire| wire.ask(&["flUshaLL", word, word])),
        check("inline", "FLUSHALL inline", &|wire| wire.say(b"FLUSHALL NONSENSE NONSENSE\r\n")),
        check("quoted", "FLUSHALL inline, quoted", &|wire| {
            wire.say(b"\"FLUSH\\x41LL\" NONSENSE NONSENSE\r\n")
        }),
        check("pipeline", "FLUSHALL in a pipeline", &|wire| {
            wire.say(b"PING\r\nFLUSHALL NONSENSE NONSENSE\r\nPING\r\n")?;
            wire.line()
        }),
        multi,
    ]
}

const IN_MULTI: &str = "FLUSHALL in MULTI";
const LIMITED: &str = "deletes only the keys below the prefix of policy.compat.flush";

/// Sends a form of a command and returns the reply.
type Send = dyn Fn(&mut Wire) -> io::Result<String>;

/// Checks that the command `args`, a flush that `send` sends with wrong arguments, does not exist, or that Redoubt
/// answers it because of `policy.compat.flush`. The error for the arguments is that of Redis then; but inside
/// `MULTI`, where Redis queues the command, Redoubt refuses it with an error of its own.
fn flush(target: &Target, id: &str, what: &str, args: &[&str], send: &Send) -> Check {
    let reply = target.login().and_then(|mut wire| send(&mut wire));
    let is_syntax_error = reply.as_ref().is_ok_and(|reply| reply == "-ERR syntax error");
    let is_limited = || -> io::Result<bool> {
        let mut wire = target.login()?;
        if wire.ask(&["MULTI"])? != "+OK" {
            return Ok(false);
        }
        // The connection is closed then, so no queued command runs.
        Ok(harmless::is_limited_flush(&send(&mut wire)?))
    };
    match if is_syntax_error { is_limited() } else { Ok(false) } {
        Ok(true) => Check::new(id, true, what, LIMITED),
        Ok(false) => missing(id, what, reply, args),
        Err(error) => missing(id, what, Err(error), args),
    }
}

/// Checks that the command `args` does not exist; the list of arguments in the reply is left out.
fn missing(id: &str, what: &str, reply: io::Result<String>, args: &[&str]) -> Check {
    let holds = reply.as_ref().is_ok_and(|reply| harmless::is_missing(args, reply));
    let shown = shown(&reply);
    let found = match shown.split_once(", with args beginning with") {
        Some((found, _)) if holds => found,
        _ => &shown,
    };
    Check::new(id, holds, what, found)
}

fn does_not_exist(reply: &str) -> bool {
    reply.starts_with("-ERR unknown command ")
}

/// Returns whether the ACL refused the command that a script called, in the words of Redis 7.0 or
/// of later servers.
pub(super) fn is_held(reply: &str) -> bool {
    reply.starts_with("-NOPERM")
        || reply.contains("can't run this command")
        || reply.contains("ACL failure in script")
}

/// Returns whether a script called a command that does not exist, in the words of Redis or Valkey.
fn is_unknown_in_script(reply: &str) -> bool {
    reply.contains("Unknown Redis command") || reply.contains("Unknown command called")
}

/// Checks that scripts cannot call blocked commands: a guard prevents it, or there are no scripts.
fn in_script(reply: &io::Result<String>) -> Check {
    let (holds, found) = match reply {
        Ok(reply) if does_not_exist(reply) => (true, "no scripts: EVAL does not exist".to_owned()),
        Ok(reply) if is_held(reply) => (true, "Redis's ACL refuses it".to_owned()),
        // The command has another name there, or does not exist.
        Ok(reply) if is_unknown_in_script(reply) => {
            (true, "does not exist there either".to_owned())
        }
        reply => (false, shown(reply)),
    };
    Check::new("script", holds, "FLUSHALL in a script", found)
}

/// Checks that functions cannot call blocked commands. A function that calls one would have to be
/// loaded, and would stay; but functions run with the rights of the same user as scripts, so the
/// result for scripts counts.
fn in_function(target: &Target, script: &io::Result<String>) -> Check {
    let (id, what) = ("function", "FLUSHALL in a function");
    let reply = target.ask(&["FCALL", NO_FUNCTION, "0"]);
    let (outcome, found) = match (&reply, script) {
        (Ok(reply), _) if does_not_exist(reply) => {
            (Outcome::Holds, "no functions: FCALL does not exist".to_owned())
        }
        (Ok(reply), _) if is_held(reply) => (Outcome::Holds, shown(&Ok(reply.clone()))),
        (Ok(reply), Ok(script)) if reply.starts_with("-ERR Function not found") => {
            if is_held(script) {
                (Outcome::Holds, "run by the same user as scripts; none was loaded".to_owned())
            } else if does_not_exist(script) {
                let found = "can be tested only by loading a function, which would stay";
                (Outcome::NotChecked, found.to_owned())
            } else if is_unknown_in_script(script) {
                (Outcome::Holds, "does not exist there either".to_owned())
            } else {
                (Outcome::Fails, "functions can run what scripts can run".to_owned())
            }
        }
        _ => (Outcome::Fails, shown(&reply)),
    };
    Check::with(id, outcome, what, found)
}
