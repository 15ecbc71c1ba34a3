//! The wall clock jumps, by a year and back; the monotonic clock does not.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::says;
use support::{Deadline, Redis, Redoubt, secret, signal};

/// A library that changes the time of day of a process, at its place in Debian.
const PRELOAD: &str = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";

/// Returns the prefix that makes a program take its time of day from `file`, which contains the offset.
fn by_clock(file: &Path) -> [String; 5] {
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", file.display());
    let words = ["env", PRELOAD, &file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    words.map(str::to_owned)
}

fn year(words: &[String]) -> i32 {
    let mut date = Command::new(&words[0]);
    let output = date.args(&words[1..]).args(["date", "+%Y"]).stderr(Stdio::null()).output();
    String::from_utf8(output.expect("run date").stdout).unwrap().trim().parse().expect("a year")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_jumping_wall_clock_expires_previous_passwords_and_moves_no_timer() {
    let (redis, dir) = (Redis::start(), tempfile::tempdir().unwrap());
    let (clock, audit) = (dir.path().join("clock"), dir.path().join("audit.log"));
    // The file is renamed into place, so that it is never read half written.
    let set = |offset: &str| {
        let beside = dir.path().join("next");
        std::fs::write(&beside, offset).unwrap();
        std::fs::rename(beside, &clock).unwrap();
    };
    let words = by_clock(&clock);
    set("+400d");
    let later = year(&words);
    set("+0");
    assert_ne!(later, year(&words), "the time of day cannot be set: apt-get install -y faketime");
    let old = secret();
    let until = later + 10;
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password", &old)
        .set_text("client.previous_until", &format!("{until}-01-01T00:00:00Z"))
        .set_text("limits.idle_timeout", "60s")
        .set_text("audit.output", "file")
        .set_text("audit.file", audit.to_str().unwrap())
        .through(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .start();
    redoubt.wait_until_it_serves();
    let (mut new, mut unauthenticated) = (redoubt.session(), redoubt.connect());
    let mut previous = redoubt.connect();
    assert_eq!(previous.command(&["AUTH", &old]), b"+OK\r\n");
    let written = |count: usize, event: &str| {
        let wanted = format!("\"event\":\"{event}\"");
        let text = || std::fs::read_to_string(&audit).unwrap();
        assert!(Deadline::standard().poll(|| text().matches(&wanted).count() >= count), "{event}");
    };
    let mut refused = 0;
    // The clock goes back by a year, which changes nothing, and then beyond the end of the previous
    // password.
    let blocked = ["CONFIG", "DEBUG", "FLUSHALL", "FLUSHDB"];
    for (offset, command) in ["-400d", "+400d", "+8000d", "-8000d"].into_iter().zip(blocked) {
        set(offset);
        if offset == "+8000d" {
            says(&redoubt, "previous client password is over");
            assert_eq!(previous.read_to_close(), b"");
        }
        assert_eq!(new.command(&["EVAL", "return 1", "0"]), b":1\r\n", "{offset}");
        assert_eq!(unauthenticated.command(&["PING"]), b"-NOAUTH Authentication required.\r\n");
        assert!(new.command(&[command, "x"]).starts_with(b"-ERR unknown command"));
        refused += 1;
        written(refused, "command_refused");
        redoubt.wait_until_it_serves();
    }
    redoubt.wait_until_ready();
    // The previous password stays invalid when the clock goes back.
    assert!(redoubt.connect().command(&["AUTH", &old]).starts_with(b"-WRONGPASS"));
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    let text = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let years = |line: &Value| line["time"].as_str().unwrap()[..4].parse::<i32>().unwrap();
    assert!(lines.iter().any(|line| years(line) > until), "no line tells of the jump");
    let mut before = 0;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], index as u64 + 1);
        let uptime = line["uptime_ms"].as_u64().unwrap();
        assert!((before..120_000).contains(&uptime), "{uptime} after {before}");
        before = uptime;
    }
}
