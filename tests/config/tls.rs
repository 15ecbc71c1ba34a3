//! The keys of TLS, the audit log and the admin port that require each other, and the errors if one is
//! missing.

use std::ffi::OsString;
use std::path::Path;

use redoubt::config::{Environment, Settings};

const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const TLS: &str = "certificate = \"a.crt\"\nkey = \"a.key\"\n";

/// Returns the error for a file with a plain upstream and `text` after it.
fn error(text: &str) -> String {
    let environment = Environment::from_lookup(|name| {
        ["REDIS_PASSWORD", "REDOUBT_PASSWORD"].contains(&name).then(|| OsString::from(PASSWORD))
    });
    match Settings::parse(Path::new("redoubt.toml"), text, &environment) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn says(text: &str, expected: &str) {
    let error = error(text);
    assert!(error.contains(expected), "{text}\nsays {error}\nnot {expected}");
}

const PLAIN: &str = "[upstream]\nurl = \"redis://redis\"\n";

#[test]
fn a_tls_listener_needs_a_certificate_and_its_key() {
    says(&format!("listen = \"tls://[::1]:6380\"\n{PLAIN}"), "certificate");
    for half in TLS.lines() {
        says(&format!("{PLAIN}[tls]\n{half}\n"), "set both or neither");
    }
    says(&format!("{PLAIN}[tls]\n{TLS}client_certificates = \"required\"\n"), "client_ca");
    for (line, expected) in [
        ("client_certificates = \"always\"", "expected \"required\" or \"optional\""),
        ("min_version = \"1.1\"", "expected \"1.2\" or \"1.3\""),
        ("min_version = 1.2", "expected \"1.2\" or \"1.3\""),
    ] {
        says(&format!("{PLAIN}[tls]\n{TLS}client_ca = \"ca.crt\"\n{line}\n"), expected);
    }
}

#[test]
fn tls_keys_of_the_upstream_need_a_tls_url() {
    for line in [
        "tls_ca = \"ca.crt\"",
        "tls_certificate = \"a.crt\"\ntls_key = \"a.key\"",
        "tls_name = \"redis.internal\"",
        "tls_dangerously_accept_any_certificate = true",
    ] {
        says(&format!("{PLAIN}{line}\n"), "write url = \"rediss://host:port\"");
    }
    let tls = PLAIN.replace("redis://", "rediss://");
    says(&format!("{tls}tls_certificate = \"a.crt\"\n"), "set both or neither");
}

#[test]
fn a_unix_listener_needs_an_absolute_path_and_accepts_a_mode() {
    says(&format!("listen = \"unix://redoubt.sock\"\n{PLAIN}"), "unix:///path");
    says(&format!("listen = \"quic://[::1]:1\"\n{PLAIN}"), "tls://host:port or unix:///path");
    for mode in ["\"66\"", "\"1777\"", "\"rw-\"", "\"689\"", "660"] {
        says(&format!("unix_socket_mode = {mode}\n{PLAIN}"), "three octal digits in quotes");
    }
}

#[test]
fn audit_log_errors_name_the_missing_key() {
    says(&format!("{PLAIN}[audit]\noutput = \"file\"\n"), "audit.file");
    says(&format!("{PLAIN}[audit]\nfile = \"a.log\"\n"), "set output = \"file\"");
    for line in ["on_full = \"wait\"", "keys = \"all\"", "output = \"stderr\"", "queue = 0"] {
        let (key, _) = line.split_once(' ').unwrap();
        says(&format!("{PLAIN}[audit]\n{line}\n"), &format!("audit.{key}: expected"));
    }
    says(&format!("{PLAIN}[audit]\nmax_size = \"big\"\n"), "audit.max_size: expected");
}

#[test]
fn the_admin_port_must_be_an_address_or_off() {
    says(&format!("{PLAIN}[admin]\nlisten = \"on\"\n"), "admin.listen: expected");
    says(&format!("{PLAIN}[admin]\nlisten = \"tls://[::1]:1\"\n"), "admin.listen: expected");
}
