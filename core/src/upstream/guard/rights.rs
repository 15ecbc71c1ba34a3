//! The rights of a user, as `ACL LIST` returns them.

use super::batch::{Answer, GuardError};
use crate::auth::AclRules;

/// The rights of a user: the words of its line in `ACL LIST` that grant or remove rights, as Redis
/// wrote them. A selector, `( … )`, counts as one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The rights of the user itself, in order.
    own: Vec<Vec<u8>>,
    /// The rights of each selector, which grants rights on its own, without the brackets.
    selectors: Vec<Vec<u8>>,
}

/// The word in the line of a user whose payloads are not checked.
const SKIPS_CHECKS: &[u8] = b"skip-sanitize-payload";

impl Rights {
    /// Returns the user that is logged in, by the reply to `ACL WHOAMI`.
    ///
    /// # Errors
    /// Redis refuses the command, or has no ACL.
    pub fn user(whoami: &Answer) -> Result<Vec<u8>, GuardError> {
        match whoami {
            Answer::BulkString(name) => Ok(name.clone()),
            Answer::Error(text) => Err(GuardError::from_redis("ACL WHOAMI", text)),
            _ => Err(GuardError::nonsense("ACL WHOAMI")),
        }
    }

    /// Returns the rights of `user`, by the reply to `ACL LIST`.
    ///
    /// # Errors
    /// Redis refuses the command.
    pub fn find(list: &Answer, user: &[u8]) -> Result<Self, GuardError> {
        let what = "ACL LIST";
        let lines = match list {
            Answer::Array(lines) => lines,
            Answer::Error(text) => return Err(GuardError::from_redis(what, text)),
            _ => return Err(GuardError::nonsense(what)),
        };
        let start = [b"user ", user, b" "].concat();
        let found = lines.iter().find_map(|line| match line {
            Answer::BulkString(line) => line.strip_prefix(start.as_slice()),
            _ => None,
        });
        found.map(Self::parse).ok_or_else(|| GuardError::nonsense(what))
    }

    /// Parses the part after the name in a line of `ACL LIST`. Passwords, and whether the user may log
    /// in, are left out.
    pub fn parse(line: &[u8]) -> Self {
        let mut rights = Self { own: Vec::new(), selectors: Vec::new() };
        let mut selector: Option<Vec<u8>> = None;
        for word in line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            let (opens, word) = match word.strip_prefix(b"(") {
                Some(rest) if selector.is_none() => (true, rest),
                _ => (false, word),
            };
            let inside = match selector.take() {
                Some(before) => Some([&before, b" ".as_slice(), word].concat()),
                None => opens.then(|| word.to_vec()),
            };
            match inside {
                Some(inside) => match inside.strip_suffix(b")") {
                    Some(whole) => rights.selectors.push(whole.to_vec()),
                    None => selector = Some(inside),
                },
                None if is_login(word) => {}
                None => rights.own.push(word.to_vec()),
            }
        }
        rights
    }

    /// Returns the rights of a new user to whom `rules` are applied.
    pub fn of_rules(rules: &AclRules) -> Self {
        // The server may give new users all channels (acl-pubsub-default).
        Self::parse(format!("resetchannels {rules}").as_bytes())
    }

    /// Returns true if these words remove the command `name` for certain, by its name or with all
    /// others. The commands of a category are unknown here: a category that is removed does not count,
    /// and one that is granted may contain the command.
    pub fn take_away(&self, name: &str) -> bool {
        let refused = |words: &mut dyn Iterator<Item = &[u8]>| {
            words.fold(true, |refused, word| match word {
                b"allcommands" => false,
                b"nocommands" | b"-@all" => true,
                word if word.starts_with(b"+@") => false,
                word => match word.split_first() {
                    Some((b'-', word)) if word == name.as_bytes() => true,
                    Some((b'+', word)) => {
                        let command = word.split(|byte| *byte == b'|').next().unwrap_or_default();
                        refused && command != name.as_bytes()
                    }
                    _ => refused,
                },
            })
        };
        refused(&mut self.own.iter().map(Vec::as_slice))
            && self.selectors.iter().all(|inside| refused(&mut inside.split(|byte| *byte == b' ')))
    }

    /// Returns true if the server does not check this user's `RESTORE` payloads although it checks
    /// those of others.
    pub fn skips_checks(&self) -> bool {
        self.own.iter().any(|word| word == SKIPS_CHECKS)
    }

    /// Returns the same rights to commands, on all keys, channels and databases: so a dry run with
    /// placeholders is refused only because of a command.
    pub fn everywhere(&self) -> Self {
        let is_place = |word: &[u8]| {
            matches!(word.first(), Some(b'~' | b'&' | b'%'))
                || word.starts_with(b"db=")
                || matches!(word, b"allkeys" | b"resetkeys" | b"allchannels" | b"resetchannels")
                || matches!(word, b"alldbs" | b"resetdbs")
        };
        let all = [b"~*".to_vec(), b"&*".to_vec()];
        let commands = self.own.iter().filter(|word| !is_place(word)).cloned();
        let selectors = self.selectors.iter().map(|selector| {
            let words = selector.split(|byte| *byte == b' ').filter(|word| !is_place(word));
            words.chain(all.iter().map(Vec::as_slice)).collect::<Vec<_>>().join(b" ".as_slice())
        });
        Self { own: commands.chain(all.clone()).collect(), selectors: selectors.collect() }
    }

    /// Returns these rights with `words` added, and with `in_selectors` added to each selector.
    #[must_use]
    pub fn with(&self, words: &[String], in_selectors: &[String]) -> Self {
        let own = self.own.iter().cloned();
        let own = own.chain(words.iter().map(|word| word.clone().into_bytes())).collect();
        let selectors = self.selectors.iter().map(|selector| {
            let inside = std::iter::once(selector.clone());
            let added = in_selectors.iter().map(|word| word.clone().into_bytes());
            inside.chain(added).collect::<Vec<_>>().join(b" ".as_slice())
        });
        Self { own, selectors: selectors.collect() }
    }

    /// Returns the words that grant these rights without the commands of `rules`, and with payloads
    /// checked.
    pub fn without(&self, rules: &[&str]) -> Vec<Vec<u8>> {
        self.without_but(rules, &[])
    }

    /// Like [`Rights::without`], but with the commands `granted` all the same, on the keys and channels of the rights
    /// outside selectors.
    pub fn without_but(&self, rules: &[&str], granted: &[&str]) -> Vec<Vec<u8>> {
        let taken = || rules.iter().map(|rule| format!("-{rule}").into_bytes());
        let mut words: Vec<_> =
            self.own.iter().filter(|word| *word != SKIPS_CHECKS).cloned().collect();
        words.extend(taken());
        words.extend(granted.iter().map(|name| format!("+{name}").into_bytes()));
        words.extend(self.selectors.iter().map(|selector| {
            let inside = std::iter::once(selector.clone()).chain(taken());
            let inside = inside.collect::<Vec<_>>().join(b" ".as_slice());
            [b"(".as_slice(), &inside, b")"].concat()
        }));
        words
    }
}

