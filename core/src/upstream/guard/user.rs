//! The guard's name and secret.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::batch::{Answer, Batch, GuardError, is_ok};
use super::rights::Rights;
use crate::upstream::Credentials;

/// Start of every guard's name.
const PREFIX: &str = "redoubt-";
/// Random bytes in the name of a group.
const GROUP: usize = 8;
/// Random bytes in a secret.
const SECRET: usize = 32;

/// What the names of all guards of a process have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardGroup {
    name: String,
}

impl GuardGroup {
    /// Random bytes that [`GuardGroup::new`] takes.
    pub const RANDOM: usize = GROUP;

    /// Creates a group from bytes that no other process has.
    pub fn new(random: &[u8; Self::RANDOM]) -> Self {
        Self { name: hex::encode(random) }
    }
}

/// A guard's name and secret. There is no `Debug`.
pub struct Guard {
    name: String,
    secret: SecretString,
}

impl Guard {
    /// Random bytes that [`Guard::new`] takes.
    pub const RANDOM: usize = SECRET;

    /// Creates a guard from bytes that nobody can guess; `now` is in seconds since 1970. `number` tells the guards of
    /// a group apart. The name contains the time and the group, so that an abandoned guard can be recognized.
    pub fn new(now: u64, group: &GuardGroup, number: u32, random: &[u8; Self::RANDOM]) -> Self {
        let group = &group.name;
        let name = match number {
            0 => format!("{PREFIX}{now:x}-{group}"),
            number => format!("{PREFIX}{now:x}-{group}-{number:x}"),
        };
        Self { name, secret: SecretString::from(hex::encode(random)) }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the credentials to log in as the guard.
    pub fn credentials(&self) -> Credentials {
        Credentials { user: Some(self.name.clone()), password: Some(self.secret.clone()) }
    }

    /// Returns the commands that create the user without a password, rights or the permission to log
    /// in, and then remove one rule after another from it, to learn which of the rules this Redis has.
    pub fn try_rules(&self, rules: &[impl AsRef<str>]) -> Batch {
        let mut batch = Batch::of(&["ACL", "SETUSER", self.name(), "reset", "off"]);
        for rule in rules {
            batch.add(&["ACL", "SETUSER", self.name(), &format!("-{}", rule.as_ref())]);
        }
        batch
    }

    /// Returns the rules in `rules` that name something that this Redis has, by the replies to
    /// [`Guard::try_rules`].
    ///
    /// # Errors
    /// Redis does not permit the user to change the ACL.
    pub fn tried<'a, R: AsRef<str>>(
        rules: &'a [R],
        answers: &[Answer],
    ) -> Result<Vec<&'a str>, GuardError> {
        let what = "ACL SETUSER";
        let (made, tried) = answers.split_first().ok_or_else(|| GuardError::nonsense(what))?;
        is_ok(what, made)?;
        let mut known = Vec::new();
        for (rule, answer) in rules.iter().zip(tried) {
            match answer {
                Answer::Error(text) if is_unknown(text) => {}
                answer => {
                    is_ok(what, answer)?;
                    known.push(rule.as_ref());
                }
            }
        }
        Ok(known)
    }

    /// Returns the command that sets the guard's password, and sets its rights to `rights` without
    /// `rules` but with the commands `granted`, atomically.
    pub fn make(&self, rights: &Rights, rules: &[&str], granted: &[&str]) -> Batch {
        let digest = Sha256::digest(self.secret.expose_secret().as_bytes());
        let digest = format!("#{}", hex::encode(digest));
        let mut words: Vec<Vec<u8>> = ["ACL", "SETUSER", self.name(), "reset", "on", &digest]
            .map(|word| word.as_bytes().to_vec())
            .into();
        words.extend(rights.without_but(rules, granted));
        Batch::of(&words)
    }

    /// Returns the command that logs the connection in as this user.
    pub fn log_in(&self) -> Batch {
        Batch::of(&["AUTH", self.name(), self.secret.expose_secret()])
    }

    /// Checks the reply to [`Guard::make`] or [`Guard::log_in`].
    ///
    /// # Errors
    /// Redis's error.
    pub fn made(what: &str, answers: &[Answer]) -> Result<(), GuardError> {
        answers.iter().try_for_each(|answer| is_ok(what, answer))
    }
}

