//! Missing settings, and errors in variables and in the file as a whole.

use std::path::Path;

use redoubt::config::{Environment, Settings};

use super::{PASSWORDS, environment, error, error_in, error_under};

#[test]
fn errors_for_missing_settings_say_how_to_set_them() {
    assert_eq!(
        error(""),
        "configuration: no upstream; set REDOUBT_UPSTREAM=redis://host:port in the environment, \
         or url = \"redis://host:port\" under [upstream]"
    );
    let upstream = [("REDOUBT_UPSTREAM", "redis://redis")];
    assert_eq!(
        error_in("", &upstream).to_string(),
        "configuration: no password for clients; make one with `openssl rand -hex 32` and set it \
         as REDOUBT_PASSWORD in the environment, or name its file with password_file under [client]"
    );
    let upstream = [("REDOUBT_UPSTREAM", "redis://app@redis"), PASSWORDS[1]];
    assert_eq!(
        error_in("", &upstream).to_string(),
        "REDOUBT_UPSTREAM in the environment: a user needs a password; set REDIS_PASSWORD, \
         upstream.password_file or upstream.password"
    );
}

#[test]
fn a_previous_password_requires_an_end_and_an_end_requires_a_password() {
    let url = "[upstream]\nurl = \"redis://redis\"\n";
    let secret = "an old password that is long enough";
    let end = "previous_until = \"2030-01-31T12:00:00Z\"";
    let error = error_under("client", &format!("previous_password = \"{secret}\""));
    assert_eq!(
        error,
        "redoubt.toml:3: client.previous_password: a previous password needs an end; set \
         previous_until = \"2030-01-31T12:00:00Z\" under [client] (client.previous_until), or \
         REDOUBT_PREVIOUS_UNTIL in the environment"
    );
    assert_eq!(
        error_under("client", end),
        "redoubt.toml:3: client.previous_until: there is no previous password that could end; set \
         client.previous_password_file or client.previous_password, or leave this out"
    );
    for wrong in ["tomorrow", "2030-01-31", "2030-01-31T12:00:00+01:00", "2030-13-31T12:00:00Z"] {
        assert_eq!(
            error_under("client", &format!("previous_until = \"{wrong}\"")),
            "redoubt.toml:3: client.previous_until: expected a time in UTC such as \
             2030-01-31T12:00:00Z, in quotes; write previous_until = \"2030-01-31T12:00:00Z\""
        );
    }
    let variables = |name, value| [PASSWORDS[0], PASSWORDS[1], (name, value)];
    let error = error_in(url, &variables("REDOUBT_PREVIOUS_PASSWORD", secret)).to_string();
    assert!(
        error.starts_with("REDOUBT_PREVIOUS_PASSWORD in the environment: a previous"),
        "{error}"
    );
    let error = error_in(url, &variables("REDOUBT_PREVIOUS_UNTIL", "soon")).to_string();
    let expected = "REDOUBT_PREVIOUS_UNTIL in the environment: expected a time in UTC such as \
                    2030-01-31T12:00:00Z, in quotes; write \
                    REDOUBT_PREVIOUS_UNTIL=2030-01-31T12:00:00Z";
    assert_eq!(error, expected);
    let weak = format!("[client]\nprevious_password = \"short\"\n{end}\n{url}");
    let error = error_in(&weak, &PASSWORDS).to_string();
    assert!(error.starts_with("redoubt.toml:2: client.previous_password: shorter than"), "{error}");
}

#[test]
fn empty_and_malformed_variables_stop_the_start() {
    for name in Environment::names() {
        let error = error_in("[upstream]\nurl = \"redis://redis\"\n", &[(name, "")]);
        let whole =
            format!("{name} in the environment: set but empty; give it a value or leave it out");
        assert_eq!(error.to_string(), whole);
        assert_eq!(error.key(), Some(name));
    }
    assert_eq!(
        error_in("", &[PASSWORDS[0], ("REDOUBT_LISTEN", "6380")]).to_string(),
        "REDOUBT_LISTEN in the environment: expected host:port, tls://host:port or unix:///path, \
         or a list of these; \
         write REDOUBT_LISTEN=127.0.0.1:6380"
    );
}

#[test]
fn errors_name_a_file_that_cannot_be_read() {
    let path = Path::new("/nonexistent/redoubt.toml");
    let error = Settings::load(Some(path), &environment(&PASSWORDS)).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/redoubt.toml: cannot be read: "), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.toml");
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    let error = Settings::load(Some(&path), &environment(&PASSWORDS)).unwrap_err().to_string();
    assert!(error.ends_with("larger than 1048576 bytes, the most that is read"), "{error}");
    std::fs::write(&path, b"workers = 1 # \xff\n").unwrap();
    let error = Settings::load(Some(&path), &environment(&PASSWORDS)).unwrap_err().to_string();
    assert!(error.ends_with("large.toml: not UTF-8 text"), "{error}");
}
