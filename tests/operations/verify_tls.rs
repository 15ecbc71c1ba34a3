//! `redoubt verify` over TLS, against a real redis-server with TLS.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, date_time_ymd};
use serde_json::Value;
use support::certificates::{Authority, Kind, Pair};
use support::{Redis, Redoubt};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a certificate for localhost that is valid for this long.
fn good_for(authority: &Authority, left: Duration) -> Pair {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    params.not_after = date_time_ymd(1970, 1, 1) + now + left;
    authority.issue_as("localhost", params, Kind::Good)
}

/// Starts a Redis with TLS and this certificate.
fn speaking(authority: &Authority, pair: &Pair) -> Redis {
    Redis::setup().tls(pair, &authority.ca(), "no").start()
}

fn url(redis: &Redis) -> String {
    format!("rediss://localhost:{}", redis.tls_port())
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn verify(url: &str, password: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["verify", url]).args(args).env_clear().env("REDOUBT_PASSWORD", password);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains(password) && !err.contains(password), "{out}{err}");
    (output.status.code(), out, err)
}

fn json(url: &str, password: &str, args: &[&str]) -> Value {
    let (_, out, err) = verify(url, password, &[&["--json"], args].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"))
}

/// Returns the outcome of the check with this id, and its text.
fn check<'a>(report: &'a Value, id: &str) -> (&'a str, &'a str) {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}: {report}"));
    (check["outcome"].as_str().unwrap(), check["found"].as_str().unwrap())
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_passes_all_checks_for_a_redoubt_with_tls() {
    let (authority, redis) = (Authority::new(), Redis::start());
    let pair = authority.server("server");
    let setup = |client_ca: Option<&std::path::Path>| {
        let setup = Redoubt::setup(&redis)
            .set_text("listen", "tls://127.0.0.1:0")
            .set_text("tls.certificate", path(&pair.certificate))
            .set_text("tls.key", path(&pair.key));
        client_ca.into_iter().fold(setup, |setup, ca| setup.set_text("tls.client_ca", path(ca)))
    };
    let ca = authority.ca();
    let trusting = ["--ca", path(&ca)];
    let redoubt = setup(None).start();
    let url = format!("rediss://{}", redoubt.address());
    let report = json(&url, redoubt.password(), &trusting);
    for (id, found) in [("tls", "TLS 1.3"), ("tls-old", "refused"), ("transport", "in TLS")] {
        assert_eq!(check(&report, id), ("holds", found), "{report}");
    }
    assert_eq!(report["holds"], true, "{report}");
    assert_eq!(verify(&url, redoubt.password(), &trusting).0, Some(0));

    let redoubt = setup(Some(&ca)).start();
    let url = format!("rediss://{}", redoubt.address());
    let app = authority.issue("app", &["app.test"], Kind::Good);
    let showing = [&trusting[..], &["--cert", path(&app.certificate), "--key", path(&app.key)]];
    let report = json(&url, redoubt.password(), &showing.concat());
    assert_eq!(check(&report, "client-certificate"), ("holds", "refused"), "{report}");
    assert_eq!(report["holds"], true, "{report}");
    assert_eq!(check(&json(&url, redoubt.password(), &trusting), "tls").0, "fails");
}

#[test]
fn verify_passes_a_valid_certificate_and_reports_its_days() {
    let authority = Authority::new();
    let redis = speaking(&authority, &good_for(&authority, DAY * 100 + DAY / 2));
    let ca = authority.ca();
    let report =
        json(&url(&redis), redis.password(), &["--ca", path(&ca), "--direct", &url(&redis)]);
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.3"), "{report}");
    let (outcome, found) = check(&report, "certificate");
    assert!(found.starts_with("for localhost, until 2") && found.ends_with(": 100 days left"));
    assert_eq!(outcome, "holds");
    assert_eq!(check(&report, "tls-old"), ("holds", "refused"));
    assert_eq!(check(&report, "transport"), ("holds", "in TLS"));
    assert_eq!(check(&report, "ping"), ("holds", "+PONG"));
    assert_eq!(check(&report, "direct"), ("fails", "accepts the clients' password"));
}

#[test]
fn verify_warns_of_a_certificate_that_expires_soon() {
    let authority = Authority::new();
    let pair = good_for(&authority, DAY * 13 + DAY / 2);
    let redis = Redis::setup().tls(&pair, &authority.ca(), "no").config("tls-protocols TLSv1.2");
    let redis = redis.start();
    let report = json(&url(&redis), redis.password(), &["--ca", path(&authority.ca())]);
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.2"), "{report}");
    let (outcome, found) = check(&report, "certificate");
    assert!(outcome == "warns" && found.ends_with(": 13 days left"), "{found}");
}

