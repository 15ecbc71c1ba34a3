//! `/stats` and `redoubt stats`.

use serde_json::{Value, json};

use super::program;
use support::http::http_get;
use support::{Deadline, Redis, Redoubt, signal};

fn stats(redoubt: &Redoubt) -> Value {
    let (status, _, body) = http_get(redoubt.admin(), "/stats");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn stats_sum_up_all_workers_with_and_without_metrics() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis)
        .set("workers", 2)
        .set("metrics.enabled", false)
        .set("limits.max_sessions", 4)
        .start();
    let mut wires: Vec<_> = (0..3).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        assert_eq!(wire.command(&["SET", "k", "v"]), b"+OK\r\n");
        wire.command(&["CONFIG", "GET", "dir"]);
    }
    for command in [&["FLUSHALL"][..], &["CONFIG", "RESETSTAT"], &["CLIENT", "KILL", "x"]] {
        wires[0].command(command);
    }
    assert_eq!(wires[1].command(&["MULTI"]), b"+OK\r\n");
    let mut wrong = redoubt.connect();
    assert!(wrong.command(&["AUTH", "wrong"]).starts_with(b"-WRONGPASS"));
    assert!(redoubt.connect().read_to_close().starts_with(b"-ERR max number of clients"));
    let open = |open: u64| {
        let came = Deadline::standard().poll(|| stats(&redoubt)["sessions"]["open"] == open);
        assert!(came, "{}", stats(&redoubt));
    };
    drop((wires.pop(), wrong));
    open(2);
    let _unauthenticated = redoubt.connect();
    open(3);
    let reported = stats(&redoubt);
    assert_eq!(reported["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&reported["workers"], &reported["unready"]), (&2.into(), &json!([])));
    assert_eq!((&reported["unanswered"], &reported["draining"]), (&json!([]), &false.into()));
    assert_eq!(
        reported["sessions"],
        json!({"open": 3, "unauthenticated": 1, "peak": 4, "opened": 5})
    );
    assert_eq!(reported["links"]["leased"], 1);
    let upstream = &reported["upstream"];
    assert_eq!(upstream["address"], format!("127.0.0.1:{}", redis.port()));
    assert_eq!((&upstream["up"], &upstream["guard"]), (&true.into(), &"guarded".into()));
    assert!(
        upstream["guard_user"].as_str().expect("a guard").starts_with("redoubt-"),
        "{upstream}"
    );
    assert_eq!(upstream["scripts"], "all");
    assert!(upstream["since"].is_string() && upstream["version"].is_string(), "{upstream}");
    // Three times AUTH, SET and CONFIG, three more refused commands, MULTI and a wrong AUTH.
    assert_eq!(reported["commands"]["total"], 3 * 3 + 3 + 1 + 1);
    assert_eq!(reported["commands"]["refused"], 6);
    let refused = json!([
        {"rule": "config", "count": 4},
        {"rule": "client|kill", "count": 1},
        {"rule": "flushall", "count": 1},
    ]);
    assert_eq!(reported["commands"]["refused_by"], refused);
    assert_eq!(reported["logins"], json!({"succeeded": 3, "failed": 1, "locked_out": 0}));
    assert_eq!(reported["connections_refused"]["max_sessions"], 1);
    assert!(
        reported["bytes_in"].as_u64() > Some(400) && reported["bytes_out"].as_u64() > Some(400)
    );
    assert_eq!(reported["reloads"], json!({"succeeded": 0, "failed": 0}));
    assert!(reported["process"]["memory_bytes"].as_u64() > Some(1 << 20), "{reported}");
    assert!(reported["process"]["open_files"].as_u64() > Some(10), "{reported}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn stats_report_an_unavailable_redis_and_a_shutdown() {
    let mut redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", "off")
        .set_text("drain_delay", "20s")
        .set_text("policy.scripts", "read-only")
        .start();
    let up = |up: bool| Deadline::standard().poll(|| stats(&redoubt)["upstream"]["up"] == up);
    assert!(up(true));
    let reported = stats(&redoubt);
    assert_eq!(reported["upstream"]["guard"], "configured");
    assert_eq!(reported["upstream"]["scripts"], "read-only");
    redis.kill();
    assert!(up(false));
    let reported = stats(&redoubt);
    assert_eq!(reported["unready"], json!(["upstream: not authenticated"]));
    signal(redoubt.pid(), "TERM");
    assert!(Deadline::standard().poll(|| stats(&redoubt)["draining"] == true));
    signal(redoubt.pid(), "TERM");
    redoubt.wait();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redoubt_stats_prints_lines_or_json() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    wire.command(&["FLUSHALL"]);
    assert!(Deadline::standard().poll(|| stats(&redoubt)["unready"] == json!([])));
    let admin = redoubt.admin().to_string();
    let output = program::run(&["stats", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = program::text(&output.stdout);
    for line in [
        format!("Redoubt      {}, up ", env!("CARGO_PKG_VERSION")),
        format!(" at 127.0.0.1:{}, up since 20", redis.port()),
        "guard        guarded as redoubt-".to_owned(),
        "sessions     1 open, 0 of them unauthenticated, peak 1, 1 in all".to_owned(),
        "commands     2, 1 refused\n                  1  flushall\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} in:\n{text}");
    }
    let output = program::run(&["stats", "--json", "--admin", &admin]);
    let reported: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(reported["commands"]["refused"], 1);
}

#[test]
fn redoubt_stats_prints_why_there_is_no_answer() {
    let fails = |args: &[&str], why: &str| {
        let output = program::run(args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = program::text(&output.stderr);
        assert!(said.contains(why) && output.stdout.is_empty(), "{args:?}: {output:?}");
    };
    let off = program::configured("off");
    for command in ["sessions", "stats", "refused"] {
        fails(
            &[command, "--config", off.path().to_str().expect("a path")],
            "admin.listen is \"off\"",
        );
        fails(
            &[command, "--admin", "127.0.0.1:1"],
            "cannot connect to the admin port 127.0.0.1:1: ",
        );
    }
}
