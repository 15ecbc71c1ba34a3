//! `redoubt verify --identity` tests whether identities are isolated from each other.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::process::Command;

use serde_json::Value;
use support::servers::{MAIN, on_each};
use support::{Redis, Redoubt, secret};
use tempfile::TempDir;

/// Files with the passwords of identities.
struct Passwords {
    dir: TempDir,
    all: Vec<(String, String)>,
}

impl Passwords {
    fn of(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<_> = names.iter().map(|name| ((*name).to_owned(), secret())).collect();
        for (name, password) in &all {
            std::fs::write(dir.path().join(name), format!("{password}\n")).unwrap();
        }
        Self { dir, all }
    }

    /// Returns the options that give all of them.
    fn options(&self) -> Vec<String> {
        let value = |name: &str| format!("{name}={}", self.dir.path().join(name).display());
        self.all.iter().flat_map(|(name, _)| ["--identity".to_owned(), value(name)]).collect()
    }

    /// Returns the exit code and the report; no output holds a password.
    fn verify(&self, redoubt: &Redoubt) -> (Option<i32>, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        command.args(["verify", &format!("redis://{}", redoubt.address()), "--json"]);
        let output = command.args(self.options()).env_clear().output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        for (name, password) in &self.all {
            assert!(!out.contains(password) && !err.contains(password), "{name}: {out}{err}");
        }
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (output.status.code(), report)
    }
}

/// Starts a Redoubt with these identities and their keys.
fn start(redis: &Redis, passwords: &Passwords, keys: &[&[(&str, &str)]]) -> Redoubt {
    let mut setup = Redoubt::setup(redis);
    for ((name, password), keys) in passwords.all.iter().zip(keys) {
        setup = setup.set_text(&format!("identities.{name}.password"), password);
        for (key, value) in *keys {
            setup = setup.set(&format!("identities.{name}.{key}"), value);
        }
    }
    let redoubt = setup.start();
    redoubt.wait_until_it_knows_its_server();
    redoubt
}

/// Returns the outcome and the result of a check of an identity.
fn found<'a>(report: &'a Value, name: &str, id: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let is_it = |check: &&Value| {
        let what = check["what"].as_str().unwrap();
        check["id"] == format!("identity-{id}") && what.starts_with(&format!("{name}: "))
    };
    let check = checks.iter().find(is_it).unwrap_or_else(|| panic!("{name} {id}: {report}"));
    (check["outcome"].as_str().unwrap(), check["found"].as_str().unwrap())
}

const IDS: [&str; 8] =
    ["login", "name", "users", "commands", "keys", "channels", "databases", "password"];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_passes_isolated_identities_and_warns_of_wide_ones() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let passwords = Passwords::of(&["narrow", "wide", "watched"]);
        let redoubt = start(
            &redis,
            &passwords,
            &[
                &[("acl", "[\"~jobs:*\", \"&jobs\", \"+@all\"]"), ("databases", "[1, 3]")],
                &[("acl", "[\"~*\", \"&*\", \"+@all\"]")],
                &[("acl", "[\"~jobs:*\", \"+@all\"]"), ("mode", "\"observe\"")],
            ],
        );
        let (code, report) = passwords.verify(&redoubt);
        assert_eq!(code, Some(0), "{report}");
        for id in IDS {
            let (outcome, text) = found(&report, "narrow", id);
            assert_eq!(outcome, "holds", "{id}: {text}: {report}");
        }
        assert_eq!(found(&report, "narrow", "databases").1, "may select 1, 3");
        for name in ["wide", "watched"] {
            for id in ["keys", "channels", "databases"] {
                assert_eq!(found(&report, name, id).0, "warns", "{name} {id}: {report}");
            }
            for id in ["login", "name", "users", "commands", "password"] {
                assert_eq!(found(&report, name, id).0, "holds", "{name} {id}: {report}");
            }
        }
        let keys = found(&report, "wide", "keys").1;
        assert_eq!(keys, "may reach keys of any name: GET, GET in a script");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_fails_for_a_password_that_two_identities_share_and_for_a_wrong_one() {
    let redis = Redis::start();
    let mut passwords = Passwords::of(&["one", "two"]);
    passwords.all[1].1 = passwords.all[0].1.clone();
    std::fs::write(passwords.dir.path().join("two"), &passwords.all[0].1).unwrap();
    let acl: &[(&str, &str)] = &[("acl", "[\"~a\", \"+@all\"]")];
    let redoubt = start(&redis, &passwords, &[acl, acl]);
    let (code, report) = passwords.verify(&redoubt);
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(found(&report, "one", "password"), ("fails", "accepted"));
    assert_eq!(found(&report, "two", "password"), ("fails", "accepted"));

    std::fs::write(passwords.dir.path().join("two"), secret()).unwrap();
    let (code, report) = passwords.verify(&redoubt);
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(found(&report, "two", "login"), ("fails", "AUTH is answered -WRONGPASS"));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_fails_for_an_identity_that_may_run_what_is_blocked_by_default() {
    let redis = Redis::start();
    let passwords = Passwords::of(&["one"]);
    let mut setup = Redoubt::setup(&redis).set("policy.blocked", "[]");
    setup = setup.set_text("identities.one.password", &passwords.all[0].1);
    let redoubt = setup.set("identities.one.acl", "[\"+@all\"]").start();
    redoubt.wait_until_it_knows_its_server();
    let (code, report) = passwords.verify(&redoubt);
    assert_eq!(code, Some(1), "{report}");
    let (outcome, text) = found(&report, "one", "commands");
    assert_eq!(outcome, "fails", "{report}");
    assert!(text.contains("FLUSHALL") && text.contains("CONFIG"), "{text}");
}

#[test]
fn wrong_identities_of_verify_exit_with_2_and_print_no_password() {
    for value in ["canary", "=canary", "worker=canary"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        command.args(["verify", "redis://127.0.0.1:1", "--identity", value]);
        let output = command.env_clear().output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains("--identity") && !err.contains("canary"), "{err}");
    }
}
