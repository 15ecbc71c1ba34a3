//! `POST /reload`.

use serde_json::{Value, json};

use support::http::{http, http_get};
use support::{Redis, Redoubt};

/// Requests a reload, and returns the status and the answer.
fn reload(redoubt: &Redoubt) -> (u16, Value) {
    let address = redoubt.admin();
    let request = format!("POST /reload HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (status, headers, body) = http(address, &request);
    assert!(headers.contains("content-type: application/json"), "{headers}");
    (status, serde_json::from_str(&body).expect("JSON"))
}

fn stats(redoubt: &Redoubt) -> Value {
    serde_json::from_str(&http_get(redoubt.admin(), "/stats").2).expect("JSON")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_reload_answer_comes_after_the_configuration_is_in_force() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n");
    redoubt.write("policy.blocked", Some("[\"GET\"]"));
    redoubt.write("workers", Some("3"));
    let reported = json!({
        "reloaded": true,
        "changed": ["policy.blocked"],
        "needs_restart": ["workers"],
        "closed_sessions": 0,
    });
    assert_eq!(reload(&redoubt), (200, reported));
    assert!(wire.command(&["GET", "k"]).starts_with(b"-ERR unknown command"));
    // Sessions of clients whose address is no longer allowed are closed.
    redoubt.write("allow", Some("[\"192.0.2.0/24\"]"));
    let (status, reported) = reload(&redoubt);
    assert_eq!((status, &reported["closed_sessions"]), (200, &1.into()), "{reported}");
    assert_eq!(stats(&redoubt)["reloads"], json!({"succeeded": 2, "failed": 0}));
    let (_, reported) = reload(&redoubt);
    assert_eq!((&reported["changed"], &reported["closed_sessions"]), (&json!([]), &0.into()));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_reload_of_a_wrong_configuration_changes_nothing_and_its_error_contains_no_secret() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    redoubt.write("limits.max_sessions", Some("\"canary-of-a-value\""));
    let (status, reported) = reload(&redoubt);
    assert_eq!((status, &reported["reloaded"]), (422, &false.into()), "{reported}");
    let error = reported["error"].as_str().expect("an error");
    assert!(error.contains("max_sessions") && !error.contains(redoubt.password()), "{error}");
    assert_eq!(stats(&redoubt)["reloads"], json!({"succeeded": 0, "failed": 1}));
    assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
}
