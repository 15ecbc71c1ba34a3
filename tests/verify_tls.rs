//! `redoubt verify` over TLS, against a real redis-server that speaks it.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::Value;
use support::{Redis, Redoubt, target_is_redis};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A CA, and certificates of its own in files.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two of one name would be taken for each other.
        params.distinguished_name.push(DnType::CommonName, support::secret());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The files of a certificate for `name` that ends after `left`, or did so long ago.
    fn issue(&self, name: &str, left: Duration, is_over: bool) -> [PathBuf; 2] {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let end = if is_over { now - left } else { now + left };
        params.not_after = date_time_ymd(1970, 1, 1) + end;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files =
            ["crt", "key"].map(|kind| self.dir.path().join(format!("{name}-{left:?}.{kind}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

/// A redis-server that also speaks TLS, on the port that is given with it.
fn speaking(ca: &Path, [certificate, key]: &[PathBuf; 2], more: &str) -> (Redis, u16) {
    let port = support::redis::free_port();
    let redis = Redis::setup().config(&format!(
        "tls-port {port}\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n{more}",
        ca.display(),
        certificate.display(),
        key.display(),
    ));
    (redis.start(), port)
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

/// The outcome of the check with that id, and what it found.
fn check<'a>(report: &'a Value, id: &str) -> (&'a str, &'a str) {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}: {report}"));
    (check["outcome"].as_str().unwrap(), check["found"].as_str().unwrap())
}

#[test]
fn a_good_certificate_holds_and_tells_its_days() {
    let authority = Authority::new();
    let ca = authority.ca();
    let files = authority.issue("localhost", DAY * 100 + DAY / 2, false);
    let (redis, port) = speaking(&ca, &files, "tls-auth-clients no");
    let url = format!("rediss://localhost:{port}");
    let direct = format!("rediss://localhost:{port}");
    let args = ["--ca", ca.to_str().unwrap(), "--direct", &direct];
    let report = json(&url, redis.password(), &args);
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.3"), "{report}");
    let (outcome, found) = check(&report, "certificate");
    assert!(found.starts_with("for localhost, until 2") && found.ends_with(": 100 days left"));
    assert_eq!(outcome, "holds");
    assert_eq!(check(&report, "tls-old"), ("holds", "refused"));
    assert_eq!(check(&report, "transport"), ("holds", "in TLS"));
    assert_eq!(check(&report, "ping"), ("holds", "+PONG"));
    assert_eq!(check(&report, "direct"), ("fails", "takes the clients' password"));
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let authority = Authority::new();
    let ca = authority.ca();
    let files = authority.issue("localhost", DAY * 13 + DAY / 2, false);
    let (redis, port) = speaking(&ca, &files, "tls-auth-clients no\ntls-protocols TLSv1.2");
    let url = format!("rediss://localhost:{port}");
    let report = json(&url, redis.password(), &["--ca", ca.to_str().unwrap()]);
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.2"), "{report}");
    let (outcome, found) = check(&report, "certificate");
    assert!(outcome == "warns" && found.ends_with(": 13 days left"), "{found}");
}

/// Nothing is asked of it, least of all a password.
#[test]
fn a_certificate_that_is_not_good_fails_and_ends_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (ca, other) = (authority.ca(), other.ca());
    let over = authority.issue("localhost", DAY, true);
    let elsewhere = authority.issue("elsewhere.test", DAY * 90, false);
    let good = authority.issue("localhost", DAY * 90, false);
    for (files, trusted, words) in [
        (&over, &ca, "xpired"),
        (&elsewhere, &ca, "not valid for name"),
        (&good, &other, "UnknownIssuer"),
    ] {
        let (redis, port) = speaking(&ca, files, "tls-auth-clients no");
        let url = format!("rediss://localhost:{port}");
        let args = ["--ca", trusted.to_str().unwrap()];
        let report = json(&url, redis.password(), &args);
        let (outcome, found) = check(&report, "tls");
        assert!(outcome == "fails" && found.contains(words), "{words}: {report}");
        assert_eq!(report["checks"].as_array().unwrap().len(), 1, "{report}");
        assert_eq!(verify(&url, redis.password(), &args).0, Some(1));
    }
}

#[test]
fn clients_without_a_certificate_are_tried_where_one_is_given() {
    let authority = Authority::new();
    let ca = authority.ca();
    let server = authority.issue("localhost", DAY * 90, false);
    let [cert, key] = authority.issue("client.test", DAY * 80, false);
    let [ca_text, cert, key] = [&ca, &cert, &key].map(|path| path.to_str().unwrap());
    let own = ["--ca", ca_text, "--cert", cert, "--key", key];
    for (asked, outcome) in [("yes", "holds"), ("optional", "warns")] {
        let (redis, port) = speaking(&ca, &server, &format!("tls-auth-clients {asked}"));
        let url = format!("rediss://localhost:{port}");
        let report = json(&url, redis.password(), &own);
        assert_eq!(check(&report, "client-certificate").0, outcome, "{asked}: {report}");
        assert_eq!(check(&report, "ping"), ("holds", "+PONG"));
        if asked == "yes" {
            let report = json(&url, redis.password(), &own[..2]);
            assert_eq!(check(&report, "tls").0, "fails", "{report}");
        }
    }
}

#[test]
fn old_versions_that_are_taken_fail() {
    let authority = Authority::new();
    let ca = authority.ca();
    let files = authority.issue("localhost", DAY * 90, false);
    // OpenSSL takes so old a version at its lowest level only.
    let old = "tls-auth-clients no\ntls-protocols \"TLSv1 TLSv1.1 TLSv1.2\"\n\
               tls-ciphers DEFAULT:@SECLEVEL=0";
    let (redis, port) = speaking(&ca, &files, old);
    let url = format!("rediss://localhost:{port}");
    let report = json(&url, redis.password(), &["--ca", ca.to_str().unwrap()]);
    assert_eq!(check(&report, "tls-old"), ("fails", "is taken"), "{report}");
    assert_eq!(check(&report, "tls"), ("holds", "TLS 1.2"), "{report}");
}

#[test]
fn a_redis_in_tls_may_be_behind_a_plain_listener() {
    if target_is_redis() {
        return;
    }
    let authority = Authority::new();
    let ca = authority.ca();
    let files = authority.issue("localhost", DAY * 90, false);
    let (redis, port) = speaking(&ca, &files, "tls-auth-clients no");
    let redoubt = Redoubt::start(&redis);
    let url = format!("redis://{}", redoubt.address());
    let direct = format!("rediss://localhost:{port}");
    let args = ["--ca", ca.to_str().unwrap(), "--direct", &direct];
    let report = json(&url, redoubt.password(), &args);
    assert_eq!(check(&report, "direct"), ("holds", "answers, with a password of its own"));
    assert_eq!(check(&report, "transport"), ("holds", "plain, over loopback"));
    assert_eq!(report["holds"], true, "{report}");
}

#[test]
fn tls_where_there_is_none_and_none_where_there_is() {
    let authority = Authority::new();
    let ca = authority.ca();
    let files = authority.issue("localhost", DAY * 90, false);
    let (redis, port) = speaking(&ca, &files, "tls-auth-clients no");
    let args = ["--ca", ca.to_str().unwrap()];
    let plain = format!("rediss://localhost:{}", redis.port());
    assert_eq!(check(&json(&plain, redis.password(), &args), "tls").0, "fails");
    let (code, out, err) = verify(&format!("redis://localhost:{port}"), redis.password(), &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("it may speak TLS"), "{err}");
}

#[test]
fn wrong_use_is_told_in_the_words_of_the_options() {
    let password = support::secret();
    let (code, _, err) = verify("redis://localhost", &password, &["--ca", "/nowhere"]);
    assert_eq!((code, err.contains("are for rediss://")), (Some(2), true), "{err}");
    let (code, _, err) = verify("rediss://localhost", &password, &["--ca", "/nowhere"]);
    assert_eq!((code, err.starts_with("redoubt: --ca: cannot read")), (Some(2), true), "{err}");
    let (code, ..) = verify("rediss://localhost", &password, &["--cert", "/nowhere"]);
    assert_eq!(code, Some(2));
}
