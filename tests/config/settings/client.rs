//! The section `client`.

use std::fs;

use super::{WRONG_PASSWORD, auth};
use support::{Redis, Redoubt, secret};

const LATER: &str = "2999-01-01T00:00:00Z";

#[test]
fn user_takes_effect() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    assert_eq!(auth(&redoubt, &["app", redoubt.password()]), WRONG_PASSWORD);
    let redoubt = Redoubt::setup(&redis).set_text("client.user", "app").start();
    assert_eq!(auth(&redoubt, &["app", redoubt.password()]), b"+OK\r\n");
    assert_eq!(auth(&redoubt, &[redoubt.password()]), WRONG_PASSWORD);
}

#[test]
fn password_takes_effect() {
    let (redis, ours) = (Redis::start(), secret());
    // `client_password` sets "client.password".
    let redoubt = Redoubt::setup(&redis).client_password(&ours).start();
    assert_eq!(auth(&redoubt, &[&ours]), b"+OK\r\n");
    assert_eq!(auth(&redoubt, &[redis.password()]), WRONG_PASSWORD);
}

#[test]
fn password_file_takes_effect() {
    let (redis, ours, dir) = (Redis::start(), secret(), tempfile::tempdir().unwrap());
    let path = dir.path().join("password");
    fs::write(&path, format!("{ours}\n")).unwrap();
    let path = path.to_str().unwrap();
    let redoubt = Redoubt::setup(&redis).set_text("client.password_file", path).start();
    assert_eq!(auth(&redoubt, &[&ours]), b"+OK\r\n");
    assert_eq!(auth(&redoubt, &[redoubt.password()]), WRONG_PASSWORD);
}

#[test]
fn previous_password_takes_effect() {
    let (redis, old) = (Redis::start(), secret());
    let redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password", &old)
        .set_text("client.previous_until", LATER)
        .start();
    assert_eq!(auth(&redoubt, &[&old]), b"+OK\r\n");
    assert_eq!(auth(&redoubt, &[redoubt.password()]), b"+OK\r\n");
    assert_eq!(auth(&redoubt, &[&secret()]), WRONG_PASSWORD);
}

#[test]
fn previous_password_file_takes_effect() {
    let (redis, old, dir) = (Redis::start(), secret(), tempfile::tempdir().unwrap());
    let path = dir.path().join("old");
    fs::write(&path, &old).unwrap();
    let redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password_file", path.to_str().unwrap())
        .set_text("client.previous_until", LATER)
        .start();
    assert_eq!(auth(&redoubt, &[&old]), b"+OK\r\n");
}

#[test]
fn previous_until_takes_effect() {
    let (redis, old) = (Redis::start(), secret());
    for (until, reply) in [(LATER, &b"+OK\r\n"[..]), ("2001-01-01T00:00:00Z", WRONG_PASSWORD)] {
        let redoubt = Redoubt::setup(&redis)
            .set_text("client.previous_password", &old)
            .set_text("client.previous_until", until)
            .start();
        assert_eq!(auth(&redoubt, &[&old]), reply, "{until}");
    }
}
