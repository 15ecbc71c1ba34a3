//! Checks that identities are isolated from each other. Their rules are not known here, so what a rule may allow on
//! purpose, such as all keys, is a warning and no failure.
//!
//! Keys and channels have names that nobody uses. Nothing is written; a message without content may be published.

use std::io;
use std::path::Path;

use redoubt::config::read_password;
use redoubt_core::resp::Reply;
use secrecy::{ExposeSecret, SecretString};

use super::VerifyError;
use super::commands::{self, Existing, existing, is_held};
use super::harmless::{BLOCKED, ESCAPES, is_missing};
use super::outcome::{Check, Outcome, Section, shown};
use super::wire::{Target, Wire};

/// Start of the names of users that Redoubt makes at the server.
const GUARDS: &str = "redoubt-";
/// Start of the names of keys and channels.
const NAMES: &str = "redoubt-verify-";
/// The numbers of the databases that are tried.
const DATABASES: std::ops::Range<u32> = 0..16;
/// Reads a key that it has not declared. The name is an argument, so that the script is always the same.
const SCRIPT: &str = "return redis.pcall('GET',ARGV[1])";

/// An identity, and the password that it logs in with.
pub(crate) struct Given {
    name: String,
    password: SecretString,
}

impl Given {
    /// Reads `NAME=FILE`, and the password from the file.
    pub(super) fn parse(text: &str) -> Result<Self, VerifyError> {
        let (name, file) = text
            .split_once('=')
            .filter(|(name, file)| !name.is_empty() && !file.is_empty())
            .ok_or(VerifyError::Identity)?;
        let name = name.to_owned();
        match read_password(Path::new(file), true) {
            Ok(password) => Ok(Self { name, password }),
            Err(problem) => Err(VerifyError::IdentityFile { name, problem }),
        }
    }
}

/// Returns who logs in for the other checks where no password is given for that: the identity called `user`, or the
/// first.
pub(super) fn login(
    user: Option<String>,
    given: &[Given],
) -> (Option<String>, Option<SecretString>) {
    let is_it = |given: &&Given| user.as_ref().is_none_or(|user| *user == given.name);
    match given.iter().find(is_it) {
        Some(found) => (Some(found.name.clone()), Some(found.password.clone())),
        None => (user, None),
    }
}

/// Runs the checks of each identity.
///
/// # Errors
/// The system gives no random numbers.
pub(super) fn run(target: &Target, given: &[Given]) -> Result<Section, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let unused = format!("{NAMES}{}", hex::encode(random));
    let mut checks = Vec::new();
    for Given { name, password } in given {
        let target = Target {
            user: Some(name.clone()),
            password: Some(password.clone()),
            open: false,
            ..target.clone()
        };
        let tested = Tested { name, target, given };
        match tested.target.login() {
            Ok(_) => {
                checks.push(tested.check("login", Outcome::Holds, "AUTH", "accepted"));
                checks.extend(tested.all(&unused));
            }
            Err(error) => {
                let found = shown(&Err(error));
                checks.push(tested.check("login", Outcome::Fails, "AUTH", found));
            }
        }
    }
    // The last ones, since too many wrong passwords lock this address out.
    let others = given.iter().cycle().skip(1);
    checks.extend(
        given
            .iter()
            .zip(others)
            .filter(|_| given.len() > 1)
            .map(|(own, other)| password_of_another(target, own, other)),
    );
    Ok(Section { title: "Isolation of identities", checks })
}

/// An identity that can log in.
struct Tested<'a> {
    name: &'a str,
    target: Target,
    given: &'a [Given],
}

