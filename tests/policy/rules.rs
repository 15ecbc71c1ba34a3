//! Which requests a compiled policy refuses, and how rules may be written.

use std::collections::BTreeSet;

use redoubt_core::command::{self, Spec};
use redoubt_core::policy::{Decision, Denied, Escapes, Policy, PolicyError, RuleName};

fn compile(rules: &[&str]) -> Policy {
    Policy::compile(rules, Escapes::Allow).unwrap()
}

/// Decides as a session does: with the most specific spec that exists.
fn judge(policy: &Policy, args: &[&[u8]]) -> Option<Denied> {
    let spec = command::lookup(args[0]);
    let word = args.get(1).copied();
    let sub = spec.zip(word).and_then(|(spec, word)| spec.subcommand(word));
    let decision = policy.decide(sub.or(spec), args[0], word);
    // The decision is the same whatever the caller found.
    assert_eq!(policy.decide(spec, args[0], word), decision);
    assert_eq!(policy.decide(None, args[0], word), decision);
    match decision {
        Decision::Allow => None,
        Decision::Deny(denied) => Some(denied),
    }
}

fn rule(policy: &Policy, args: &[&[u8]]) -> Option<String> {
    judge(policy, args).map(|denied| denied.rule().to_string())
}

fn says(denied: &Denied, args: &[&[u8]], start: &str) -> bool {
    denied.reply(args.iter().copied()).starts_with(format!("-ERR {start} '").as_bytes())
}

fn request(spec: &Spec) -> Vec<&'static [u8]> {
    spec.name.split('|').map(str::as_bytes).collect()
}

#[test]
fn each_rule_blocks_what_it_names_and_nothing_else() {
    for ruled in command::specs() {
        let policy = compile(&[ruled.name]);
        let of_itself = ruled.command() == ruled.name;
        for spec in command::specs() {
            let args = request(spec);
            let expected = spec.id == ruled.id || of_itself && spec.command() == ruled.name;
            let denied = judge(&policy, &args);
            assert_eq!(denied.is_some(), expected, "{} under {}", spec.name, ruled.name);
            let Some(denied) = denied else { continue };
            assert_eq!(&**denied.rule(), ruled.name);
            assert!(matches!(denied.rule(), RuleName::Known(_)));
            let start = if of_itself { "unknown command" } else { "unknown subcommand" };
            assert!(says(&denied, &args, start), "{}", spec.name);
        }
    }
}

#[test]
fn the_default_blocks_its_four_commands() {
    let policy = compile(&Policy::DEFAULT_BLOCKED);
    let blocked: BTreeSet<&str> = command::specs()
        .filter(|spec| judge(&policy, &request(spec)).is_some())
        .map(Spec::command)
        .collect();
    assert_eq!(blocked, BTreeSet::from(["config", "debug", "flushall", "flushdb"]));
    assert!(judge(&policy, &[b"CONFIG", b"NEWER-THAN-THE-TABLE"]).is_some());
    assert!(judge(&policy, &[b"CONFIG"]).is_some());
}

#[test]
fn an_empty_policy_blocks_nothing() {
    let policy = compile(&[]);
    assert!(command::specs().all(|spec| judge(&policy, &request(spec)).is_none()));
    assert_eq!(rule(&policy, &[b"FT.SEARCH", b"index"]), None);
    assert_eq!(rule(&policy, &[b""]), None);
    assert_eq!(rule(&policy, &[&[b'x'; 1 << 20]]), None);
}

#[test]
fn rules_match_names_in_any_case() {
    for text in ["client|no-evict", "CLIENT|NO-EVICT", "cLiEnT|nO-eViCt"] {
        let policy = compile(&[text]);
        for args in
            [[&b"CLIENT"[..], b"NO-EVICT"], [b"client", b"no-evict"], [b"ClieNT", b"No-Evict"]]
        {
            assert_eq!(rule(&policy, &args).as_deref(), Some("client|no-evict"), "{text}");
        }
    }
}

#[test]
fn arguments_of_plain_commands_are_not_matched_as_subcommands() {
    let policy = compile(&["CONFIG|GET", "FLUSHALL"]);
    assert_eq!(rule(&policy, &[b"GET", b"config|get"]), None);
    assert_eq!(rule(&policy, &[b"GET", b"flushall"]), None);
    assert_eq!(rule(&policy, &[b"GET", b"binary\0key"]), None);
    assert_eq!(rule(&policy, &[b"config|get", b"x"]), None, "Redis knows no such command");
    assert_eq!(rule(&policy, &[b"CONFIG", b"SET"]), None);
}

#[test]
fn a_command_rule_takes_precedence_over_a_subcommand_rule() {
    let policy = compile(&["CONFIG|GET", "CONFIG"]);
    let args: [&[u8]; 2] = [b"CONFIG", b"GET"];
    let denied = judge(&policy, &args).unwrap();
    assert_eq!(&**denied.rule(), "config");
    assert!(says(&denied, &args, "unknown command"));
}

