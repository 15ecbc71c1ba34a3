//! Commands that an operator can type to create by hand what Redoubt is not permitted to create.

use super::rights::Rights;
use crate::command::{self, Version};

/// Marks where the operator has to insert a password.
const PLACEHOLDER: &str = ">PASSWORD";
/// Name of the user that is proposed in place of `default`.
const PROPOSED: &str = "redoubt";

/// Returns a line for `redis-cli` after which Redis refuses `rules` to the user that Redoubt logs in
/// as.
///
/// In place of the user `default`, which other clients use too, the line creates a separate user with
/// the same rights as far as they are known. It contains no secret.
pub fn advice(user: Option<&str>, rights: Option<&Rights>, rules: &[&str]) -> String {
    let all;
    let rights = match rights {
        Some(rights) => rights,
        None => {
            all = Rights::parse(b"~* &* +@all");
            &all
        }
    };
    let (name, words) = match user.filter(|user| *user != crate::auth::DEFAULT_USER) {
        // Its rights are unknown, so it keeps them.
        Some(user) => (user, rules.iter().map(|rule| format!("-{rule}")).collect::<Vec<_>>()),
        None => {
            let words = rights.without(rules);
            let words = words.iter().map(|word| quoted(&String::from_utf8_lossy(word)));
            let start = ["reset", "on", PLACEHOLDER].map(str::to_owned);
            (PROPOSED, start.into_iter().chain(words).collect())
        }
    };
    format!("ACL SETUSER {} {}", quoted(name), words.join(" "))
}

/// Returns true if the ACL of this Redis accepts a rule called `name`; `None` if only Redis knows.
/// Before 7.0 an ACL cannot remove subcommands.
pub fn is_typed(name: &str, version: Option<Version>) -> Option<bool> {
    const SUBCOMMANDS: Version = Version::new(7, 0, 0);
    let (command, word) = match name.split_once('|') {
        Some((command, word)) => (command, Some(word)),
        None => (name, None),
    };
    let container = command::lookup(command.as_bytes())?;
    let spec = word.map_or(Some(container), |word| container.subcommand(word.as_bytes()))?;
    // Whether a command of a module or of another server exists, its version does not tell.
    let (version, _) = version.zip(spec.since)?;
    Some(spec.is_in(version) && (word.is_none() || version >= SUBCOMMANDS))
}

/// Quotes `word` if `redis-cli` would split or interpret it.
fn quoted(word: &str) -> String {
    let plain =
        !word.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_contains_only_rules_that_this_redis_accepts() {
        let seven = Some(Version::new(7, 0, 15));
        assert_eq!(is_typed("flushall", seven), Some(true));
        assert_eq!(is_typed("client|kill", seven), Some(true));
        assert_eq!(is_typed("client|kill", Some(Version::new(6, 2, 0))), Some(false));
        assert_eq!(is_typed("waitaof", seven), Some(false));
        assert_eq!(is_typed("zz.custom", seven), None);
        assert_eq!(is_typed("ft.dropindex", seven), None);
        assert_eq!(is_typed("commandlog|reset", seven), None);
        assert_eq!(is_typed("client|zz", seven), None);
        assert_eq!(is_typed("flushall", None), None);
    }

    #[test]
    fn advice_can_be_typed_and_contains_no_secret() {
        let rights = Rights::parse(b"on #0123 ~app:* resetchannels +@all (~x -@all +get)");
        assert_eq!(
            advice(None, Some(&rights), &["flushall"]),
            "ACL SETUSER redoubt reset on >PASSWORD ~app:* resetchannels +@all -flushall \
             \"(~x -@all +get -flushall)\""
        );
        assert_eq!(
            advice(Some("default"), None, &["flushall", "client|kill"]),
            "ACL SETUSER redoubt reset on >PASSWORD ~* &* +@all -flushall -client|kill"
        );
        assert_eq!(advice(Some("app"), Some(&rights), &["flushall"]), "ACL SETUSER app -flushall");
    }
}
