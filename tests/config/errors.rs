//! Errors in the configuration: they contain the place, the key, and what to write instead.

mod sources;

use std::ffi::OsString;
use std::path::Path;

use redoubt::config::{ConfigError, Environment, Settings};

/// The settings without which nothing starts, so that each case has one error.
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

/// Returns the error for `text` when everything else is right.
fn error(text: &str) -> String {
    error_in(text, &PASSWORDS).to_string()
}

/// Returns the error for `line` under `table`, after two lines of other text.
fn error_under(table: &str, line: &str) -> String {
    let url = "url = \"redis://redis\"";
    match table {
        "upstream" if line.starts_with("url") => error(&format!("[upstream]\n\n{line}\n")),
        "upstream" => error(&format!("[upstream]\n{url}\n{line}\n")),
        _ => error(&format!("\n[{table}]\n{line}\n[upstream]\n{url}\n")),
    }
}

#[test]
fn errors_for_unknown_keys_suggest_the_likely_key() {
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
         config/redoubt.toml documents all keys"
    );
    assert_eq!(
        error("limits.auth_timeot = 1\n"),
        "redoubt.toml:1: limits.auth_timeot: unknown key; \
         did you mean auth_timeout = \"10s\" under [limits]?"
    );
    for (text, at, name) in [
        ("[policy]\nconfig_get = true\n", 2, "policy.config_get"),
        ("[policy.compat]\nconfig_gte = true\n", 2, "policy.compat.config_gte"),
        ("[policy]\ncompat = { config_gte = true }\n", 2, "policy.compat.config_gte"),
    ] {
        assert_eq!(
            error(text),
            format!(
                "redoubt.toml:{at}: {name}: unknown key; \
                 did you mean config_get = false under [policy.compat]?"
            )
        );
    }
    assert_eq!(
        error("[policy]\ncompat = true\n"),
        "redoubt.toml:2: policy.compat: expected a table; \
         write [policy.compat] on a line of its own and its keys below it"
    );
    let expected = "expected a table with a prefix of 1 to 256 bytes in quotes; \
                    write flush = { prefix = \"cache:\" }";
    let long = format!("{{ prefix = \"{}\" }}", "x".repeat(257));
    for value in ["true", "\"cache:\"", "{}", "{ prefix = 1 }", "{ prefx = \"a\" }", &long] {
        let text = format!("[policy.compat]\nflush = {value}\n");
        assert_eq!(error(&text), format!("redoubt.toml:2: policy.compat.flush: {expected}"));
    }
    assert_eq!(
        error("[policy.compat.flush]\nprefix = \"\"\n"),
        "redoubt.toml:2: policy.compat.flush: an empty prefix would delete every key; write prefix = \
         \"cache:\", or leave flush out and take FLUSHDB out of policy.blocked if clients may delete all keys"
    );
    assert_eq!(
        error_under("policy", "blocked = [\"flushdb\"]\ncompat.flush = { prefix = \"a:\" }"),
        "redoubt.toml:4: policy.compat.flush: policy.blocked lacks FLUSHALL, which would delete every key \
         and not those below the prefix; add it there, or leave flush out"
    );
    assert_eq!(
        error("[policy.compat]\nconfig_get = 1\n"),
        "redoubt.toml:2: policy.compat.config_get: expected true or false, without quotes; \
         write config_get = false"
    );
}

#[test]
fn errors_for_values_of_the_wrong_type_contain_an_example() {
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
        "redoubt.toml:3: listen: expected host:port, tls://host:port or unix:///path, or a list of these; \
         write listen = [\"127.0.0.1:6380\"]"
    );
    assert_eq!(
        error("listen = []"),
        "redoubt.toml:1: listen: expected host:port, tls://host:port or unix:///path, or a list of these; \
         write listen = [\"127.0.0.1:6380\"]"
    );
    assert_eq!(
        error("limits = 5"),
        "redoubt.toml:1: limits: expected a table; \
         write [limits] on a line of its own and its keys below it"
    );
}

#[test]
fn errors_for_policy_rules_name_the_line_of_the_rule() {
    let text = "[policy]\nblocked = [\n  \"FLUSHALL\",\n  \"CONFIG SET\",\n]\n";
    assert_eq!(error_in(text, &PASSWORDS).line(), Some(4));
    assert_eq!(error_in(text, &PASSWORDS).key(), Some("policy.blocked"));
}

#[test]
fn a_rule_for_a_subcommand_of_a_plain_command_is_rejected() {
    assert_eq!(
        error("[policy]\nblocked = [\"FLUSHALL|ASYNC\"]\n"),
        "redoubt.toml:2: policy.blocked: FLUSHALL has no subcommands; \
         write blocked = [\"FLUSHALL\"]"
    );
    for rule in ["", "|", "CONFIG|", "|SET", "CONFIG SET", "-FLUSHALL", "FLUSH*", "A|B|C", "ÄÖ"] {
        let error = error(&format!("[policy]\nblocked = [\"{rule}\"]\n"));
        assert!(error.starts_with("redoubt.toml:2: policy.blocked: expected a list"), "{error}");
    }
}

