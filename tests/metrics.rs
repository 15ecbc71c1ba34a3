//! What is counted, against a real Redis. The proxy runs in this process, since the recorder is one
//! for the whole process; each test looks at series that no other test changes.

#[expect(unused_imports, reason = "the proxy runs in this process")]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redoubt::telemetry::metrics;
use support::inside::{Inside, value};
use support::{Deadline, Redis};

/// The one that the tests that run now share.
fn proxy() -> Arc<Inside> {
    static RUNNING: Mutex<Weak<Inside>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(proxy) = running.upgrade() {
        return proxy;
    }
    let redis = Redis::setup().config("enable-debug-command local").start();
    let proxy = Arc::new(Inside::start(redis, ""));
    *running = Arc::downgrade(&proxy);
    proxy
}

/// Waits until `series` has grown by exactly `by` since it was `before`.
fn grows(series: &str, before: f64, by: f64) {
    let grown = Deadline::patient().poll(|| value(series) - before >= by);
    assert!(grown, "{series} is {} and was {before}", value(series));
    assert_eq!(value(series) - before, by, "{series}");
}

#[test]
fn commands_are_counted_by_name_and_outcome() {
    let proxy = proxy();
    let mut client = proxy.client();
    for _ in 0..7 {
        client.command(&["STRLEN", "counted"]);
    }
    client.command(&["CLIENT", "GETNAME"]);
    client.command(&["FLUSHDB"]);
    client.command(&["FLUSHDB"]);
    grows("redoubt_commands_total{command=\"strlen\",outcome=\"ok\"}", 0.0, 7.0);
    grows("redoubt_commands_total{command=\"client|getname\",outcome=\"local\"}", 0.0, 1.0);
    grows("redoubt_commands_total{command=\"flushdb\",outcome=\"refused\"}", 0.0, 2.0);
    let rule = "redoubt_refused_commands_total{rule=\"flushdb\"}";
    let upper = "redoubt_refused_commands_total{rule=\"FLUSHDB\"}";
    assert_eq!(value(rule) + value(upper), 2.0);
}

#[test]
fn unknown_commands_make_no_series() {
    let proxy = proxy();
    let mut client = proxy.client();
    let series = "redoubt_commands_total{command=\"other\",outcome=\"error\"}";
    for index in 0..1000 {
        client.command(&[format!("UNKNOWN{index}")]);
    }
    grows(series, 0.0, 1000.0);
    assert!(!metrics::render().to_lowercase().contains("unknown1"));
}

#[test]
fn no_secret_and_no_argument_is_in_a_scrape() {
    let proxy = proxy();
    let mut client = proxy.client();
    client.command(&["SET", "canary-key", "canary-value"]);
    client.command(&["CONFIG", "canary-word"]);
    client.command(&["CLIENT", "SETNAME", "canary-name"]);
    client.command(&["AUTH", "canary-user", "canary-password"]);
    let failed = "redoubt_authentications_total{outcome=\"failed\"}";
    assert!(Deadline::patient().poll(|| value(failed) >= 1.0));
    let set = "redoubt_commands_total{command=\"set\",outcome=\"ok\"}";
    assert!(Deadline::patient().poll(|| value(set) >= 1.0));
    let scrape = metrics::render();
    for secret in ["canary", &proxy.password, proxy.redis.password()] {
        assert!(!scrape.contains(secret), "a scrape tells a secret");
    }
}

/// While Redis sleeps it is Redis's part that grows.
#[test]
fn a_slow_redis_is_not_taken_for_a_slow_redoubt() {
    let proxy = proxy();
    let mut client = proxy.client();
    let sum = |part| {
        let labels = format!("{{class=\"pubsub\",part=\"{part}\"}}");
        value(&format!("redoubt_request_duration_seconds_sum{labels}"))
    };
    client.command(&["PUBLISH", "warm", "up"]);
    assert!(Deadline::patient().poll(|| sum("upstream") > 0.0));
    let before = (sum("redoubt"), sum("upstream"));
    let mut direct = proxy.redis.direct();
    direct.send(b"DEBUG SLEEP 0.5\r\n");
    // Slowly, so that there is room for a sample when Redis has fallen asleep.
    Deadline::after(Duration::from_millis(400)).poll(|| {
        client.command(&["PUBLISH", "slow", "down"]);
        false
    });
    direct.expect(b"+OK\r\n");
    assert!(Deadline::patient().poll(|| sum("upstream") - before.1 > 0.3), "{}", sum("upstream"));
    assert!(sum("redoubt") - before.0 < 0.25, "{}", sum("redoubt") - before.0);
}

#[test]
fn the_page_lists_what_a_scrape_has() {
    let proxy = proxy();
    let mut client = proxy.client();
    client.command(&["GET", "key"]);
    client.command(&["DEBUG", "JMAP"]);
    proxy.client().command(&["QUIT"]);
    let page = std::fs::read_to_string("docs/metrics.md").unwrap();
    let listed: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .filter(|(name, _)| name.starts_with("redoubt_") || name.starts_with("process_"))
        .map(|(name, rest)| {
            let kind = rest.split('|').nth(1).unwrap_or_default().trim();
            format!("{name} {kind}")
        })
        .collect();
    let scraped = || -> BTreeSet<_> {
        let scrape = metrics::render();
        scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect()
    };
    Deadline::after(Duration::from_secs(5)).poll(|| scraped() == listed);
    assert_eq!(scraped(), listed);
}
