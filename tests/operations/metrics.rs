//! Counters in a scrape of a real Redoubt with a real Redis.

use std::collections::BTreeSet;
use std::time::Duration;

use support::certificates::Authority;
use support::http::http_get;
use support::redoubt::Setup;
use support::{Deadline, Redis, Redoubt, frame, signal};

/// The password of the identity whose rules are observed.
const OBSERVED: &str = "the password of the observed identity";

fn commands(command: &str, outcome: &str) -> String {
    format!("redoubt_commands_total{{command=\"{command}\",outcome=\"{outcome}\"}}")
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn commands_are_counted_by_name_and_outcome() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut client = redoubt.session();
    client.command(&["SET", "word", "w"]);
    // The counters are right for pipelines too, whatever comes between.
    let [length, push] = [["STRLEN", "word"], ["INCR", "word"]].map(|words| frame::request(&words));
    client.send(&[&*length, &*length, &*push, &*length, &*push, &*push].concat());
    for _ in 0..6 {
        client.frame();
    }
    client.command(&["CLIENT", "GETNAME"]);
    client.command(&["FLUSHDB"]);
    client.command(&["FLUSHDB"]);
    for words in [&["MULTI"][..], &["FLUSHALL"], &["GET", "word"], &["EXEC"]] {
        client.command(words);
    }
    client.command(&["SUBSCRIBE", "one"]);
    for (command, outcome, count) in [
        ("auth", "local", 1.0),
        ("set", "ok", 1.0),
        ("strlen", "ok", 3.0),
        ("incr", "ok", 0.0),
        ("incr", "error", 3.0),
        ("client|getname", "local", 1.0),
        ("flushdb", "refused", 2.0),
        ("multi", "ok", 1.0),
        ("flushall", "refused", 1.0),
        ("get", "ok", 1.0),
        ("exec", "error", 1.0),
        ("subscribe", "ok", 1.0),
    ] {
        redoubt.metric_becomes(&commands(command, outcome), count);
    }
    redoubt.metric_becomes("redoubt_refused_commands_total{rule=\"flushdb\"}", 2.0);
    redoubt.metric_becomes("redoubt_refused_commands_total{rule=\"flushall\"}", 1.0);
    // Requests that Redoubt sends for itself, or in the place of a refused one, are not counted as
    // clients' commands.
    let scrape = redoubt.scrape();
    let others = scrape.lines().filter(|line| line.starts_with("redoubt_commands_total"));
    assert_eq!(others.count(), 11, "{scrape}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn commands_without_a_reply_are_counted_too() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let blocked = || {
        let mut client = redoubt.session();
        client.send(&frame::request(&["BLPOP", "nothing", "0"]));
        redoubt.metric_becomes("redoubt_replies_due", 1.0);
        client
    };
    let series = commands("blpop", "unanswered");
    drop(blocked());
    redoubt.metric_becomes(&series, 1.0);
    let mut client = blocked();
    redis.kill();
    assert_eq!(client.read_to_close(), b"");
    redoubt.metric_becomes(&series, 2.0);
    assert_eq!(redoubt.metric(&commands("blpop", "error")), 0.0);
}