/// Returns when the guard called `name` was created, in seconds since 1970; `None` for other users.
pub fn made_at(name: &str) -> Option<u64> {
    parts(name).map(|(made, _)| made)
}

/// Returns the group of the guard called `name`; `None` for other users.
pub(super) fn group_of(name: &str) -> Option<&str> {
    parts(name).map(|(_, group)| group)
}

fn parts(name: &str) -> Option<(u64, &str)> {
    let (seconds, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (group, number) = rest.split_once('-').unwrap_or((rest, "0"));
    let is_hex = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    };
    let formed =
        group.len() == GROUP.saturating_mul(2) && [seconds, group, number].into_iter().all(is_hex);
    let made = u64::from_str_radix(seconds, 16).ok().filter(|_| formed)?;
    Some((made, group))
}

/// Returns true if Redis's error means that the rule names nothing.
fn is_unknown(text: &str) -> bool {
    text.contains("Unknown command or category name in ACL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(0x6741_0000, &GuardGroup::new(&[7; 8]), 0, &[7; Guard::RANDOM])
    }

    #[test]
    fn a_guard_name_contains_its_creation_time() {
        let guard = guard();
        assert_eq!(guard.name(), "redoubt-67410000-0707070707070707");
        assert_eq!(made_at(guard.name()), Some(0x6741_0000));
        let other = Guard::new(0x6741_0001, &GuardGroup::new(&[7; 8]), 31, &[8; Guard::RANDOM]);
        assert_eq!(other.name(), "redoubt-67410001-0707070707070707-1f");
        assert_eq!(made_at(other.name()), Some(0x6741_0001));
        assert_eq!(group_of(other.name()), group_of(guard.name()));
        for other in [
            "default",
            "redoubt",
            "redoubt-app",
            "redoubt-67410000-07",
            "redoubt-67410000-070707070707070G",
            "redoubt-xyz-0707070707070707",
            "redoubt--0707070707070707",
            "redoubt-+1-0707070707070707",
            "redoubt-67410000-0707070707070707-",
            "redoubt-67410000-0707070707070707-1-1",
            "redoubt-ffffffffffffffffff-0707070707070707",
        ] {
            assert_eq!(made_at(other), None, "{other}");
        }
    }

    #[test]
    fn redis_gets_the_digest_of_the_guards_secret_and_not_the_secret() {
        let guard = guard();
        let rights = Rights::parse(b"on nopass ~* &* +@all");
        let batch = guard.make(&rights, &["flushall"], &[]);
        let text = String::from_utf8_lossy(batch.bytes()).into_owned();
        let secret = "07".repeat(32);
        assert!(!text.contains(&secret));
        let digest = hex::encode(Sha256::digest(secret.as_bytes()));
        assert!(text.contains(&format!("#{digest}")));
        assert!(text.contains("-flushall"));
        assert!(!text.contains("nopass"));
    }

    #[test]
    fn rules_that_this_redis_does_not_know_are_left_out_of_the_guard() {
        let ok = || Answer::SimpleString(b"OK".to_vec());
        let unknown = Answer::Error(
            "ERR Error in ACL SETUSER modifier '-zz': Unknown command or category name in ACL"
                .into(),
        );
        let rules = ["flushall", "zz", "config"];
        let tried = Guard::tried(&rules, &[ok(), ok(), unknown, ok()]);
        assert_eq!(tried, Ok(vec!["flushall", "config"]));
        let denied = Answer::Error("NOPERM this user has no permissions".into());
        let refused = Guard::tried(&rules, std::slice::from_ref(&denied));
        assert!(matches!(refused, Err(GuardError::Refused(_))));
        let refused = Guard::tried(&rules, &[ok(), ok(), denied]);
        assert!(matches!(refused, Err(GuardError::Refused(_))));
        let busy = Answer::Error("BUSY Redis is busy running a script.".into());
        assert!(matches!(Guard::tried(&rules, &[busy]), Err(GuardError::Later(_))));
    }
}
