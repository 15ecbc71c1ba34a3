//! Finds refused commands that the server has under another name (`rename-command`).
//!
//! A policy of names cannot refuse a renamed command, and a script can call it. A guard still refuses
//! it, because the ACL identifies commands by their original names; `COMMAND LIST` reports the original
//! names too, and `COMMAND INFO` finds a command by its new name.

use std::collections::BTreeSet;

use super::batch::{Answer, Batch};
use crate::command;
use crate::policy::Policy;

/// Returns the commands in the table that `policy` refuses wholly or in part. Subcommands cannot be
/// renamed, so the names of whole commands suffice.
pub fn refused_commands(policy: &Policy) -> Vec<&'static str> {
    let names: BTreeSet<_> = policy
        .rules()
        .filter_map(|rule| rule.split('|').next().and_then(|name| command::lookup(name.as_bytes())))
        .map(|spec| spec.name)
        .collect();
    names.into_iter().collect()
}

/// Asks for the commands called `names`.
pub fn ask_names(names: &[&str]) -> Batch {
    let words = ["COMMAND", "INFO"].iter().chain(names).collect::<Vec<_>>();
    let mut batch = Batch::of(&words);
    batch.add(&["COMMAND", "LIST"]);
    batch
}

/// Asks for all commands of a Redis before 7.0, which has no `COMMAND LIST`.
pub fn ask_all() -> Batch {
    Batch::of(&["COMMAND"])
}

/// Returns the commands in `names` that the server has under another name, by the replies to `COMMAND
/// INFO` and to `COMMAND LIST` or `COMMAND`. Returns `None` if the replies do not show it.
pub fn renamed<'a>(names: &[&'a str], info: &Answer, all: &Answer) -> Option<Vec<&'a str>> {
    let (Answer::Array(found), Answer::Array(all)) = (info, all) else { return None };
    if found.len() != names.len() {
        return None;
    }
    let original = |answer: &Answer| match answer {
        Answer::BulkString(name) => Some(name.to_ascii_lowercase()),
        Answer::SimpleString(name) => Some(name.to_ascii_lowercase()),
        Answer::Array(fields) => match fields.first() {
            Some(Answer::BulkString(name)) => Some(name.to_ascii_lowercase()),
            Some(Answer::SimpleString(name)) => Some(name.to_ascii_lowercase()),
            _ => None,
        },
        _ => None,
    };
    let all: BTreeSet<Vec<u8>> = all.iter().filter_map(original).collect();
    let is_missing = |info: &Answer| !matches!(info, Answer::Array(fields) if !fields.is_empty());
    let pairs = names.iter().zip(found);
    let renamed = pairs.filter(|(name, info)| is_missing(info) && all.contains(name.as_bytes()));
    Some(renamed.map(|(name, _)| *name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Escapes;

    fn text(text: &str) -> Answer {
        Answer::BulkString(text.into())
    }

    #[test]
    fn a_command_that_is_listed_but_not_found_by_name_was_renamed() {
        let names = ["config", "flushall", "flushdb"];
        let known = |name: &str| Answer::Array(vec![text(name), Answer::Integer(-1)]);
        // The server has no config, has flushall under another name, and has flushdb under its own.
        let info = Answer::Array(vec![Answer::Null, Answer::Null, known("flushdb")]);
        let list = Answer::Array(vec![text("FLUSHALL"), text("flushdb"), text("get")]);
        assert_eq!(renamed(&names, &info, &list), Some(vec!["flushall"]));
        let table = Answer::Array(vec![known("flushall"), known("flushdb")]);
        assert_eq!(renamed(&names, &info, &table), Some(vec!["flushall"]));
        let denied = Answer::Error("NOPERM no".into());
        assert_eq!(renamed(&names, &info, &denied), None);
        assert_eq!(renamed(&names, &denied, &list), None);
        assert_eq!(renamed(&names, &Answer::Array(Vec::new()), &list), None);
    }

    #[test]
    fn renamed_commands_are_looked_up_once_and_only_if_in_the_table() {
        let rules = ["FLUSHALL", "CLIENT|KILL", "CLIENT|PAUSE", "zz.module", "CLIENT|LATER"];
        let policy = Policy::compile(&rules, Escapes::Allow).unwrap();
        assert_eq!(refused_commands(&policy), ["client", "flushall"]);
    }
}
