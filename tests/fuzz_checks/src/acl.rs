//! The rules of Redis's ACL, and its file.

use redoubt_core::auth::{AclRules, acl_user};
use redoubt_core::upstream::guard::Rights;

/// Reads the text as rules, one on each line, and as an ACL file with a user called `a`.
///
/// # Panics
/// A property does not hold: what is read is no rule about logging in, has the stated bounds, and is the same when it
/// is printed and read again; and no right of the guard that is made from it is a password.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(rules) = AclRules::parse(text.lines()) {
        hold(&rules);
    }
    let Ok(Some(user)) = acl_user(text, "a") else { return };
    assert!(text.lines().nth(user.line - 1).is_some_and(|line| line.contains("user")));
    hold(&user.rules);
}

fn hold(rules: &AclRules) {
    assert!(rules.iter().count() <= AclRules::MOST);
    for rule in rules.iter() {
        let inside = rule.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        for word in inside.unwrap_or(rule).split(' ') {
            assert!(!is_login(word), "a word about logging in");
        }
        assert!(!rule.contains(char::is_control));
    }
    if !rules.is_empty() {
        let again = AclRules::parse([rules.to_string().as_str()]);
        assert_eq!(again.as_ref(), Ok(rules), "the rules are others when they are printed");
    }
    for word in Rights::of_rules(rules).without(&["flushall"]) {
        let word = String::from_utf8_lossy(&word).into_owned();
        assert!(!is_login(&word), "a word about logging in is among the rights");
    }
}

fn is_login(word: &str) -> bool {
    ["on", "off", "nopass", "resetpass", "reset"].contains(&word)
        || word.starts_with(['>', '<', '#', '!'])
}
