//! The hash chain, and `redoubt audit verify`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::support::{Redis, signal, target_is_redis};
use super::{count, lines, log, refused, setup, stop, to_file};

fn verify(files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["audit", "verify"]).args(files).output().unwrap()
}

#[test]
fn the_chain_goes_over_rotation_and_a_kill_and_shows_changes() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || {
        setup(&redis, &dir)
            .set("audit.hash_chain", "true")
            .set_text("audit.max_size", "64kb")
            .start()
    };
    let mut redoubt = chained();
    let mut session = redoubt.session();
    for _ in 0..500 {
        session.command(&["CONFIG", "GET", "x"]);
    }
    signal(redoubt.pid(), "KILL");
    redoubt.wait();
    // As a crash in the middle of a write leaves it.
    let mut text = fs::read(log(&dir)).unwrap();
    text.extend(b"{\"schema\":1,\"ti");
    fs::write(log(&dir), text).unwrap();
    stop(chained());
    let second = dir.path().join("audit.log.1");
    let third = dir.path().join("audit.log.2");
    let mut files: Vec<_> = [third, second, log(&dir)].into_iter().filter(|f| f.exists()).collect();
    assert!(files.len() > 1, "nothing was rotated");
    let whole = verify(&files);
    assert!(whole.status.success(), "{whole:?}");
    let all: Vec<_> = files.iter().flat_map(|file| lines(file)).collect();
    assert_eq!(count(&all, "log_repaired"), 1, "nothing says that half a line was cut off");

    let last = files.pop().unwrap();
    let good = fs::read_to_string(&last).unwrap();
    let mut removed: Vec<_> = good.lines().collect();
    removed.remove(1);
    let mut swapped: Vec<_> = good.lines().collect();
    swapped.swap(0, 1);
    let altered = good.replacen("\"uptime_ms\":", "\"uptime_ms\":1", 1);
    for bad in [removed.join("\n") + "\n", swapped.join("\n") + "\n", altered] {
        fs::write(&last, bad).unwrap();
        assert_eq!(verify(std::slice::from_ref(&last)).status.code(), Some(1));
    }
}

#[test]
fn a_chain_that_cannot_go_on_begins_anew_with_a_file() {
    if target_is_redis() {
        return;
    }
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let chained = || setup(&redis, &dir).set("audit.hash_chain", "true");
    let number = |number: u32| dir.path().join(format!("audit.log.{number}"));
    // Turned on over lines without.
    stop(setup(&redis, &dir).start());
    let unchained = fs::read(log(&dir)).unwrap();
    stop(chained().start());
    assert_eq!(fs::read(number(1)).unwrap(), unchained);
    assert_eq!(count(&lines(&log(&dir)), "chain_started"), 1);
    assert!(verify(&[log(&dir)]).status.success());
    // It goes on after a rotation from outside,
    fs::rename(log(&dir), number(1)).unwrap();
    stop(chained().start());
    assert_eq!(count(&lines(&log(&dir)), "chain_started"), 0);
    assert!(verify(&[number(1), log(&dir)]).status.success());
    // but not from a last line that was changed.
    let text = fs::read_to_string(log(&dir)).unwrap();
    let changed = text.replace("\"event\":\"stopped\"", "\"event\":\"session_opened\"");
    assert_ne!(changed, text);
    fs::write(log(&dir), &changed).unwrap();
    stop(chained().start());
    assert_eq!(fs::read_to_string(number(1)).unwrap(), changed);
    assert!(verify(&[log(&dir)]).status.success());
    let both = verify(&[number(1), log(&dir)]);
    let said = String::from_utf8(both.stdout).unwrap();
    assert!(both.status.code() == Some(1) && said.contains("audit.log.1:"), "{said}");
    // Nothing is thrown away for it.
    fs::write(log(&dir), &unchained).unwrap();
    let none = format!("{}\nhash_chain = true\nmax_files = 0", to_file(&dir));
    let error = refused(&redis, &dir, &none);
    assert!(error.contains("is in no chain"), "{error}");
    assert_eq!(fs::read(log(&dir)).unwrap(), unchained);
}
