//! What an operator is told about a wrong configuration: where, which key, what to write instead.

use std::ffi::OsString;
use std::path::Path;

use redoubt::config::{ConfigError, Environment, Settings};

/// Enough to start, so that each case has one thing wrong.
const PASSWORDS: [(&str, &str); 2] = [
    ("REDIS_PASSWORD", "0123456789abcdef0123456789abcdef"),
    ("REDOUBT_PASSWORD", "fedcba9876543210fedcba9876543210"),
];

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_lookup(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn error_in(text: &str, variables: &[(&str, &str)]) -> ConfigError {
    let name = Path::new("redoubt.toml");
    match Settings::parse(name, text, &environment(variables)) {
        Err(error) => error,
        Ok(settings) => panic!("accepted {text:?} as {settings:?}"),
    }
}

/// The error for `text` when everything else is right.
fn error(text: &str) -> String {
    error_in(text, &PASSWORDS).to_string()
}

/// The error for `line` under `table`, after two lines of other text.
fn error_under(table: &str, line: &str) -> String {
    let url = "url = \"redis://redis\"";
    match table {
        "upstream" if line.starts_with("url") => error(&format!("[upstream]\n\n{line}\n")),
        "upstream" => error(&format!("[upstream]\n{url}\n{line}\n")),
        _ => error(&format!("\n[{table}]\n{line}\n[upstream]\n{url}\n")),
    }
}

#[test]
fn unknown_keys_name_what_was_probably_meant() {
    assert_eq!(
        error("workers = 1\n\n[limit]\nauth_timeout = \"1s\"\n"),
        "redoubt.toml:3: limit: unknown key; did you mean [limits]?"
    );
    assert_eq!(
        error("[limits]\nauth_timout = \"1s\"\n"),
        "redoubt.toml:2: limits.auth_timout: unknown key; \
         did you mean auth_timeout = \"10s\" under [limits]?"
    );
    assert_eq!(
        error("auth_timeout = \"1s\"\n"),
        "redoubt.toml:1: auth_timeout: unknown key; \
         did you mean auth_timeout = \"10s\" under [limits]?"
    );
    assert_eq!(
        error("[client]\nlisten = \"127.0.0.1:1\"\n"),
        "redoubt.toml:2: client.listen: unknown key; \
         did you mean listen = [\"127.0.0.1:6380\"] at the top, above the first [table]?"
    );
    assert_eq!(
        error("[limits]\nmax_memory_of_everything = 1\n"),
        "redoubt.toml:2: limits.max_memory_of_everything: unknown key; \
         config/redoubt.toml documents all there are"
    );
    assert_eq!(
        error("limits.auth_timeot = 1\n"),
        "redoubt.toml:1: limits.auth_timeot: unknown key; \
         did you mean auth_timeout = \"10s\" under [limits]?"
    );
}

#[test]
fn values_of_the_wrong_kind_get_an_example() {
    let duration = "expected a duration as a whole number and ms, s, m, h or d, at most 365d";
    let some_time = "expected a duration above zero as a whole number and ms, s, m, h or d";
    let keepalive = "expected whole seconds from \"1s\" to \"32767s\", or \"0s\" for none";
    for (table, line, expected) in [
        ("limits", "idle_timeout = 10", format!("{duration}; write idle_timeout = \"0s\"")),
        ("limits", "idle_timeout = \"10\"", format!("{duration}; write idle_timeout = \"0s\"")),
        ("limits", "idle_timeout = \"366d\"", format!("{duration}; write idle_timeout = \"0s\"")),
        ("limits", "auth_timeout = \"0s\"", format!("{some_time}; write auth_timeout = \"10s\"")),
        (
            "limits",
            "tcp_keepalive = \"1500ms\"",
            format!("{keepalive}; write tcp_keepalive = \"300s\""),
        ),
        (
            "limits",
            "tcp_keepalive = \"1d\"",
            format!("{keepalive}; write tcp_keepalive = \"300s\""),
        ),
        (
            "limits",
            "auth_attempts = 0",
            "expected a whole number from 1 to 1000000; write auth_attempts = 10".to_owned(),
        ),
        (
            "limits",
            "max_sessions = -1",
            "expected a whole number from 1 to 1000000; write max_sessions = 10000".to_owned(),
        ),
        (
            "limits",
            "max_sessions = \"many\"",
            "expected a whole number from 1 to 1000000; write max_sessions = 10000".to_owned(),
        ),
        (
            "upstream",
            "connect_timeout = \"0ms\"",
            format!("{some_time}; write connect_timeout = \"2s\""),
        ),
        (
            "upstream",
            "sharing = \"on\"",
            "expected \"auto\" or \"off\"; write sharing = \"auto\"".to_owned(),
        ),
        (
            "policy",
            "blocked = [\"CONFIG SET\"]",
            "expected a list of COMMAND or COMMAND|SUBCOMMAND, each in quotes; \
             write blocked = [\"FLUSHALL\", \"CONFIG|SET\"]"
                .to_owned(),
        ),
        (
            "log",
            "format = \"xml\"",
            "expected \"text\" or \"json\"; write format = \"text\"".to_owned(),
        ),
        (
            "log",
            "level = \"inof\"",
            "expected a level (error, warn, info, debug, trace, off) or filter directives; \
             write level = \"info\""
                .to_owned(),
        ),
        (
            "client",
            "user = \"two words\"",
            "expected a name of 1 to 256 characters without spaces; write user = \"app\""
                .to_owned(),
        ),
        (
            "client",
            "password = 12345",
            "expected the password in quotes; write password = \"…\"".to_owned(),
        ),
    ] {
        let key = line.split(' ').next().unwrap_or_default();
        let whole = format!("redoubt.toml:3: {table}.{key}: {expected}");
        assert_eq!(error_under(table, line), whole);
    }
    assert_eq!(
        error("workers = 0"),
        "redoubt.toml:1: workers: expected a whole number from 1 to 256; write workers = 1"
    );
    assert_eq!(
        error("listen = [\n  \"127.0.0.1:6380\",\n  6380,\n]\n"),
        "redoubt.toml:3: listen: expected host:port, tls://host:port or unix:///path, or a list of such; \
         write listen = [\"127.0.0.1:6380\"]"
    );
    assert_eq!(
        error("listen = []"),
        "redoubt.toml:1: listen: expected host:port, tls://host:port or unix:///path, or a list of such; \
         write listen = [\"127.0.0.1:6380\"]"
    );
    assert_eq!(
        error("limits = 5"),
        "redoubt.toml:1: limits: expected a table; \
         write [limits] on a line of its own and its keys below it"
    );
}

#[test]
fn a_rule_is_named_by_its_own_line() {
    let text = "[policy]\nblocked = [\n  \"FLUSHALL\",\n  \"CONFIG SET\",\n]\n";
    assert_eq!(error_in(text, &PASSWORDS).line(), Some(4));
    assert_eq!(error_in(text, &PASSWORDS).key(), Some("policy.blocked"));
}

#[test]
fn a_rule_for_a_subcommand_that_cannot_be_is_refused() {
    assert_eq!(
        error("[policy]\nblocked = [\"FLUSHALL|ASYNC\"]\n"),
        "redoubt.toml:2: policy.blocked: FLUSHALL has no subcommands; \
         write blocked = [\"FLUSHALL\"] to block it"
    );
    for rule in ["", "|", "CONFIG|", "|SET", "CONFIG SET", "-FLUSHALL", "FLUSH*", "A|B|C", "ÄÖ"] {
        let error = error(&format!("[policy]\nblocked = [\"{rule}\"]\n"));
        assert!(error.starts_with("redoubt.toml:2: policy.blocked: expected a list"), "{error}");
    }
}

#[test]
fn text_that_is_no_toml_names_the_line_and_the_key_it_seems_to_set() {
    assert_eq!(
        error("[limits]\nauth_timeout = 10s\n"),
        "redoubt.toml:2: limits.auth_timeout: not valid TOML: \
         invalid number, expected decimal digits; write auth_timeout = \"10s\""
            .replace("invalid number, expected decimal digits", &syntax_message("x = 10s"))
    );
    let unfinished = error("[limits\nauth_timeout = \"10s\"\n");
    assert!(unfinished.starts_with("redoubt.toml:1: not valid TOML: "), "{unfinished}");
    let twice = error("workers = 1\nworkers = 2\n");
    assert!(twice.starts_with("redoubt.toml:2: workers: not valid TOML: "), "{twice}");
}

/// What the TOML parser says of `text`.
fn syntax_message(text: &str) -> String {
    toml::from_str::<toml::Table>(text).unwrap_err().message().to_owned()
}

#[test]
fn upstream_urls_say_what_they_may_not_hold() {
    for (url, expected) in [
        ("redis", "not a URL of the form redis://host:port"),
        ("http://redis:6379", "expected a redis:// or rediss:// URL"),
        (
            "redis://redis:6379/3",
            "a path would choose a database, but each session chooses its own",
        ),
        ("redis://redis:0", "port 0 cannot be connected to"),
    ] {
        let error = error_under("upstream", &format!("url = \"{url}\""));
        let whole = format!("redoubt.toml:3: upstream.url: {expected}");
        assert!(error.starts_with(&whole), "{error}");
        let variables = [PASSWORDS[0], PASSWORDS[1], ("REDOUBT_UPSTREAM", url)];
        let error = error_in("", &variables).to_string();
        assert!(
            error.starts_with(&format!("REDOUBT_UPSTREAM in the environment: {expected}")),
            "{error}"
        );
    }
}

#[test]
fn what_must_be_given_says_how() {
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
fn a_previous_password_and_its_end_come_together() {
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
    for name in Environment::NAMES {
        let error = error_in("[upstream]\nurl = \"redis://redis\"\n", &[(name, "")]);
        let whole =
            format!("{name} in the environment: set but empty; give it a value or leave it out");
        assert_eq!(error.to_string(), whole);
        assert_eq!(error.key(), Some(name));
    }
    assert_eq!(
        error_in("", &[PASSWORDS[0], ("REDOUBT_LISTEN", "6380")]).to_string(),
        "REDOUBT_LISTEN in the environment: expected host:port, tls://host:port or unix:///path, or a list of such; \
         write REDOUBT_LISTEN=127.0.0.1:6380"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
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
