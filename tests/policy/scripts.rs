//! Which scripts and functions run in each mode of `policy.scripts`, before a real Redis.
//!
//! Whatever must not run would overwrite a canary if it did. The bytes of refusals are those that
//! `tests/policy/replies.rs` compares with Redis's own.

mod functions;
mod large;
mod modes;

use redoubt_core::policy::{unknown_command, unknown_subcommand};
use sha1::{Digest, Sha1};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// Reads the canary.
const LISTED: &str = "return redis.call('GET', 'canary')";
/// Overwrites it.
const OTHER: &str = "return redis.call('SET', 'canary', 'lost')";
/// A library that is pinned: one function reads, one would write.
const KEPT: &str = "#!lua name=kept
redis.register_function{function_name='Kept_Get', flags={'no-writes'},
  callback=function() return redis.call('GET', 'canary') end}
redis.register_function('kept_seven', function() return 7 end)";
/// One that is not.
const STRAY: &str = "#!lua name=stray
redis.register_function('stray', function() return redis.call('SET', 'canary', 'lost') end)";

/// The SHA-1 digest of a script, as Redis shows it.
fn digest(script: &str) -> String {
    Sha1::digest(script).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A Redis with a canary and all scripts and functions, and Redoubt before it.
struct Stage {
    redis: Redis,
    redoubt: Redoubt,
}

impl Stage {
    fn new(mode: &str, sharing: &str, pinned: &[&str]) -> Self {
        let redis = Redis::start();
        let mut direct = redis.direct();
        assert_eq!(direct.command(&["SET", "canary", "sings"]), b"+OK\r\n");
        for script in [LISTED, OTHER] {
            direct.command(&["SCRIPT", "LOAD", script]);
        }
        for library in [KEPT, STRAY] {
            direct.command(&["FUNCTION", "LOAD", library]);
        }
        let digests: Vec<String> = pinned.iter().map(|script| digest(script)).collect();
        let redoubt = Redoubt::setup(&redis)
            .set_text("policy.scripts", mode)
            .set_text("policy.escapes", "allow")
            .set_text("upstream.sharing", sharing)
            .set("policy.pinned_scripts", format!("{digests:?}"))
            .set("policy.pinned_libraries", "[\"kept\"]")
            .start();
        let stage = Self { redis, redoubt };
        if mode == "pinned" {
            wait_for_function(&mut stage.redoubt.session(), "kept_seven");
        }
        stage
    }

    fn assert_unharmed(&self) {
        assert_eq!(self.redis.direct().command(&["GET", "canary"]), frame::bulk(b"sings"));
    }
}

/// Waits until a function that returns 7 may run.
fn wait_for_function(wire: &mut Wire, name: &str) {
    let runs = Deadline::patient().poll(|| wire.command(&["FCALL", name, "0"]) == b":7\r\n");
    assert!(runs, "{name} never runs");
}

/// The answer to a request that is refused: of these two, the second is for subcommands.
fn refusal(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| word.as_bytes());
    let name = words.clone().next().unwrap_or_default().to_ascii_lowercase();
    if matches!(name.as_slice(), b"script" | b"function") {
        unknown_subcommand(words).to_vec()
    } else {
        unknown_command(words).to_vec()
    }
}

#[track_caller]
fn assert_refused(wire: &mut Wire, words: &[&str]) {
    let got = wire.command(words);
    assert_eq!(shown(&got), shown(&refusal(words)));
}