/// No request is sent to such a server, above all no password.
#[test]
fn verify_stops_at_an_invalid_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let issue = |file: &str, name: &str, kind| authority.issue(file, &[name], kind);
    for (pair, trusted, words) in [
        (issue("over", "localhost", Kind::Expired), &authority, "xpired"),
        (issue("soon", "localhost", Kind::Future), &authority, "not valid yet"),
        (issue("other", "elsewhere.test", Kind::Good), &authority, "not valid for name"),
        (issue("good", "localhost", Kind::Good), &other, "no CA that is trusted here"),
        (
            issue("itself", "localhost", Kind::SelfSignedCa),
            &authority,
            "it is the certificate of a CA",
        ),
    ] {
        let redis = speaking(&authority, &pair);
        let report = json(&url(&redis), redis.password(), &["--ca", path(&trusted.ca())]);
        let (outcome, found) = check(&report, "tls");
        assert!(outcome == "fails" && found.contains(words), "{words}: {report}");
        assert_eq!(report["checks"].as_array().unwrap().len(), 1, "{report}");
        let count = redis.direct().command(&["INFO", "commandstats"]);
        let count = String::from_utf8(count).unwrap();
        // The connection that asks has authenticated itself.
        assert!(!count.contains("ping") && count.contains("cmdstat_auth:calls=1,"), "{count}");
        let (code, ..) = verify(&url(&redis), redis.password(), &["--ca", path(&trusted.ca())]);
        assert_eq!(code, Some(1));
    }
}

#[test]
fn verify_with_a_certificate_also_tries_clients_without_one() {
    let authority = Authority::new();
    let (server, client) = (authority.server("server"), authority.server("client"));
    let ca = authority.ca();
    let [ca_file, cert, key] = [&ca, &client.certificate, &client.key].map(|file| path(file));
    let own = ["--ca", ca_file, "--cert", cert, "--key", key];
    for (asked, outcome) in [("yes", "holds"), ("optional", "warns")] {
        let redis = Redis::setup().tls(&server, &ca, asked).start();
        let report = json(&url(&redis), redis.password(), &own);
        assert_eq!(check(&report, "client-certificate").0, outcome, "{asked}: {report}");
        assert_eq!(check(&report, "ping"), ("holds", "+PONG"));
        if asked == "yes" {
            let report = json(&url(&redis), redis.password(), &own[..2]);
            assert_eq!(check(&report, "tls").0, "fails", "{report}");
        }
    }
}

#[test]
fn verify_fails_if_old_tls_versions_are_accepted() {
    let authority = Authority::new();
    let pair = authority.server("server");
    // OpenSSL accepts so old a version only at its lowest security level.
    let old = "tls-protocols \"TLSv1 TLSv1.1 TLSv1.2\"\ntls-ciphers DEFAULT:@SECLEVEL=0";
    let redis = Redis::setup().tls(&pair, &authority.ca(), "no").config(old).start();
    let report = json(&url(&redis), redis.password(), &["--ca", path(&authority.ca())]);
    assert_eq!(check(&report, "tls-old"), ("fails", "is accepted"), "{report}");
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.2"), "{report}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_accepts_a_tls_redis_behind_a_plain_listener() {
    let authority = Authority::new();
    let redis = speaking(&authority, &authority.server("server"));
    let redoubt = Redoubt::start(&redis);
    let plain = format!("redis://{}", redoubt.address());
    let (ca, direct) = (authority.ca(), url(&redis));
    let args = ["--ca", path(&ca), "--direct", &direct];
    let report = json(&plain, redoubt.password(), &args);
    assert_eq!(check(&report, "direct"), ("holds", "requires a password of its own"));
    assert_eq!(check(&report, "transport"), ("holds", "plain, over loopback"));
    assert_eq!(report["holds"], true, "{report}");
}

#[test]
fn verify_reports_tls_to_a_plain_port_and_plain_text_to_a_tls_port() {
    let authority = Authority::new();
    let redis = speaking(&authority, &authority.server("server"));
    let plain = format!("rediss://localhost:{}", redis.port());
    let report = json(&plain, redis.password(), &["--ca", path(&authority.ca())]);
    assert_eq!(check(&report, "tls").0, "fails");
    let encrypted = format!("redis://localhost:{}", redis.tls_port());
    let (code, out, err) = verify(&encrypted, redis.password(), &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("it may speak TLS"), "{err}");
}

#[test]
fn errors_for_wrong_tls_options_name_the_options() {
    let password = support::secret();
    let (code, _, err) = verify("redis://localhost", &password, &["--ca", "/nowhere"]);
    assert_eq!((code, err.contains("are for rediss://")), (Some(2), true), "{err}");
    let (code, _, err) = verify("rediss://localhost", &password, &["--ca", "/nowhere"]);
    assert_eq!((code, err.starts_with("redoubt: --ca: cannot read")), (Some(2), true), "{err}");
    let (code, ..) = verify("rediss://localhost", &password, &["--cert", "/nowhere"]);
    assert_eq!(code, Some(2));
}
