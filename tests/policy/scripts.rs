//! Which scripts and functions run in each mode of `policy.scripts`, with a real Redis.
//!
//! A script that must not run would overwrite a canary. `tests/policy/replies.rs` compares the bytes of
//! the refusals with Redis's own.

mod functions;
mod large;
mod modes;

use redoubt_core::policy::{unknown_command, unknown_subcommand};
use sha1::{Digest, Sha1};
use support::{Deadline, Redis, Redoubt, Wire, frame, shown};

/// A script that reads the canary.
const LISTED: &str = "return redis.call('GET', 'canary')";
/// A script that overwrites the canary.
const OTHER: &str = "return redis.call('SET', 'canary', 'lost')";
/// A pinned library: one function reads, another would write.
const KEPT: &str = "#!lua name=kept
redis.register_function{function_name='Kept_Get', flags={'no-writes'},
  callback=function() return redis.call('GET', 'canary') end}
redis.register_function('kept_seven', function() return 7 end)";
/// A library that is not pinned.
const STRAY: &str = "#!lua name=stray
redis.register_function('stray', function() return redis.call('SET', 'canary', 'lost') end)";

/// Returns the SHA-1 digest of a script, as Redis shows it.
fn digest(script: &str) -> String {
    Sha1::digest(script).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A Redis with a canary and all scripts and functions, and a Redoubt in front of it.
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
    let runs = Deadline::standard().poll(|| wire.command(&["FCALL", name, "0"]) == b":7\r\n");
    assert!(runs, "{name} never runs");
}

/// Returns the reply to a refused request, which differs for subcommands.
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