#[test]
fn errors_for_invalid_toml_name_the_line_and_the_likely_key() {
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

/// Returns the TOML parser's message for `text`.
fn syntax_message(text: &str) -> String {
    toml::from_str::<toml::Table>(text).unwrap_err().message().to_owned()
}

#[test]
fn errors_for_upstream_urls_name_the_forbidden_part() {
    for (url, expected) in [
        ("redis", "not a URL of the form redis://host:port"),
        ("http://redis:6379", "expected a URL that begins with redis://, rediss://, unix://"),
        (
            "redis://redis:6379/3",
            "a path would choose a database, but each session chooses its own",
        ),
        ("redis://redis:0", "port 0 cannot be connected to"),
        ("unix://run/redis.sock", "not a URL of a Unix socket; write unix:///path"),
        ("unix:///run/", "not a URL of a Unix socket; write unix:///path"),
        ("redis+unix:///run/redis.sock?db=2", "a path would choose a database"),
        (
            "redis+unix:///run/redis.sock?socket_timeout=2",
            "options after ? or # are not understood",
        ),
        ("redis-sentinel://one,two", "the name that the Sentinels have for the primary is missing"),
        ("redis://one,rediss://two", "the URLs of a list must be all with TLS or all without"),
        ("redis://one,redis-sentinel://two/name", "a URL of Sentinels stands alone"),
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
fn errors_in_a_list_of_urls_name_the_line_of_the_url() {
    let list =
        |second: &str| error(&format!("[upstream]\nurl = [\n  \"redis://one\",\n  {second},\n]\n"));
    for (second, line, expected) in [
        ("\"http://two\"", 4, "expected a URL that begins with redis://"),
        ("\"redis://two:0\"", 4, "port 0 cannot be connected to"),
        ("\"unix://two\"", 4, "not a URL of a Unix socket"),
        ("7", 4, "expected a URL such as redis://host:port, or a list of such"),
        ("\"rediss://two\"", 2, "the URLs of a list must be all with TLS or all without"),
        ("\"redis-sentinel://two/name\"", 2, "a URL of Sentinels stands alone"),
    ] {
        let error = list(second);
        let whole = format!("redoubt.toml:{line}: upstream.url: {expected}");
        assert!(error.starts_with(&whole), "{second}: {error}");
    }
    for wrong in ["[]", "7", "{ host = \"redis\" }"] {
        let error = error(&format!("[upstream]\nurl = {wrong}\n"));
        assert!(error.starts_with("redoubt.toml:2: upstream.url: "), "{wrong}: {error}");
    }
}

#[test]
fn addresses_of_redis_are_read_in_every_form_and_printed_without_a_login() {
    let secret = "0123456789abcdef0123456789abcdef";
    let shown = |text: &str, variables: &[(&str, &str)]| {
        let name = Path::new("redoubt.toml");
        let settings = Settings::parse(name, text, &environment(variables)).unwrap();
        let toml = settings.to_toml();
        assert!(!toml.contains(secret), "{toml}");
        let line = toml.lines().find(|line| line.starts_with("url = ")).unwrap();
        (line.to_owned(), settings.upstream.user)
    };
    let app = Some("app".to_owned());
    for (written, printed, user) in [
        ("\"unix:///run/redis.sock\"", "unix:///run/redis.sock", &None),
        ("[\"unix:///run/redis.sock\"]", "unix:///run/redis.sock", &None),
        ("\"unix://app:SECRET@/run/redis.sock\"", "unix:///run/redis.sock", &app),
        ("\"redis+unix:///r.sock?user=app&pass=SECRET\"", "unix:///r.sock", &app),
        ("[\"redis://app:SECRET@a\", \"redis://b:1\"]", "redis://a:6379,redis://b:1", &app),
        ("[\"rediss://a\", \"rediss://b\"]", "rediss://a:6379,rediss://b:6379", &None),
        ("[\"unix:///r.sock\", \"redis://b:1\"]", "unix:///r.sock,redis://b:1", &None),
        ("\"unix:///r.sock, redis://b:1\"", "unix:///r.sock,redis://b:1", &None),
        ("\"redis-sentinel://a,b:1/name\"", "redis-sentinel://a:26379,b:1/name", &None),
    ] {
        let text = format!("[upstream]\nurl = {}\n", written.replace("SECRET", secret));
        let upstream = ("REDIS_PASSWORD", secret);
        let variables = [PASSWORDS[1], upstream];
        let count = if written.contains("SECRET") { 1 } else { 2 };
        let expected = (format!("url = \"{printed}\""), user.clone());
        assert_eq!(shown(&text, &variables[..count]), expected, "{written}");
        if !written.starts_with('[') {
            let url = written.trim_matches('"').replace("SECRET", secret);
            let mut variables = variables[..count].to_vec();
            variables.push(("REDOUBT_UPSTREAM", &url));
            assert_eq!(shown("", &variables), expected, "{written}");
        }
    }
}

#[test]
fn an_allowed_command_must_be_refused_otherwise_and_not_blocked() {
    for (policy, problem) in [
        (
            "allow = [\"flushall\"]",
            "FLUSHALL is also in policy.blocked; remove it from one of the two",
        ),
        (
            "allow = [\"CONFIG|GET\"]",
            "CONFIG|GET is also in policy.blocked; remove it from one of the two",
        ),
        ("allow = [\"Get\"]", "GET is not refused, so allowing it has no effect; remove it"),
        ("allow = [\"CLIENT\"]", "CLIENT is not refused, so allowing it has no effect; remove it"),
        ("allow = [\"SAVE|NOW\"]", "SAVE has no subcommands; write allow = [\"SAVE\"]"),
        (
            "escapes = \"allow\"\nallow = [\"SAVE\"]",
            "SAVE is not refused, so allowing it has no effect; remove it",
        ),
    ] {
        let error = error(&format!("[upstream]\nurl = \"redis://redis\"\n[policy]\n{policy}\n"));
        assert!(error.ends_with(&format!("policy.allow: {problem}")), "{policy}: {error}");
    }
}
