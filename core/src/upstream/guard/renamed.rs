//! Finds refused commands that the server has under another name (`rename-command`).
//!
//! A policy of names cannot refuse a renamed command, and a script can call it. A guard still refuses
//! it, because the ACL identifies commands by their original names.

use std::collections::BTreeSet;

use crate::command::{self, ServerCommands};
use crate::policy::Policy;

/// Returns the commands in the table that `policy` refuses wholly or in part and that the server has
/// under another name, in alphabetical order; `None` if the server does not report that.
pub fn renamed(policy: &Policy, commands: Option<&ServerCommands>) -> Option<Vec<&'static str>> {
    let refused = refused_commands(policy).into_iter();
    let renamed = |name| Some((name, commands?.is_renamed(name)?));
    let all = refused.map(renamed).collect::<Option<Vec<_>>>()?;
    Some(all.into_iter().filter_map(|(name, renamed)| renamed.then_some(name)).collect())
}

/// Subcommands cannot be renamed, so the names of whole commands suffice.
fn refused_commands(policy: &Policy) -> BTreeSet<&'static str> {
    let names = policy.rules().filter_map(|rule| {
        rule.split('|').next().and_then(|name| command::lookup(name.as_bytes()))
    });
    names.map(|spec| spec.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Escapes;
    use crate::upstream::guard::Answer;

    fn row(name: &str) -> Answer {
        let words = || Answer::Array(Vec::new());
        let number = || Answer::Integer(1);
        let name = Answer::BulkString(name.into());
        Answer::Array(vec![name, number(), words(), number(), number(), number()])
    }

    #[test]
    fn a_command_that_is_listed_but_not_found_by_name_was_renamed() {
        let policy = Policy::compile(&["CONFIG", "FLUSHALL", "FLUSHDB"], Escapes::Allow).unwrap();
        // The server has no config, has flushall under another name, and has flushdb under its own.
        let list = Answer::Array(["FLUSHALL", "flushdb", "get"].map(row).to_vec());
        let commands = || ServerCommands::of(&list).unwrap();
        let info = Answer::Array(vec![Answer::Null, row("flushdb"), row("get")]);
        assert_eq!(renamed(&policy, Some(&commands().take_info(&info))), Some(vec!["flushall"]));
        let denied = Answer::Error("NOPERM no".into());
        assert_eq!(renamed(&policy, Some(&commands().take_info(&denied))), None);
        assert_eq!(renamed(&policy, Some(&commands())), None);
        assert_eq!(renamed(&policy, None), None);
        let nothing = Policy::compile::<&str>(&[], Escapes::Allow).unwrap();
        assert_eq!(renamed(&nothing, None), Some(Vec::new()));
    }

    #[test]
    fn renamed_commands_are_looked_up_once_and_only_if_in_the_table() {
        let rules = ["FLUSHALL", "CLIENT|KILL", "CLIENT|PAUSE", "zz.module", "CLIENT|LATER"];
        let policy = Policy::compile(&rules, Escapes::Allow).unwrap();
        assert!(refused_commands(&policy).into_iter().eq(["client", "flushall"]));
    }
}
