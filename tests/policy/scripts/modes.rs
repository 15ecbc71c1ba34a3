//! Every command about scripts, in every mode and every form.

use super::*;
use support::lines;

/// A request, and the modes in which it runs: `g`uarded, `r`ead-only, `p`inned, `d`eny.
type Row = (Vec<String>, &'static str);

fn rows() -> Vec<Row> {
    let rows: &[(&[&str], &str)] = &[
        (&["EVAL", LISTED, "0"], "gp"),
        (&["EVAL_RO", LISTED, "0"], "grp"),
        (&["evalsha", "{listed}", "0"], "gp"),
        (&["EvalSha", "{LISTED}", "0"], "gp"),
        (&["EVALSHA_RO", "{listed}", "0"], "grp"),
        (&["FCALL", "kept_get", "0"], "gp"),
        (&["fcall", "KEPT_GET", "0"], "gp"),
        (&["FCALL_RO", "Kept_Get", "0"], "grp"),
        (&["SCRIPT", "LOAD", LISTED], "grp"),
        // These requests would write.
        (&["EVAL", OTHER, "0"], ""),
        (&["eVaL", OTHER, "1", "canary"], ""),
        (&["EVALSHA", "{other}", "0"], ""),
        (&["FCALL", "stray", "0"], ""),
        (&["FCALL", "STRAY", "0"], ""),
        // Redis itself refuses writes in these forms.
        (&["EVAL_RO", OTHER, "0"], "gr"),
        (&["EVALSHA_RO", "{other}", "0"], "gr"),
        (&["FCALL_RO", "stray", "0"], "gr"),
        (&["SCRIPT", "LOAD", OTHER], "gr"),
        (&["script", "load", ""], "gr"),
        (&["EVAL_RO", "", "0"], "gr"),
        // Only the operator loads libraries.
        (&["FUNCTION", "LOAD", "REPLACE", STRAY], "g"),
        (&["function", "Load", "REPLACE", KEPT], "g"),
        (&["FUNCTION", "RESTORE", "nonsense"], "g"),
        (&["FUNCTION", "DELETE", "nosuch"], "g"),
        (&["SCRIPT", "DEBUG", "nonsense"], "g"),
        // These names almost match.
        (&["EVALSHA", "{listed but one}", "0"], "g"),
        (&["EVALSHA", "nonsense", "0"], "g"),
        (&["FCALL", "", "0"], "g"),
        (&["FCALL", "kept_ge", "0"], "g"),
        // These requests only show information.
        (&["SCRIPT", "EXISTS", "{listed}"], "grpd"),
        (&["FUNCTION", "LIST"], "grpd"),
        (&["FUNCTION", "STATS"], "grpd"),
        (&["GET", "canary"], "grpd"),
    ];
    let filled = |word: &str| match word {
        "{listed}" => digest(LISTED),
        "{LISTED}" => digest(LISTED).to_uppercase(),
        "{listed but one}" => digest(LISTED)[1..].to_owned(),
        "{other}" => digest(OTHER),
        _ => word.to_owned(),
    };
    let request = |words: &[&str]| words.iter().map(|word| filled(word)).collect();
    rows.iter().map(|(words, modes)| (request(words), *modes)).collect()
}

fn run(mode: &str, sharing: &str) {
    let stage = Stage::new(mode, sharing, &[LISTED]);
    let mut wire = stage.redoubt.session();
    let letter = &mode[..1];
    for (words, modes) in rows() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let request = frame::request(&words);
        if !modes.contains(letter) {
            if mode != "guarded" {
                refused_in_every_form(&mut wire, &words, &request);
            }
            continue;
        }
        let reply = wire.command(&words);
        assert!(!reply.starts_with(b"-ERR unknown"), "{mode} {words:?}: {}", shown(&reply));
        for byte in &request {
            wire.send(&[*byte]);
        }
        assert_eq!(shown(&wire.frame()), shown(&reply), "{mode} {words:?}");
        if words.contains(&LISTED) && !words.contains(&"LOAD") {
            assert_eq!(reply, frame::bulk(b"sings"), "{mode} {words:?}");
        }
    }
    stage.assert_unharmed();
}

fn refused_in_every_form(wire: &mut Wire, words: &[&str], request: &[u8]) {
    let wanted = refusal(words);
    assert_refused(wire, words);
    for byte in request {
        wire.send(&[*byte]);
    }
    assert_eq!(shown(&wire.frame()), shown(&wanted));
    // The requests are sent among others, in one write.
    let get = frame::request(&["GET", "canary"]);
    wire.send(&[&get[..], request, request, &get].concat());
    for wanted in [&frame::bulk(b"sings"), &wanted, &wanted, &frame::bulk(b"sings")] {
        assert_eq!(shown(&wire.frame()), shown(wanted));
    }
    if !words.iter().any(|word| word.contains('\n')) {
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        wire.send(format!("{}\r\n", quoted.join(" ")).as_bytes());
        assert_eq!(shown(&wire.frame()), shown(&wanted));
    }
    let set = frame::request(&["SET", "canary", "lost"]);
    wire.send(&[b"MULTI\r\n", &set[..], request, b"EXEC\r\n"].concat());
    assert_eq!(wire.frame(), b"+OK\r\n");
    assert_eq!(wire.frame(), b"+QUEUED\r\n");
    assert_eq!(shown(&wire.frame()), shown(&wanted));
    let end = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
    assert_eq!(wire.frame(), end);
}

