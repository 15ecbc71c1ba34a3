//! Redis's ACL file.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::rules::{AclError, AclRules, is_login, split};

/// A user of an ACL file: its rights and how it logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclUser {
    /// The line of the user in the file, counted from 1.
    pub line: usize,
    /// The rules that say what the user may do.
    pub rules: AclRules,
    /// The passwords of the user.
    pub passwords: AclPasswords,
    /// False if the user is switched off: nobody logs in as it.
    pub is_on: bool,
}

/// The SHA-256 digests of a user's passwords.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AclPasswords {
    /// In the order of the file.
    pub digests: Vec<[u8; 32]>,
    /// Fewest characters of a password that the file gives as text; `None` if it gives only digests.
    pub shortest: Option<usize>,
}

/// Why a user of an ACL file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct AclFileError {
    /// Counted from 1.
    pub line: usize,
    /// The problem at that line.
    pub problem: AclFileProblem,
}

/// The problem with a line of an ACL file. It holds nothing of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AclFileProblem {
    /// The line does not describe a user.
    #[error("a line is \"user NAME\" and rules, as in the file of Redis's aclfile")]
    NoUser,
    /// An earlier line describes the same user.
    #[error("this user is in an earlier line too; keep one of the two")]
    Twice,
    /// Any password would do.
    #[error("nopass lets everybody in; give the user a password")]
    NoPass,
    /// A digest is not 64 hexadecimal digits.
    #[error("# and ! need the 64 hexadecimal digits of a SHA-256 digest")]
    Digest,
    /// A rule is wrong.
    #[error(transparent)]
    Rule(AclError),
}

/// Returns the user called `name` in the text of an ACL file; `None` if the file does not have it. Empty lines, and
/// lines that begin with `#`, are ignored.
///
/// # Errors
/// A line describes no user, or the line of this user cannot be used.
pub fn acl_user(text: &str, name: &str) -> Result<Option<AclUser>, AclFileError> {
    let mut found: Option<AclUser> = None;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let at = |problem| AclFileError { line, problem };
        let (user, rules) = text
            .strip_prefix("user ")
            .map(|rest| rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), "")))
            .ok_or(at(AclFileProblem::NoUser))?;
        if user != name {
            continue;
        }
        if found.is_some() {
            return Err(at(AclFileProblem::Twice));
        }
        found = Some(read(line, rules).map_err(at)?);
    }
    Ok(found)
}

/// Reads the rules of a user, which Redis applies to one that is off and has no rights and no passwords.
fn read(line: usize, rules: &str) -> Result<AclUser, AclFileProblem> {
    let off = AclUser {
        line,
        rules: AclRules::default(),
        passwords: AclPasswords::default(),
        is_on: false,
    };
    let mut user = off.clone();
    let mut takes_any = false;
    for word in split(rules).map_err(AclFileProblem::Rule)? {
        if !is_login(&word) {
            user.rules.add(word).map_err(AclFileProblem::Rule)?;
            continue;
        }
        match word.as_str() {
            "on" => user.is_on = true,
            "off" => user.is_on = false,
            "nopass" => {
                user.passwords = AclPasswords::default();
                takes_any = true;
            }
            "resetpass" => {
                user.passwords = AclPasswords::default();
                takes_any = false;
            }
            "reset" => {
                user = off.clone();
                takes_any = false;
            }
            word => takes_any &= !user.passwords.take(word)?,
        }
    }
    if takes_any && user.is_on {
        return Err(AclFileProblem::NoPass);
    }
    if user.rules.iter().count() > AclRules::MOST || rules.len() > AclRules::MOST_BYTES {
        return Err(AclFileProblem::Rule(AclError::TooMany));
    }
    Ok(user)
}

