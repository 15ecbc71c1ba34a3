//! `/refused` and `redoubt refused`: which commands were refused to which programs, and what opens them.

use serde_json::{Value, json};

use super::program;
use support::http::http_get;
use support::{Redis, Redoubt, Wire, signal};

fn refused(redoubt: &Redoubt, query: &str) -> Value {
    let (status, _, body) = http_get(redoubt.admin(), &format!("/refused{query}"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn refuse(session: &mut Wire, command: &[&str]) {
    let reply = session.command(command);
    assert!(reply.starts_with(b"-ERR unknown "), "{command:?}");
}

/// A session of a program that names itself and its library.
fn named(redoubt: &Redoubt, name: &str) -> Wire {
    let mut session = redoubt.session();
    assert_eq!(session.command(&["CLIENT", "SETNAME", name]), b"+OK\r\n");
    assert_eq!(session.command(&["CLIENT", "SETINFO", "LIB-NAME", "redis-py"]), b"+OK\r\n");
    assert_eq!(session.command(&["CLIENT", "SETINFO", "LIB-VER", "5.0.1"]), b"+OK\r\n");
    session
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn refused_commands_are_listed_by_program_and_command() {
    let redis = Redis::setup().server("redis-8.0").start();
    let redoubt = Redoubt::setup(&redis).set("workers", 2).start();
    assert_eq!(refused(&redoubt, "")["groups"], json!([]));
    // More sessions than workers, so that one group is counted by both.
    let mut sessions: Vec<_> = (0..4).map(|_| named(&redoubt, "worker")).collect();
    for session in &mut sessions {
        refuse(session, &["CONFIG", "GET", "dir"]);
        refuse(session, &["config", "get", "canary-of-an-argument"]);
    }
    let mut other = redoubt.session();
    refuse(&mut other, &["SWAPDB", "0", "1"]);
    refuse(&mut other, &["FLUSHALL"]);
    refuse(&mut redoubt.connect(), &["FLUSHALL"]);
    let answer = refused(&redoubt, "");
    let fields = ["count", "user", "name", "library", "command", "rule", "opened_by"];
    let groups: Vec<_> = answer["groups"].as_array().expect("a list").iter().collect();
    let shown: Vec<_> =
        groups.iter().map(|group| json!(fields.map(|field| &group[field]))).collect();
    let config = "policy.compat.config_get";
    for wanted in [
        json!([8, "default", "worker", "redis-py 5.0.1", "config|get", "config", config]),
        json!([1, "default", null, null, "swapdb", "swapdb", "policy.allow"]),
        json!([1, "default", null, null, "flushall", "flushall", "policy.compat.flush"]),
        json!([1, null, null, null, "flushall", "flushall", null]),
    ] {
        assert!(shown.contains(&wanted), "{wanted} is not in {answer}");
    }
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0]["count"], 8, "the most frequent first");
    let (peer, session) = (&groups[0]["last_peer"], &groups[0]["last_session"]);
    let (_, _, listed) = http_get(redoubt.admin(), "/sessions");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let is_it =
        |one: &Value| one["session"] == *session && one["peer"] == *peer && one["name"] == "worker";
    assert!(listed["sessions"].as_array().expect("a list").iter().any(is_it), "{answer}, {listed}");
    assert!(!answer.to_string().contains("canary"));
    // A group counts in each time that reaches to its last refusal.
    let day = refused(&redoubt, "?since=86400");
    let counts = |answer: &Value| {
        let groups = answer["groups"].as_array().expect("a list");
        groups.iter().map(|group| group["count"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(counts(&day), counts(&answer));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn log_and_audit_log_tell_of_a_refused_command_once_per_session() {
    let redis = Redis::setup().server("redis-8.0").start();
    let mut redoubt = Redoubt::setup(&redis).set_text("audit.output", "stdout").start();
    for _ in 0..2 {
        let mut session = named(&redoubt, "worker");
        for _ in 0..20 {
            refuse(&mut session, &["CONFIG", "GET", "dir"]);
            refuse(&mut session, &["Config", "Rewrite"]);
        }
        refuse(&mut session, &["SCRIPT", "FLUSH"]);
        assert_eq!(session.command(&["QUIT"]), b"+OK\r\n");
        session.read_to_close();
    }
    let (_, _, stats) = http_get(redoubt.admin(), "/stats");
    let log = redoubt.log().clone();
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    log.wait_for_end();
    let all = log.all();
    let fields = |command: &str, rule: &str, opened_by: &str| {
        format!(
            "\"name\":\"worker\",\"library\":\"redis-py 5.0.1\",\"command\":\"{command}\",\
             \"rule\":\"{rule}\",\"opened_by\":\"{opened_by}\""
        )
    };
    for (command, rule, opened_by) in [
        ("config|get", "config", "policy.compat.config_get"),
        ("config|rewrite", "config", "policy.blocked"),
        ("script|flush", "script|flush", "policy.allow"),
    ] {
        let wanted = fields(command, rule, opened_by);
        for kind in ["\"event\":\"command_refused\"", "\"message\":\"command refused\""] {
            let lines = all.iter().filter(|line| line.contains(kind) && line.contains(&wanted));
            assert_eq!(lines.count(), 2, "{kind} {wanted} in\n{}", all.join("\n"));
        }
    }
    let told = all.iter().filter(|line| line.contains("\"message\":\"command refused\""));
    assert_eq!(told.count(), 6);
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["commands"]["refused"], 82, "all are counted");
    let closed = all.iter().filter(|line| line.contains("session_closed"));
    assert!(closed.clone().all(|line| line.contains("\"refused\":41")), "{closed:?}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn redoubt_refused_prints_a_table_or_json() {
    let redis = Redis::setup().server("redis-8.0").start();
    let redoubt = Redoubt::start(&redis);
    let admin = redoubt.admin().to_string();
    let run = |more: &[&str]| {
        let output = program::run(&[&["refused", "--admin", &admin], more].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        program::text(&output.stdout)
    };
    assert_eq!(run(&[]), "Nothing was refused.\n");
    let mut session = named(&redoubt, &"long-name-".repeat(12));
    refuse(&mut session, &["CONFIG", "GET", "dir"]);
    refuse(&mut session, &["CONFIG", "SET", "dir", "/"]);
    for text in [run(&[]), run(&["--since", "1h"])] {
        let lines: Vec<_> = text.lines().collect();
        let headings = lines[0].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(headings, "COUNT LAST USER PROGRAM COMMAND RULE OPENED BY");
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[1].contains("config|get") && lines[1].contains("policy.compat.config_get"),
            "{text}"
        );
        assert!(lines[2].contains("config|set") && lines[2].contains("policy.blocked"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{text}");
    }
    let json: Value = serde_json::from_str(&run(&["--since", "10m", "--json"])).expect("JSON");
    assert_eq!(
        (&json["since_seconds"], &json["groups"][0]["library"]),
        (&600.into(), &"redis-py 5.0.1".into())
    );
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_time_that_is_not_kept_is_an_error() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    for query in [
        "?since=0",
        "?since=86401",
        "?since=1h",
        "?since=",
        "?sinc=1",
        "?since=-1",
        "?since=99999999999999999999",
    ] {
        let (status, _, body) = http_get(redoubt.admin(), &format!("/refused{query}"));
        assert_eq!((status, &*body), (400, "expected since=SECONDS, from 1 to 86400\n"), "{query}");
    }
    let admin = redoubt.admin().to_string();
    for since in ["0s", "25h", "soon"] {
        let output = program::run(&["refused", "--admin", &admin, "--since", since]);
        assert_eq!(output.status.code(), Some(2), "{since}");
        let text = program::text(&output.stderr);
        assert!(text.contains("expected a time from 1s to 1day"), "{text}");
    }
}