macro_rules! modes {
    ($($name:ident: $mode:literal, $sharing:literal;)*) => {
        $(#[test]
        fn $name() {
            run($mode, $sharing);
        })*
    };
}

modes! {
    guarded_runs_all: "guarded", "auto";
    read_only_runs_what_cannot_write: "read-only", "auto";
    read_only_without_sharing: "read-only", "off";
    pinned_runs_what_is_listed: "pinned", "auto";
    pinned_without_sharing: "pinned", "off";
    deny_runs_none: "deny", "auto";
    deny_without_sharing: "deny", "off";
}

#[test]
fn permitted_scripts_run_in_a_transaction_too() {
    let stage = Stage::new("pinned", "auto", &[LISTED]);
    let mut wire = stage.redoubt.session();
    for words in [&["MULTI"][..], &["EVAL", LISTED, "0"], &["FCALL", "kept_seven", "0"]] {
        assert!(wire.command(words).starts_with(b"+"));
    }
    assert_eq!(shown(&wire.command(&["EXEC"])), shown(b"*2\r\n$5\r\nsings\r\n:7\r\n"));
}

#[test]
fn function_names_with_a_nul_do_not_match_pinned_functions() {
    let stage = Stage::new("pinned", "auto", &[LISTED]);
    let mut wire = stage.redoubt.session();
    let sha1 = digest(LISTED);
    for words in [
        &["EVALSHA", &format!("{sha1}\0"), "0"],
        &["FCALL", "kept_seven\0", "0"],
        &["EVAL", &format!("{LISTED}\0"), "0"],
        &["EVAL", &format!("{LISTED} "), "0"],
    ] {
        assert_refused(&mut wire, words);
    }
}

#[test]
fn script_commands_without_arguments_get_redis_errors() {
    let stage = Stage::new("pinned", "auto", &[LISTED]);
    let (mut wire, mut direct) = (stage.redoubt.session(), stage.redis.direct());
    for words in [&["EVAL"][..], &["EVALSHA_RO"], &["FCALL"], &["SCRIPT", "LOAD"], &["SCRIPT"]] {
        assert_eq!(shown(&wire.command(words)), shown(&direct.command(words)));
    }
}

#[test]
fn unknown_script_and_function_subcommands_are_refused() {
    for mode in ["read-only", "pinned", "deny"] {
        let stage = Stage::new(mode, "auto", &[]);
        let mut wire = stage.redoubt.session();
        for words in [&["SCRIPT", "NOVELTY", OTHER][..], &["Function", "LOADALL", STRAY]] {
            let from = stage.redoubt.log().count();
            assert_refused(&mut wire, words);
            let named = |line: &str| lines::field(line, "rule") == Some("scripts");
            let line = stage.redoubt.log().wait_from(from, named).expect("a line about it");
            assert!(!line.contains("canary"), "{line}");
        }
    }
}

/// Connects when Redoubt knows the server's version, as it does after an answer of the server.
fn unauthenticated(stage: &Stage) -> Wire {
    assert_eq!(stage.redoubt.session().command(&["PING"]), b"+PONG\r\n");
    stage.redoubt.connect()
}

#[test]
fn unauthenticated_clients_cannot_learn_which_scripts_are_pinned() {
    const NOAUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";
    // Some servers ask for the login first, whatever the command is.
    let asks_first = Redis::start();
    let asks_first = Wire::connect(asks_first.address()).command(&["NOSUCH"]) == NOAUTH;
    let assert_unknown = |wire: &mut Wire, words: &[&str]| match asks_first {
        true => assert_eq!(wire.command(words), NOAUTH),
        false => assert_refused(wire, words),
    };
    let stage = Stage::new("pinned", "auto", &[LISTED]);
    let mut wire = unauthenticated(&stage);
    for script in [LISTED, OTHER] {
        assert_eq!(wire.command(&["EVAL", script, "0"]), NOAUTH);
        assert_eq!(wire.command(&["EVALSHA", &digest(script), "0"]), NOAUTH);
    }
    assert_unknown(&mut wire, &["FUNCTION", "LOAD", STRAY]);
    let stage = Stage::new("read-only", "auto", &[]);
    let mut wire = unauthenticated(&stage);
    assert_eq!(wire.command(&["EVAL_RO", OTHER, "0"]), NOAUTH);
    assert_unknown(&mut wire, &["EVAL", LISTED, "0"]);
    let stage = Stage::new("deny", "auto", &[]);
    assert_unknown(&mut unauthenticated(&stage), &["EVAL_RO", LISTED, "0"]);
}
