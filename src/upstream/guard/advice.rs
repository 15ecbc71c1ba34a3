//! What an operator can type to make by hand what Redoubt may not.

use super::rights::Rights;

/// What stands where the operator is to put a password.
const PLACEHOLDER: &str = ">PASSWORD";
/// What the user is called that is proposed in place of `default`.
const PROPOSED: &str = "redoubt";

/// A line for `redis-cli` after which `rules` are refused to the user that Redoubt logs in as.
///
/// For the user `default`, who is everybody's, it makes a user of its own, with the same rights as
/// far as they are known. It holds no secret.
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
        // What it may do is not known, so it keeps that.
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

/// In quotes where `redis-cli` would split it or take it apart.
fn quoted(word: &str) -> String {
    let plain =
        !word.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_typed_and_holds_no_secret() {
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