impl Tested<'_> {
    fn check(&self, id: &str, outcome: Outcome, what: &str, found: impl Into<String>) -> Check {
        check(self.name, id, outcome, what, found)
    }

    fn all(&self, unused: &str) -> Vec<Check> {
        let (databases, selected) = self.databases();
        vec![
            self.own_name(),
            self.users(),
            self.commands(),
            self.reach(
                "keys",
                "keys of any name",
                selected,
                &[("GET", &["GET", unused]), ("GET in a script", &["EVAL", SCRIPT, "0", unused])],
            ),
            self.reach(
                "channels",
                "channels of any name",
                selected,
                &[("PSUBSCRIBE *", &["PSUBSCRIBE", "*"]), ("PUBLISH", &["PUBLISH", unused, ""])],
            ),
            databases,
        ]
    }

    fn own_name(&self) -> Check {
        let (id, what) = ("name", "ACL WHOAMI");
        let reply = self.target.login().and_then(|mut wire| wire.ask_whole(&["ACL", "WHOAMI"]));
        match reply {
            Ok(Reply::BulkString(name)) if name == self.name.as_bytes() => {
                self.check(id, Outcome::Holds, what, "its own name")
            }
            Ok(Reply::BulkString(name)) => {
                let name = format!("+{}", String::from_utf8_lossy(&name));
                let found = shown(&Ok(name));
                self.check(id, Outcome::Fails, what, found.trim_start_matches('+'))
            }
            Ok(Reply::Error(text)) if text.starts_with("NOPERM") => {
                self.check(id, Outcome::NotChecked, what, "the identity may not run it")
            }
            Ok(Reply::Error(text)) => self.check(id, Outcome::Fails, what, shown(&Ok(text))),
            Ok(_) => self.check(id, Outcome::Fails, what, "not a name"),
            Err(error) => self.check(id, Outcome::Fails, what, shown(&Err(error))),
        }
    }

    /// Checks that no user is shown that Redoubt has made.
    fn users(&self) -> Check {
        let (id, what) = ("users", "users in CLIENT LIST and CLIENT INFO");
        let mut seen = 0_usize;
        for word in ["LIST", "INFO"] {
            let reply = self.target.login().and_then(|mut wire| wire.ask_whole(&["CLIENT", word]));
            match reply {
                Ok(Reply::BulkString(text)) => {
                    seen = seen.saturating_add(1);
                    if let Some(guard) = self.guard_in(&String::from_utf8_lossy(&text)) {
                        let found = shown(&Ok(format!("CLIENT {word} shows {guard}")));
                        return self.check(id, Outcome::Fails, what, found);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    return self.check(id, Outcome::Fails, what, shown(&Err(error)));
                }
            }
        }
        match seen {
            0 => self.check(id, Outcome::NotChecked, what, "the identity may run neither"),
            _ => self.check(id, Outcome::Holds, what, "none of Redoubt's own"),
        }
    }

    /// Returns the name of a user that Redoubt has made, by the lines that describe connections.
    fn guard_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let fields = text.split([' ', '\n', '\r']);
        let mut users = fields.filter_map(|field| field.strip_prefix("user="));
        users.find(|user| {
            user.starts_with(GUARDS) && self.given.iter().all(|given| given.name != *user)
        })
    }

    /// Checks that what the policy refuses does not exist. What the identity has no right to is refused too.
    fn commands(&self) -> Check {
        let (id, what) = ("commands", "blocked commands and escapes");
        let blocked = BLOCKED.iter().map(|args| commands::blocked(&self.target, args));
        let open = blocked
            .filter(|check| check.outcome != Outcome::Holds && !check.found.starts_with("-NOPERM"));
        let mut names: Vec<_> =
            open.map(|check| format!("{} ({})", check.what, check.found)).collect();
        let is_refused =
            |args: &[&str], reply: &str| is_missing(args, reply) || reply.starts_with("-NOPERM");
        let Existing { names: escapes, untested, count } =
            match existing(&ESCAPES, || self.target.login(), is_refused) {
                Ok(existing) => existing,
                Err((name, error)) => {
                    let found = format!("{name}: {}", shown(&Err(error)));
                    return self.check(id, Outcome::Fails, what, found);
                }
            };
        names.extend(escapes);
        let count = count.saturating_add(BLOCKED.len());
        let mut found = match names.is_empty() {
            true => format!("none of {count} exists"),
            false => format!("{} of {count} exist: {}", names.len(), names.join(", ")),
        };
        if untested > 0 {
            found += &format!("; {untested} can be tested only in MULTI, which it may not run");
        }
        let outcome = if names.is_empty() { Outcome::Holds } else { Outcome::Fails };
        self.check(id, outcome, what, found)
    }

    /// Checks that none of the commands, each of which has a name, is allowed.
    fn reach(
        &self,
        id: &str,
        what: &str,
        database: Option<u32>,
        tried: &[(&str, &[&str])],
    ) -> Check {
        let mut reached = Vec::new();
        for (name, args) in tried {
            let reply = self.in_database(database).and_then(|mut wire| wire.ask(args));
            match &reply {
                Ok(reply) if is_held(reply) || reply.contains("can't access") => {}
                Ok(reply) if reply.starts_with("-ERR unknown command ") => {}
                Ok(reply) if !reply.starts_with('-') => reached.push(*name),
                Ok(_) => {
                    let found = format!("{name}: {}", shown(&reply));
                    return self.check(id, Outcome::NotChecked, what, found);
                }
                Err(_) => {
                    let found = format!("{name}: {}", shown(&reply));
                    return self.check(id, Outcome::Fails, what, found);
                }
            }
        }
        match reached.is_empty() {
            true => self.check(id, Outcome::Holds, what, "refused"),
            false => {
                let found = format!("may reach {what}: {}", reached.join(", "));
                self.check(id, Outcome::Warns, what, found)
            }
        }
    }

    /// Opens a connection in a database that the identity may use, if it may select any.
    fn in_database(&self, database: Option<u32>) -> io::Result<Wire> {
        let mut wire = self.target.login()?;
        if let Some(database) = database {
            wire.ask(&["SELECT", &database.to_string()])?;
        }
        Ok(wire)
    }

    /// Finds out which databases the identity may select. Returns the first of them too.
    fn databases(&self) -> (Check, Option<u32>) {
        let (id, what) = ("databases", "databases");
        let tried = self.target.login().and_then(|mut wire| {
            let mut ask = |number: u32| wire.ask(&["SELECT", &number.to_string()]);
            DATABASES.map(|number| Ok((number, ask(number)?))).collect::<io::Result<Vec<_>>>()
        });
        let replies = match tried {
            Ok(replies) => replies,
            Err(error) => {
                return (self.check(id, Outcome::Fails, what, shown(&Err(error))), None);
            }
        };
        let selected = replies.iter().filter(|(_, reply)| reply == "+OK");
        let selected: Vec<u32> = selected.map(|(number, _)| *number).collect();
        let is_limited = replies.iter().any(|(_, reply)| reply.starts_with("-NOPERM"));
        let first = selected.first().copied();
        let (outcome, found) = match selected.as_slice() {
            [] => (Outcome::Holds, "may select none".to_owned()),
            [_, _, ..] if !is_limited => {
                (Outcome::Warns, format!("may select all ({} were tried)", replies.len()))
            }
            some => {
                let numbers: Vec<_> = some.iter().map(u32::to_string).collect();
                (Outcome::Holds, format!("may select {}", numbers.join(", ")))
            }
        };
        (self.check(id, outcome, what, found), first)
    }
}

/// Checks that `own` cannot log in with the password of `other`.
fn password_of_another(target: &Target, own: &Given, other: &Given) -> Check {
    let what = format!("AUTH with the password of {}", other.name);
    let reply = target
        .connect()
        .and_then(|mut wire| wire.auth(Some(&own.name), other.password.expose_secret()));
    let (outcome, found) = match reply.as_deref() {
        Ok("-WRONGPASS") => (Outcome::Holds, "rejected".to_owned()),
        Ok("+OK") => (Outcome::Fails, "accepted".to_owned()),
        Ok(_) => (Outcome::Fails, shown(&reply)),
        Err(_) => {
            let found = format!("{}: this address may be locked out", shown(&reply));
            (Outcome::NotChecked, found)
        }
    };
    check(&own.name, "password", outcome, &what, found)
}

fn check(name: &str, id: &str, outcome: Outcome, what: &str, found: impl Into<String>) -> Check {
    Check::with(format!("identity-{id}"), outcome, format!("{name}: {what}"), found)
}
