//! The documented configuration file and the code agree with each other.

use std::ffi::OsString;
use std::path::Path;

use redoubt::config::{Environment, Settings};

const FILE: &str = include_str!("../../config/redoubt.toml");
const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const OTHER_PASSWORD: &str = "fedcba9876543210fedcba9876543210";

fn environment(names: &[&str]) -> Environment {
    Environment::from_lookup(|name| {
        names.contains(&name).then(|| match name {
            "REDOUBT_UPSTREAM" => OsString::from("redis://127.0.0.1:6379"),
            "REDOUBT_PASSWORD" => OsString::from(OTHER_PASSWORD),
            "REDOUBT_PREVIOUS_UNTIL" => OsString::from("2030-01-01T00:00:00Z"),
            _ => OsString::from(PASSWORD),
        })
    })
}

/// Returns the lines of the file that set a key, commented or not: the key's full name and the line
/// number.
fn keys() -> Vec<(String, usize)> {
    let mut table = String::new();
    let mut keys = Vec::new();
    for (number, line) in FILE.lines().enumerate() {
        if line.starts_with("# [identities.") {
            table = "identities.".to_owned();
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((name, _)) = line.split_once(" = ")
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            // Each identity needs several keys; tests/config/identities.rs tries them.
            && table != "identities."
        {
            keys.push((format!("{table}{name}"), number));
        }
    }
    keys
}

#[test]
fn the_sample_file_contains_the_defaults() {
    let passwords = ["REDIS_PASSWORD", "REDOUBT_PASSWORD"];
    let environment = environment(&[passwords[0], passwords[1], "REDOUBT_UPSTREAM"]);
    let file = Settings::parse(Path::new("redoubt.toml"), FILE, &environment).unwrap();
    let bare = Settings::load(None, &environment).unwrap();
    assert_eq!(file.to_toml(), bare.to_toml());
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
}

#[test]
fn every_commented_key_in_the_sample_file_is_valid() {
    let environment = environment(&[
        "REDIS_PASSWORD",
        "REDOUBT_PASSWORD",
        "REDOUBT_PREVIOUS_PASSWORD",
        "REDOUBT_PREVIOUS_UNTIL",
        "REDOUBT_SENTINEL_PASSWORD",
    ]);
    let keys = keys();
    let mut commented = 0;
    for (key, number) in &keys {
        if !FILE.lines().nth(*number).unwrap().starts_with("# ") {
            continue;
        }
        commented += 1;
        let wanted = companions(key);
        let wanted = keys.iter().filter(|(other, _)| other == key || wanted.contains(&&**other));
        let wanted: Vec<_> = wanted.map(|(_, number)| *number).collect();
        let lines = FILE.lines().enumerate().map(|(number, line)| match line.strip_prefix("# ") {
            Some(setting) if wanted.contains(&number) => setting,
            _ => line,
        });
        let mut text = lines.collect::<Vec<_>>().join("\n");
        if key.starts_with("upstream.tls_") {
            text = text.replace("url = \"redis://", "url = \"rediss://");
        }
        if key.starts_with("upstream.sentinel_") {
            text = text.replace(
                "url = \"redis://127.0.0.1:6379\"",
                "url = \"redis-sentinel://127.0.0.1/name\"",
            );
        }
        if key == "audit.file" {
            text = text.replace("output = \"stdout\"", "output = \"file\"");
        }
        if let Err(error) = Settings::parse(Path::new("redoubt.toml"), &text, &environment) {
            panic!("{key}: {error}");
        }
    }
    assert_eq!(commented, 25);
}

/// Returns the keys that `key` requires.
fn companions(key: &str) -> &'static [&'static str] {
    match key {
        "tls.certificate" => &["tls.key"],
        "tls.key" => &["tls.certificate"],
        "tls.client_certificates" => &["tls.client_ca"],
        "upstream.tls_certificate" => &["upstream.tls_key"],
        "upstream.tls_key" => &["upstream.tls_certificate"],
        "upstream.sentinel_user" => &["upstream.sentinel_password"],
        _ => &[],
    }
}

#[test]
fn the_sample_file_lists_the_environment_variables() {
    for name in Environment::names() {
        assert!(FILE.contains(name), "{name} is not in config/redoubt.toml");
    }
}

#[test]
fn the_printed_configuration_is_valid_once_its_passwords_are_filled_in() {
    let text = r#"
        listen = ["[::1]:1", "localhost:0"]
        workers = 4
        shutdown_timeout = "0s"
        [client]
        user = "app"
        previous_until = "2030-01-31T12:00:00Z"
        [upstream]
        url = "redis://[fe80::1]:7000"
        user = "redoubt"
        connect_timeout = "1500ms"
        dead_after = "0s"
        max_link_age = "1d"
        [policy]
        blocked = ["keys", "CONFIG|SET", "BF.ADD"]
        [limits]
        max_sessions = 1
        auth_timeout = "90s"
        auth_attempts = 3
        idle_timeout = "1h"
        tcp_keepalive = "32767s"
        [log]
        format = "json"
        level = "warn,redoubt_core::session=debug"
    "#;
    let given = environment(&["REDIS_PASSWORD", "REDOUBT_PASSWORD", "REDOUBT_PREVIOUS_PASSWORD"]);
    let settings = Settings::parse(Path::new("redoubt.toml"), text, &given).unwrap();
    let printed = settings.to_toml();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
    let masked = Settings::parse(Path::new("printed.toml"), &printed, &environment(&[]));
    assert!(masked.unwrap_err().to_string().contains("shorter than 32"));
    let lifted = printed.replace("********", PASSWORD);
    let again = Settings::parse(Path::new("printed.toml"), &lifted, &environment(&[])).unwrap();
    assert_eq!(again.upstream.user.as_deref(), Some("redoubt"));
    let without_origins = |text: &str| {
        let lines = text.lines().map(|line| line.split(" # ").next().unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_origins(&again.to_toml()), without_origins(&printed));
}