#[test]
fn rules_for_unknown_commands_are_kept() {
    let policy = compile(&["GRAPH.DROPINDEX", "graph.config|SET", "CLIENT|FUTURE", "zzz", "AAA"]);
    let blocked: [(&[&[u8]], &str, &str); 7] = [
        (&[b"graph.dropindex", b"i"], "graph.dropindex", "unknown command"),
        (&[b"GRAPH.DropIndex"], "graph.dropindex", "unknown command"),
        (&[b"GRAPH.CONFIG", b"set", b"a"], "graph.config|set", "unknown subcommand"),
        (&[b"GRAPH.CONFIG", b"set\0x"], "graph.config|set", "unknown subcommand"),
        (&[b"client", b"Future"], "client|future", "unknown subcommand"),
        (&[b"ZZZ"], "zzz", "unknown command"),
        (&[b"aaa", b"zzz"], "aaa", "unknown command"),
    ];
    for (args, name, start) in blocked {
        let denied = judge(&policy, args).unwrap_or_else(|| panic!("{name} passes"));
        assert_eq!(&**denied.rule(), name);
        assert!(matches!(denied.rule(), RuleName::Named(_)));
        assert!(says(&denied, args, start), "{name}");
    }
    let passing: [&[&[u8]]; 9] = [
        &[b"GRAPH.QUERY", b"dropindex"],
        &[b"GRAPH.DROPINDEX2"],
        &[b"GRAPH.DROPINDE"],
        &[b"GRAPH.CONFIG", b"get"],
        &[b"GRAPH.CONFIG"],
        &[b"GRAPH.CONFIG", b"\0set"],
        &[b"GRAPH.CONFIG|SET"],
        &[b"CLIENT", b"LIST"],
        &[b"CLIENT", b"FUTUR"],
    ];
    for args in passing {
        assert_eq!(rule(&policy, args), None, "{}", args[0].escape_ascii());
    }
}

#[test]
fn a_name_with_a_nul_is_always_refused() {
    for policy in [compile(&[]), compile(&Policy::DEFAULT_BLOCKED), compile(&["CLIENT|KILL"])] {
        for name in [&b"FLUSHALL\x00103"[..], b"get\0", b"\0", b"\0get", b"no such\0", b"reset\0\0"]
        {
            let args = [name, b"x"];
            let denied = judge(&policy, &args).unwrap();
            assert!(says(&denied, &args, "unknown command"));
            assert!(!denied.rule().contains('\0'));
        }
        for word in [&b"kill\x006"[..], b"list\0", b"\0", b"reply\0off"] {
            let args = [&b"CLIENT"[..], word];
            let denied = judge(&policy, &args).unwrap();
            assert!(says(&denied, &args, "unknown subcommand"));
        }
    }
}

#[test]
fn a_refusals_rule_name_contains_no_byte_of_the_request() {
    let policy = compile(&["MODULE.CMD", "FLUSHALL"]);
    for args in [[&b"Module.Cmd"[..], b"canary"], [b"FlushALL", b"canary"]] {
        let shown = format!("{:?}", judge(&policy, &args).unwrap());
        assert!(!shown.contains("canary") && !shown.contains("Cmd") && !shown.contains("ALL"));
    }
}

#[test]
fn rules_are_listed_by_name() {
    let policy =
        compile(&["zz.custom", "FLUSHALL", "CONFIG", "client|KILL", "flushall", "ZZ.custom"]);
    let rules: Vec<String> = policy.rules().map(|rule| rule.to_string()).collect();
    assert_eq!(rules, ["config", "flushall", "client|kill", "zz.custom"]);
    let debug = format!("{policy:?}");
    assert_eq!(debug, r#"["config", "flushall", "client|kill", "zz.custom"]"#);
    assert_eq!(compile(&[]).rules().count(), 0);
}

#[test]
fn escapes_are_listed_as_rules() {
    let policy = Policy::compile(&["FLUSHALL", "CLIENT", "monitor"], Escapes::Deny).unwrap();
    let rules: BTreeSet<String> = policy.rules().map(|rule| rule.to_string()).collect();
    let escapes = Escapes::rules().map(str::to_ascii_lowercase);
    let wanted = escapes.chain(["flushall".into(), "client".into()]).collect();
    assert_eq!(rules, wanted);
    for name in Escapes::rules() {
        let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
        let named = rule(&policy, &words).unwrap_or_else(|| panic!("{name} passes"));
        assert!(name.eq_ignore_ascii_case(&named) || named == "client", "{name}");
    }
    assert_eq!(rule(&policy, &[b"SCRIPT", b"LOAD"]), None);
}

#[test]
fn invalid_rules_are_rejected() {
    use PolicyError::{Incomplete, Malformed, NoSubcommands, TooLong};
    let error = |text: &str| Policy::compile(&["GET", text], Escapes::Allow).err();
    for text in ["", "|", "CONFIG|", "|GET"] {
        assert_eq!(error(text), Some(Incomplete { rule: text.into() }), "{text:?}");
    }
    let malformed = [
        " ",
        "FLUSHALL ",
        " FLUSHALL",
        "CONFIG GET",
        "CONFIG | GET",
        "CONFIG|GET|x",
        "-flushall",
        "+get",
        "@dangerous",
        "*",
        "FLUSH*",
        "\"DEBUG\"",
        "FLUSHALL\0",
        "FLÜSHALL",
        "a\r\nb",
        ".x",
        "FLUSHALL,FLUSHDB",
    ];
    for text in malformed {
        assert_eq!(error(text), Some(Malformed { rule: text.into() }), "{text:?}");
    }
    let long = "x".repeat(129);
    assert_eq!(error(&long), Some(TooLong { len: 129 }));
    assert_eq!(error(&long[1..]), None);
    let (rule, command) = ("debug|SLEEP".to_owned(), "DEBUG".to_owned());
    assert_eq!(error("debug|SLEEP"), Some(NoSubcommands { rule, command }));
    let shown = error("debug|sleep").unwrap().to_string();
    assert!(shown.contains("\"debug|sleep\"") && shown.contains("write \"DEBUG\""), "{shown}");
}
