//! Scripts of over 64 KiB, which are checked when they have arrived completely.

use super::*;
use support::lines;

/// Returns a script of `size` bytes that reads the canary.
fn large(size: usize) -> String {
    ending(size, "\nreturn canary")
}

/// Returns the same script with another last line, which would overwrite the canary.
fn twin(size: usize) -> String {
    ending(size, "\nredis.call('SET', 'canary', 'lost')")
}

fn ending(size: usize, end: &str) -> String {
    let start = "local canary = redis.call('GET', 'canary') --";
    format!("{start}{}{end}", "a".repeat(size - start.len() - end.len()))
}

/// Sends a request in steps, and reads a reply.
fn stepwise(wire: &mut Wire, words: &[&str], step: usize) -> Vec<u8> {
    for piece in frame::request(words).chunks(step) {
        wire.send(piece);
    }
    wire.frame()
}

#[test]
fn a_pinned_script_runs_whatever_its_size() {
    let sizes = [65_000, 65_536, 70_000, 300_000, 1_000_000];
    let scripts: Vec<String> = sizes.into_iter().map(large).collect();
    let listed: Vec<&str> = scripts.iter().map(String::as_str).collect();
    for sharing in ["auto", "off"] {
        let stage = Stage::new("pinned", sharing, &listed);
        let mut wire = stage.redoubt.session();
        for script in &listed {
            for step in [4099, 1 << 20] {
                let reply = stepwise(&mut wire, &["EVAL", script, "0"], step);
                assert_eq!(shown(&reply), shown(&frame::bulk(b"sings")));
                let reply = stepwise(&mut wire, &["SCRIPT", "LOAD", script], step);
                assert_eq!(shown(&reply), shown(&frame::bulk(digest(script).as_bytes())));
            }
        }
        assert_eq!(wire.command(&["MULTI"]), b"+OK\r\n");
        assert_eq!(stepwise(&mut wire, &["EVAL", listed[3], "0"], 9999), b"+QUEUED\r\n");
        assert_eq!(wire.command(&["EXEC"]), b"*1\r\n$5\r\nsings\r\n");
    }
}

#[test]
fn a_script_that_only_begins_like_a_pinned_one_is_refused() {
    let scripts = [large(70_000), large(1_000_000)];
    let stage = Stage::new("pinned", "auto", &[&scripts[0], &scripts[1]]);
    let mut wire = stage.redoubt.session();
    for size in [65_600, 70_000, 1_000_000] {
        for script in [twin(size), large(size) + "a"] {
            for words in [&["EVAL", &script, "0"][..], &["SCRIPT", "LOAD", &script]] {
                for step in [4099, 1 << 20] {
                    let reply = stepwise(&mut wire, words, step);
                    assert_eq!(shown(&reply), shown(&refusal(words)));
                }
            }
        }
    }
    assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
    stage.assert_unharmed();
}

#[test]
fn a_script_too_large_to_buffer_closes_its_session() {
    let script = twin(3 << 20);
    let stage = Stage::new("pinned", "auto", &[&script]);
    for words in [&["EVAL", &script, "0"], &["SCRIPT", "LOAD", &script]] {
        let from = stage.redoubt.log().count();
        let mut wire = stage.redoubt.session();
        wire.offer(&frame::request(words));
        assert_eq!(shown(&wire.read_to_close()), "");
        let ended = |line: &str| lines::field(line, "reason") == Some("request_too_large");
        stage.redoubt.log().wait_from(from, ended).expect("the reason");
    }
    let exists = stage.redis.direct().command(&["SCRIPT", "EXISTS", &digest(&script)]);
    assert_eq!(exists, b"*1\r\n:0\r\n");
    stage.assert_unharmed();
}

#[test]
fn large_arguments_of_pinned_scripts_are_streamed() {
    let script = "return #ARGV[1]";
    let stage = Stage::new("pinned", "auto", &[script]);
    let mut wire = stage.redoubt.session();
    let argument = "v".repeat(5 << 20);
    let wanted = format!(":{}\r\n", argument.len()).into_bytes();
    for step in [65_521, 8 << 20] {
        assert_eq!(stepwise(&mut wire, &["EVAL", script, "0", &argument], step), wanted);
        let words = ["EVALSHA", &digest(script), "0", &argument];
        assert_eq!(stepwise(&mut wire, &words, step), wanted);
        for words in [["EVAL", OTHER, "0", &argument], ["EVALSHA", &digest(OTHER), "0", &argument]]
        {
            let reply = stepwise(&mut wire, &words, step);
            assert!(reply.starts_with(b"-ERR unknown command 'EVAL"), "{}", shown(&reply));
        }
        // These names are too long to exist.
        for name in ["EVALSHA", "FCALL"] {
            let reply = stepwise(&mut wire, &[name, &argument, "0"], step);
            assert!(reply.starts_with(b"-ERR unknown command '"), "{}", shown(&reply));
        }
    }
    stage.assert_unharmed();
}

#[test]
fn other_script_modes_decide_on_large_scripts_by_command_name() {
    for (mode, runs) in [("guarded", true), ("read-only", true), ("deny", false)] {
        let stage = Stage::new(mode, "auto", &[]);
        let mut wire = stage.redoubt.session();
        let script = large(2 << 20);
        let reply = stepwise(&mut wire, &["EVAL_RO", &script, "0"], 65_521);
        assert_eq!(reply == frame::bulk(b"sings"), runs, "{mode}");
        assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
    }
}