/// Returns true if the word is about logging in.
fn is_login(word: &[u8]) -> bool {
    matches!(word, b"on" | b"off" | b"nopass" | b"resetpass")
        || matches!(word.first(), Some(b'#' | b'>' | b'<' | b'!'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_rules_begin_without_channels() {
        let rules = AclRules::parse(["~a +get (+set ~b)"]).unwrap();
        let words = Rights::of_rules(&rules).without(&["flushall"]);
        let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        assert_eq!(words, ["resetchannels", "~a", "+get", "-flushall", "(+set ~b -flushall)"]);
    }

    fn without(line: &str, rules: &[&str]) -> String {
        let words = Rights::parse(line.as_bytes()).without(rules);
        String::from_utf8(words.join(b"\n".as_slice())).unwrap()
    }

    #[test]
    fn refused_rules_are_removed_from_the_user_and_each_selector() {
        assert_eq!(
            without("on #0123 sanitize-payload ~* &* +@all", &["flushall", "client|kill"]),
            "sanitize-payload\n~*\n&*\n+@all\n-flushall\n-client|kill"
        );
        assert_eq!(
            without(
                "on nopass %R~a:* resetchannels -@all +get (~b:* -@all +set) (+@all)",
                &["del"]
            ),
            "%R~a:*\nresetchannels\n-@all\n+get\n-del\n(~b:* -@all +set -del)\n(+@all -del)"
        );
        assert_eq!(without("on skip-sanitize-payload ~* +@all", &["del"]), "~*\n+@all\n-del");
        assert_eq!(without("off ~(x) +@all ( ~y )", &["del"]), "~(x)\n+@all\n-del\n( ~y  -del)");
    }

    #[test]
    fn rights_everywhere_keep_only_the_rules_about_commands() {
        let line =
            "on #0123 sanitize-payload %R~a:* resetchannels db=0,3 -@all +get (~b:* db=1 +set)";
        let everywhere = Rights::parse(line.as_bytes()).everywhere().without(&["del"]);
        let words = String::from_utf8(everywhere.join(b"\n".as_slice())).unwrap();
        assert_eq!(words, "sanitize-payload\n-@all\n+get\n~*\n&*\n-del\n(+set ~* &* -del)");
    }

    #[test]
    fn rights_remove_a_command_only_if_that_is_certain() {
        let takes = |line: &str| Rights::parse(line.as_bytes()).take_away("flushall");
        for line in [
            "on ~* &* +@all -flushall",
            "on ~* -@all +get",
            "on ~* +@all -@all +@none -flushall -@all",
            "on ~* +flushall -flushall",
            "on ~* +@all -flushall (~x -@all +get) (~y +@all -flushall)",
            "on ~* -@all +flushdb",
        ] {
            assert!(takes(line), "{line}");
        }
        for line in [
            "on ~* &* +@all",
            "on ~* allcommands",
            "on ~* -flushall +@all",
            "on ~* -@all +@keyspace",
            "on ~* +@all -@dangerous",
            "on ~* -@all +flushall",
            "on ~* -@all +flushall|sub",
            "on ~* +@all -flushall +flushall",
            "on ~* +@all -flushall (~x +@all)",
            "on ~* +@all -flushdb",
        ] {
            assert!(!takes(line), "{line}");
        }
    }

    #[test]
    fn acl_list_lookup_needs_the_whole_user_name() {
        let line = |text: &str| Answer::BulkString(text.into());
        let list = Answer::Array(vec![
            line("user app2 on ~2 +@all"),
            line("user app on ~1 +@all"),
            line("user default on nopass ~* +@all"),
        ]);
        assert_eq!(Rights::find(&list, b"app"), Ok(Rights::parse(b"~1 +@all")));
        assert!(Rights::find(&list, b"ap").is_err());
        assert!(Rights::find(&Answer::Error("NOPERM no".into()), b"app").is_err());
        assert!(Rights::find(&Answer::Null, b"app").is_err());
    }
}
