//! The rules that give a user rights.

use std::fmt;

/// Rules that give a user rights to commands, keys and channels, in the order in which Redis applies them to a
/// user that has none. None of them is about logging in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AclRules {
    /// A selector, `( … )`, is one item.
    rules: Vec<String>,
}

/// Why a text is no rule. It holds nothing of the text, which may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// There is no rule at all.
    #[error("there is no rule; write for example acl = [\"~cache:*\", \"+@read\"]")]
    Empty,
    /// The rule is about passwords or about switching the user on and off.
    #[error(
        "a rule about passwords, on, off or reset; the password is given by password_file, password or acl_file"
    )]
    Login,
    /// A bracket is missing, or a selector is inside another.
    #[error("a selector is ( … ) around rules, without brackets inside")]
    Bracket,
    /// The text does not begin as a rule does.
    #[error(
        "not a rule of Redis's ACL: one begins with + - ~ % & or (, or is a word such as allkeys; \
         write for example \"~cache:*\""
    )]
    Form,
    /// The text holds a control character.
    #[error("a rule holds a control character; write it without")]
    Control,
    /// There are more than [`AclRules::MOST`] rules, or more than [`AclRules::MOST_BYTES`] bytes.
    #[error("more than 4096 rules or 256kb for one identity")]
    TooMany,
}

/// Words that stand alone as a rule.
const WORDS: [&str; 9] = [
    "allkeys",
    "resetkeys",
    "allchannels",
    "resetchannels",
    "allcommands",
    "nocommands",
    "alldbs",
    "resetdbs",
    "sanitize-payload",
];
/// Words about logging in.
const LOGIN_WORDS: [&str; 5] = ["on", "off", "nopass", "resetpass", "reset"];
/// A word that would let a user restore payloads that are not checked. It gives no right here: a guard never has
/// it.
const SKIP: &str = "skip-sanitize-payload";

impl AclRules {
    /// Most rules of one identity.
    pub const MOST: usize = 4096;
    /// Most bytes of all rules of one identity.
    pub const MOST_BYTES: usize = 256 << 10;

    /// Reads rules: each text holds one or several, with spaces between them.
    ///
    /// # Errors
    /// An [`AclError`], with the place of the text that is wrong.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, (usize, AclError)> {
        let mut rules = Self::default();
        let mut bytes = 0_usize;
        let mut last = 0;
        for (place, text) in texts.into_iter().enumerate() {
            last = place;
            bytes = bytes.saturating_add(text.len());
            let added =
                split(text).and_then(|words| words.into_iter().try_for_each(|w| rules.add(w)));
            added.map_err(|error| (place, error))?;
            if rules.rules.len() > Self::MOST || bytes > Self::MOST_BYTES {
                return Err((place, AclError::TooMany));
            }
        }
        if rules.rules.is_empty() { Err((last, AclError::Empty)) } else { Ok(rules) }
    }

    /// Adds a rule, which is a whole selector or has no space in it.
    pub(super) fn add(&mut self, rule: String) -> Result<(), AclError> {
        if rule.contains(char::is_control) {
            return Err(AclError::Control);
        }
        match rule.as_str() {
            "clearselectors" => self.rules.retain(|rule| !rule.starts_with('(')),
            SKIP => {}
            word if is_login(word) => return Err(AclError::Login),
            word => match word.strip_prefix('(') {
                Some(inside) => {
                    let inside = inside.strip_suffix(')').ok_or(AclError::Bracket)?;
                    let mut words = inside.split(' ').filter(|word| !word.is_empty());
                    words.try_for_each(is_rule)?;
                    let words: Vec<_> = inside.split(' ').filter(|word| !word.is_empty()).collect();
                    self.rules.push(format!("({})", words.join(" ")));
                }
                None => {
                    is_rule(word)?;
                    self.rules.push(rule);
                }
            },
        }
        Ok(())
    }

    /// Returns whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the rules in order; a selector is one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(String::as_str)
    }
}

impl fmt::Display for AclRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rules.join(" "))
    }
}

/// Returns whether a word is about logging in.
pub(super) fn is_login(word: &str) -> bool {
    LOGIN_WORDS.contains(&word) || word.starts_with(['>', '<', '#', '!'])
}

/// Splits rules at spaces, but not inside a selector.
pub(super) fn split(text: &str) -> Result<Vec<String>, AclError> {
    let mut words = Vec::new();
    let mut selector: Option<String> = None;
    for word in text.split([' ', '\t']).filter(|word| !word.is_empty()) {
        match selector.take() {
            None if word.starts_with('(') && !word.ends_with(')') => {
                selector = Some(word.to_owned())
            }
            None => words.push(word.to_owned()),
            Some(before) => {
                let whole = format!("{before} {word}");
                match word.ends_with(')') {
                    true => words.push(whole),
                    false => selector = Some(whole),
                }
            }
        }
    }
    if selector.is_some() { Err(AclError::Bracket) } else { Ok(words) }
}

/// Checks that a word may be a rule, also inside a selector.
fn is_rule(word: &str) -> Result<(), AclError> {
    if is_login(word) {
        return Err(AclError::Login);
    }
    if word.starts_with('(') {
        return Err(AclError::Bracket);
    }
    let begins = word.starts_with(['+', '-', '~', '&', '%']) && word.len() > 1;
    let is_known = begins || WORDS.contains(&word) || word.starts_with("db=");
    if is_known { Ok(()) } else { Err(AclError::Form) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<String, (usize, AclError)> {
        AclRules::parse(texts.iter().copied()).map(|rules| rules.to_string())
    }

    #[test]
    fn rules_are_read_one_by_one_or_many_in_a_text() {
        let all = "~cache:* %R~b +@read -keys +config|get resetkeys";
        assert_eq!(parse(&[all]).as_deref(), Ok(all));
        assert_eq!(parse(&all.split(' ').collect::<Vec<_>>()).as_deref(), Ok(all));
        let selector = "+get (~a:*   +set) &c (+del ~b)";
        assert_eq!(parse(&[selector]).as_deref(), Ok("+get (~a:* +set) &c (+del ~b)"));
        assert_eq!(
            parse(&["+get", "(~a +set)", "clearselectors", "(+del)"]).as_deref(),
            Ok("+get (+del)")
        );
        assert_eq!(parse(&["+get", SKIP, "db=0,1"]).as_deref(), Ok("+get db=0,1"));
    }

    #[test]
    fn logins_brackets_and_other_words_are_errors_at_their_place() {
        for word in ["on", "off", "nopass", "resetpass", "reset", ">secret", "<x", "#00", "!00"] {
            assert_eq!(parse(&["+get", word]), Err((1, AclError::Login)), "{word}");
            assert_eq!(
                parse(&[&format!("+get (+set {word})")]),
                Err((0, AclError::Login)),
                "{word}"
            );
        }
        for text in ["(+get", "(+get (+set))", "(+get ( +set )", "((+get))"] {
            assert_eq!(parse(&[text]), Err((0, AclError::Bracket)), "{text}");
        }
        for text in ["get", "cache:*", "+", "~", "password", "ALLKEYS", ")"] {
            assert_eq!(parse(&["+get", text]), Err((1, AclError::Form)), "{text}");
        }
        assert_eq!(parse(&["+a\nb"]), Err((0, AclError::Control)));
        assert_eq!(parse(&[]), Err((0, AclError::Empty)));
        assert_eq!(parse(&["  "]), Err((0, AclError::Empty)));
        let many = vec!["+get"; AclRules::MOST + 1];
        assert_eq!(parse(&many), Err((AclRules::MOST, AclError::TooMany)));
    }
}