impl AclPasswords {
    /// Adds or removes a password. Returns whether one was added.
    fn take(&mut self, word: &str) -> Result<bool, AclFileProblem> {
        let mut characters = word.chars();
        let kind = characters.next();
        let value = SecretString::from(characters.as_str());
        let value = value.expose_secret();
        let digest = match kind {
            Some('>' | '<') => Sha256::digest(value.as_bytes()).into(),
            _ => {
                let mut digest = [0; 32];
                let is_lower = !value.bytes().any(|byte| byte.is_ascii_uppercase());
                let read = hex::decode_to_slice(value, &mut digest);
                if read.is_err() || !is_lower {
                    return Err(AclFileProblem::Digest);
                }
                digest
            }
        };
        let adds = matches!(kind, Some('>' | '#'));
        self.digests.retain(|known| *known != digest);
        if adds {
            self.digests.push(digest);
        }
        if kind == Some('>') {
            let length = value.chars().count();
            self.shortest = Some(self.shortest.map_or(length, |shortest| shortest.min(length)));
        }
        Ok(adds)
    }
}

impl std::fmt::Debug for AclPasswords {
    /// Leaves out the digests, from which a short password can be guessed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AclPasswords").field("count", &self.digests.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> [u8; 32] {
        Sha256::digest(text.as_bytes()).into()
    }

    fn problem(rules: &str) -> AclFileProblem {
        acl_user(&format!("user a {rules}"), "a").unwrap_err().problem
    }

    #[test]
    fn a_user_is_read_as_redis_writes_it() {
        let hex = hex::encode(digest("two"));
        let text = format!(
            "user default on nopass sanitize-payload ~* &* +@all\n\n# a comment\r\n\
             user  worker on >one #{hex} ~w:* resetchannels &e -@all +get (~x +set)\r\nuser gone off\n"
        );
        let user = acl_user(&text, "worker").unwrap().unwrap();
        assert_eq!(user.rules.to_string(), "~w:* resetchannels &e -@all +get (~x +set)");
        assert_eq!((user.line, user.is_on), (4, true));
        assert_eq!(user.passwords.digests, [digest("one"), digest("two")]);
        assert_eq!(user.passwords.shortest, Some(3));
        assert!(!acl_user(&text, "gone").unwrap().unwrap().is_on);
        assert_eq!(acl_user(&text, "nobody"), Ok(None));
        let open = AclFileError { line: 1, problem: AclFileProblem::NoPass };
        assert_eq!(acl_user(&text, "default"), Err(open));
    }

    #[test]
    fn words_about_logging_in_apply_in_their_order() {
        let of = |rules: &str| acl_user(&format!("user a {rules}"), "a").unwrap().unwrap();
        let digests = |rules: &str| of(rules).passwords.digests;
        assert_eq!(digests("on >x >y <x"), [digest("y")]);
        assert_eq!(digests("on >x resetpass >y"), [digest("y")]);
        assert_eq!(digests("on nopass >y"), [digest("y")]);
        assert_eq!(digests("off >y nopass"), [[0; 32]; 0]);
        let user = of("on >x +get ~a reset +set");
        assert_eq!((user.is_on, user.rules.to_string().as_str()), (false, "+set"));
        assert!(user.passwords.digests.is_empty());
        assert!(of("off on").is_on && !of("on off").is_on);
        assert_eq!(problem("on nopass"), AclFileProblem::NoPass);
        assert_eq!(problem("on #12"), AclFileProblem::Digest);
        assert_eq!(problem(&format!("on #{}", "A".repeat(64))), AclFileProblem::Digest);
        assert_eq!(problem("on +get (+set"), AclFileProblem::Rule(AclError::Bracket));
        assert_eq!(problem("on word"), AclFileProblem::Rule(AclError::Form));
    }

    #[test]
    fn lines_that_are_no_user_and_users_that_come_twice_are_errors() {
        let error = |text: &str| acl_user(text, "a").unwrap_err();
        assert_eq!(error("\nusers a"), AclFileError { line: 2, problem: AclFileProblem::NoUser });
        let twice = AclFileError { line: 3, problem: AclFileProblem::Twice };
        assert_eq!(error("user a on\nuser b on\nuser a off"), twice);
        assert!(acl_user("user b nonsense", "a").is_ok(), "another user's line is not read");
    }

    #[test]
    fn debug_output_shows_no_password() {
        let user = acl_user("user a on >secret +get", "a").unwrap().unwrap();
        let shown = format!("{user:?}");
        assert!(!shown.contains("secret") && !shown.contains(&hex::encode(digest("secret"))));
    }
}