/// A large request that is streamed counts once, whatever other requests run meanwhile.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_large_request_is_counted_once_under_its_own_name() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let (mut large, mut small) = (redoubt.session(), redoubt.session());
    let request = frame::request(&["APPEND", "key", &"v".repeat(1 << 20)]);
    for piece in request.chunks(100_000) {
        large.send(piece);
        small.command(&["STRLEN", "key"]);
    }
    assert_eq!(large.frame(), b":1048576\r\n");
    redoubt.metric_becomes(&commands("append", "ok"), 1.0);
    redoubt.metric_becomes(&commands("strlen", "ok"), 11.0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn unknown_commands_create_no_series() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_knows_its_server();
    let mut client = redoubt.session();
    client.command(&["UNKNOWN"]);
    redoubt.metric_becomes(&commands("other", "local"), 1.0);
    let names = || -> BTreeSet<String> {
        let scrape = redoubt.scrape();
        let series = scrape.lines().filter(|line| line.starts_with("redoubt_commands_total"));
        series.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let before = names();
    for index in 0..1000 {
        client.command(&[format!("UNKNOWN{index}")]);
        client.command(&["CLIENT".to_owned(), format!("UNKNOWN{index}")]);
    }
    redoubt.metric_becomes(&commands("other", "local"), 2001.0);
    assert_eq!(names(), before);
    assert!(!redoubt.scrape().to_lowercase().contains("unknown1"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_scrape_contains_no_secret_and_no_argument() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_knows_its_server();
    let mut client = redoubt.session();
    client.command(&["SET", "canary-key", "canary-value"]);
    client.command(&["CONFIG", "canary-word"]);
    client.command(&["CANARY", "canary-word"]);
    client.command(&["CLIENT", "SETNAME", "canary-name"]);
    client.command(&["AUTH", "canary-user", "canary-password"]);
    redoubt.metric_becomes("redoubt_authentications_total{outcome=\"failed\"}", 1.0);
    redoubt.metric_becomes(&commands("set", "ok"), 1.0);
    redoubt.metric_becomes(&commands("other", "local"), 1.0);
    let scrape = redoubt.scrape();
    for secret in ["canary", "CANARY", redoubt.password(), redis.password()] {
        assert!(!scrape.contains(secret), "a scrape tells a secret");
    }
}

/// While Redis sleeps, only the time that is attributed to Redis grows.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn time_in_a_slow_redis_is_not_attributed_to_redoubt() {
    let redis = Redis::setup().config("enable-debug-command local").start();
    let redoubt = Redoubt::start(&redis);
    let mut client = redoubt.session();
    let sum = |part| {
        let labels = format!("{{class=\"pubsub\",part=\"{part}\"}}");
        redoubt.metric(&format!("redoubt_request_duration_seconds_sum{labels}"))
    };
    client.command(&["PUBLISH", "warm", "up"]);
    assert!(Deadline::standard().poll(|| sum("upstream") > 0.0));
    let before = (sum("redoubt"), sum("upstream"));
    let mut direct = redis.direct();
    direct.send(b"DEBUG SLEEP 0.5\r\n");
    // Requests are sent slowly, so that a sample can be taken after Redis has fallen asleep.
    Deadline::after(Duration::from_millis(400)).poll(|| {
        client.command(&["PUBLISH", "slow", "down"]);
        false
    });
    direct.expect(b"+OK\r\n");
    assert!(Deadline::standard().poll(|| sum("upstream") - before.1 > 0.3), "{}", sum("upstream"));
    assert!(sum("redoubt") - before.0 < 0.25, "{}", sum("redoubt") - before.0);
}

/// Adds an identity whose rules are observed.
pub(crate) fn observing(setup: Setup) -> Setup {
    setup
        .set_text("identities.observed.password", OBSERVED)
        .set("identities.observed.acl", "[\"~*\", \"+get\"]")
        .set_text("identities.observed.mode", "observe")
}

/// Has the identity of [`observing`] do what its rules would refuse.
pub(crate) fn exceed_rules(redoubt: &Redoubt) {
    let mut session = redoubt.connect();
    assert_eq!(session.command(&["AUTH", "observed", OBSERVED]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "key", "value"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_metrics_page_lists_the_metrics_of_a_scrape() {
    let (redis, authority) = (Redis::start(), Authority::new());
    let shown = authority.server("shown");
    let redoubt = Redoubt::setup(&redis)
        .set("listen", "[\"127.0.0.1:0\", \"tls://127.0.0.1:0\"]")
        .set_text("tls.certificate", &shown.certificate.display().to_string())
        .set_text("tls.key", &shown.key.display().to_string());
    let redoubt = observing(redoubt).start();
    exceed_rules(&redoubt);
    let mut client = redoubt.session();
    client.command(&["GET", "key"]);
    client.command(&["DEBUG", "JMAP"]);
    redoubt.session().command(&["QUIT"]);
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
        let scrape = redoubt.scrape();
        scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect()
    };
    Deadline::after(Duration::from_secs(5)).poll(|| scraped() == listed);
    assert_eq!(scraped(), listed);
    // rcgen's default end is in the year 4096.
    let ends = "redoubt_certificate_expiry_timestamp_seconds{key=\"tls.certificate\"}";
    assert_eq!(redoubt.metric(ends), 67_090_118_400.0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn readyz_fails_without_redis_and_while_draining() {
    let mut redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("drain_delay", "60s").start();
    redoubt.metric_becomes("redoubt_ready", 1.0);
    redis.kill();
    redoubt.metric_becomes("redoubt_ready", 0.0);
    redoubt.metric_becomes("redoubt_upstream_up", 0.0);
    assert_eq!(redoubt.metric("redoubt_upstream_losses_total"), 1.0);
    redis.restart();
    redoubt.metric_becomes("redoubt_ready", 1.0);
    redoubt.metric_becomes("redoubt_upstream_up", 1.0);
    signal(redoubt.pid(), "TERM");
    redoubt.metric_becomes("redoubt_ready", 0.0);
    assert_eq!(redoubt.metric("redoubt_upstream_up"), 1.0);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn metrics_cannot_be_scraped_if_disabled() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("metrics.enabled", false).start();
    redoubt.session().command(&["PING"]);
    assert_eq!(http_get(redoubt.admin(), "/metrics").0, 404);
    assert_eq!(http_get(redoubt.admin(), "/livez").0, 200);
}
