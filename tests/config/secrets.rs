//! Where passwords come from, which source wins, and that no message shows a password.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use redoubt::config::{Environment, PreviousPassword, Settings, Warning};
use secrecy::ExposeSecret;

/// A strong password that no message may contain.
const CANARY: &str = "canary-7f3a9c51d2e84b60a1c9f7e35d";
const OTHER: &str = "another-91c4e7a2b5d80f36e9a7c4b12f";

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_lookup(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let settings = Settings::parse(Path::new("redoubt.toml"), text, &environment(variables));
    settings.map_err(|error| {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "a secret in {shown}");
        error.to_string()
    })
}

fn passwords(settings: &Settings) -> (&str, &str) {
    let upstream = settings.upstream.password.as_ref().map_or("", |p| p.expose_secret());
    (settings.client.as_ref().unwrap().password.expose_secret(), upstream)
}

fn previous(settings: &Settings) -> &PreviousPassword {
    settings.client.as_ref().unwrap().previous.as_ref().expect("a previous password")
}

#[test]
fn no_configuration_error_contains_a_secret() {
    let lines = [
        // These are not TOML, on the line of the secret.
        "password = CANARY",
        "password = \"CANARY",
        "password = 'CANARY\"",
        "password = \"CANARY\" \"CANARY\"",
        "password \"CANARY\"",
        "password: CANARY",
        "password = \"\\CANARY\"",
        "password = \"\"\"CANARY",
        "\"CANARY\"",
        "CANARY",
        "\"CANARY\" =",
        "password = { CANARY }",
        "password =\n\"CANARY\"",
        // These are TOML of the wrong type or under the wrong key.
        "password = [\"CANARY\"]",
        "password = { secret = \"CANARY\" }",
        "password = { \"CANARY\" = 1 }",
        "password.\"CANARY\" = 1",
        "passwort = \"CANARY\"",
        "\"CANARY\" = 1",
        "user = [\"CANARY\"]",
        "user = \"CANARY with spaces\"",
        "password_file = [\"CANARY\"]",
        "password_file = \"/nonexistent/CANARY\"",
        "password = \"CANARY\\n\"",
        "password = \"CANARY\"\npassword = \"CANARY\"",
        "password = \"CANARY\"\npassword_file = \"/CANARY\"",
        "url = \"CANARY\"",
        "url = \"http://:CANARY@redis\"",
        "url = \"redis://:CANARY@redis:port\"",
        "url = \"redis://:CANARY@\"",
        "url = \"redis://:CANARY/x@redis\"",
        "url = \"redis://:CANARY#x@redis\"",
        "url = \"redis://:CANARY%x@redis\"",
        "url = \"redis://:CANARY%ff@redis\"",
        "url = \"redis://redis/CANARY\"",
        "url = \"redis://redis?password=CANARY\"",
        "url = [\"redis://:CANARY@redis\", 1]",
        "url = [\"redis://redis\", \"redis://:CANARY@redis:port\"]",
        "url = [\"redis://:CANARY@one\", \"redis://:CANARY2@two\"]",
        "url = \"unix://:CANARY@relative/path\"",
        "url = \"unix:///CANARY/\"",
        "url = \"unix:///run/redis.sock?pass=CANARY&timeout=1\"",
        "url = \"redis-sentinel://:CANARY@host:1\"",
        "url = redis://:CANARY@redis",
        "sharing = \"CANARY\"",
        "connect_timeout = \"CANARY\"",
    ];
    for table in ["[client]", "[upstream]", "[limits]", "[nonsense]", "", "[CANARY]"] {
        for line in lines {
            let text = format!("{table}\n{line}\n").replace("CANARY", CANARY);
            let error = parse(&text, &[("REDIS_PASSWORD", OTHER)]).err();
            let named = error.as_ref().is_some_and(|error| error.starts_with("redoubt.toml:"));
            let missing = error.as_ref().is_some_and(|e| e.starts_with("configuration: no "));
            assert!(named || missing, "{text:?} gave {error:?}");
        }
    }
    for name in ["REDOUBT_LISTEN", "REDOUBT_UPSTREAM", "REDIS_PASSWORD_FILE"] {
        let error = parse("[upstream]\nurl = \"redis://redis\"\n", &[(name, CANARY)]).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn short_passwords_stop_the_start_unless_allowed() {
    let url = ("REDOUBT_UPSTREAM", "redis://redis");
    for (name, value) in [("REDIS_PASSWORD", "canary"), ("REDOUBT_PASSWORD", &CANARY[..31])] {
        let error = parse("", &[url, (name, value)]).unwrap_err();
        assert_eq!(
            error,
            format!(
                "{name} in the environment: shorter than 32 characters; make a password with \
                 `openssl rand -hex 32`, or set allow_weak_passwords = true to accept this one"
            )
        );
    }
    let error = parse("[client]\npassword = \"canary\"\n", &[url]).unwrap_err();
    assert!(error.starts_with("redoubt.toml:2: client.password: shorter than 32"), "{error}");
    let error = parse("", &[("REDOUBT_UPSTREAM", "redis://:canary@redis")]).unwrap_err();
    assert!(error.starts_with("REDOUBT_UPSTREAM in the environment: shorter"), "{error}");

    let weak = [url, ("REDIS_PASSWORD", "canary"), ("REDOUBT_PASSWORD", "also")];
    let settings = parse("allow_weak_passwords = true", &weak).unwrap();
    assert_eq!(settings.warnings, [Warning::WeakUpstreamPassword, Warning::WeakClientPassword]);
}

#[test]
fn using_the_upstream_password_for_clients_is_a_warning() {
    let url = ("REDOUBT_UPSTREAM", "redis://redis");
    let settings = parse("", &[url, ("REDIS_PASSWORD", CANARY)]).unwrap();
    assert_eq!(passwords(&settings), (CANARY, CANARY));
    assert_eq!(settings.warnings, [Warning::OnePassword]);
    let same = [url, ("REDIS_PASSWORD", CANARY), ("REDOUBT_PASSWORD", CANARY)];
    assert_eq!(parse("", &same).unwrap().warnings, [Warning::OnePassword]);
    let two = [url, ("REDIS_PASSWORD", CANARY), ("REDOUBT_PASSWORD", OTHER)];
    let settings = parse("", &two).unwrap();
    assert_eq!(passwords(&settings), (OTHER, CANARY));
    assert!(settings.warnings.is_empty());
    let settings = parse("", &[url, ("REDOUBT_PASSWORD", OTHER)]).unwrap();
    assert!(settings.upstream.password.is_none());
    assert_eq!(settings.warnings, [Warning::NoUpstreamPassword]);
}

#[test]
fn passwords_in_the_environment_override_the_file() {
    let text = "listen = \"127.0.0.1:1\"\n[upstream]\nurl = \"redis://app:in-the-url@old:1\"\n";
    let upstream = format!("redis://:{CANARY}@new:2");
    let variables = [
        ("REDOUBT_LISTEN", "127.0.0.1:2, [::1]:3"),
        ("REDOUBT_UPSTREAM", upstream.as_str()),
        ("REDOUBT_PASSWORD", OTHER),
    ];
    let settings = parse(text, &variables).unwrap();
    let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:2", "[::1]:3"]);
    assert_eq!(settings.upstream.servers.to_string(), "redis://new:2");
    assert_eq!(settings.upstream.user, None, "the file's URL is gone with all that is in it");
    assert_eq!(passwords(&settings), (OTHER, CANARY));

    let text = format!(
        "[client]\npassword = \"{CANARY}\"\n[upstream]\nurl = \"redis://redis\"\n\
         user = \"app\"\npassword_file = \"/nonexistent\"\n"
    );
    let settings = parse(&text, &[("REDIS_PASSWORD", OTHER)]).unwrap();
    assert_eq!(passwords(&settings), (CANARY, OTHER));
    assert_eq!(settings.upstream.user.as_deref(), Some("app"));
    // The password in the file's URL is not sent to another host.
    let text = format!("[upstream]\nurl = \"redis://:{CANARY}@old\"\n");
    let moved = [("REDOUBT_UPSTREAM", "redis://new"), ("REDOUBT_PASSWORD", OTHER)];
    assert!(parse(&text, &moved).unwrap().upstream.password.is_none());
}

#[test]
fn passwords_are_read_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let client = dir.path().join("client");
    let upstream = dir.path().join("upstream");
    fs::write(&client, format!("{CANARY}\n")).unwrap();
    fs::write(&upstream, OTHER).unwrap();
    let text = format!(
        "[client]\npassword_file = {client:?}\n\
         [upstream]\nurl = \"redis://redis\"\npassword_file = {upstream:?}\n"
    );
    assert_eq!(passwords(&parse(&text, &[]).unwrap()), (CANARY, OTHER));
    let paths = [client.to_str().unwrap(), upstream.to_str().unwrap()];
    let variables = [
        ("REDOUBT_UPSTREAM", "redis://redis"),
        ("REDOUBT_PASSWORD_FILE", paths[0]),
        ("REDIS_PASSWORD_FILE", paths[1]),
    ];
    assert_eq!(passwords(&parse("", &variables).unwrap()), (CANARY, OTHER));
    let error = parse(&text.replace("/client", "/absent"), &[]).unwrap_err();
    assert_eq!(
        error,
        "redoubt.toml:2: client.password_file: the password file cannot be read: entity not found"
    );
}

#[test]
fn two_sources_of_one_password_are_an_error() {
    let url = ("REDOUBT_UPSTREAM", "redis://redis");
    let both = [url, ("REDIS_PASSWORD", CANARY), ("REDIS_PASSWORD_FILE", "/x")];
    assert_eq!(
        parse("", &both).unwrap_err(),
        "REDIS_PASSWORD_FILE in the environment: REDIS_PASSWORD says the same; \
         keep one of the two"
    );
    let in_url = format!("redis://:{CANARY}@redis");
    let both = [("REDOUBT_UPSTREAM", in_url.as_str()), ("REDIS_PASSWORD", OTHER)];
    assert_eq!(
        parse("", &both).unwrap_err(),
        "REDOUBT_UPSTREAM in the environment: REDIS_PASSWORD says the same; keep one of the two"
    );
    let text = format!("[client]\npassword = \"{CANARY}\"\npassword_file = \"/x\"\n");
    let error = parse(&text, &[url, ("REDOUBT_PASSWORD", OTHER)]).unwrap_err();
    assert_eq!(
        error,
        "redoubt.toml:3: client.password_file: client.password says the same; keep one of the two",
        "even when the environment decides"
    );
    let text = format!("[upstream]\nurl = \"redis://app:{CANARY}@redis\"\nuser = \"app\"\n");
    assert_eq!(
        parse(&text, &[]).unwrap_err(),
        "redoubt.toml:3: upstream.user: upstream.url says the same; keep one of the two"
    );
}

#[test]
fn a_previous_password_must_be_strong_and_may_have_expired() {
    let both = [("REDIS_PASSWORD", OTHER), ("REDOUBT_PASSWORD", CANARY)];
    let text = |end: &str, password: &str| {
        format!(
            "allow_weak_passwords = true\n[client]\nprevious_password = \"{password}\"\n\
             previous_until = \"{end}\"\n[upstream]\nurl = \"redis://redis\"\n"
        )
    };
    let (future, past) = ("9999-12-31T23:59:59Z", "2001-09-09T01:46:40.5Z");
    let old = "canary-c0ffee-c0ffee-c0ffee-c0ffee";
    let settings = parse(&text(future, old), &both).unwrap();
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    assert_eq!(previous(&settings).password.expose_secret(), old);
    let printed = settings.to_toml();
    let shown = format!("{settings:?}");
    assert!(!printed.contains("canary") && !shown.contains("canary"), "{printed} {shown}");
    let lines = "previous_password = \"********\" # from client.previous_password\n\
                 previous_until = \"9999-12-31T23:59:59Z\"\n";
    assert!(printed.contains(lines), "{printed}");

    let settings = parse(&text(past, "canary"), &both).unwrap();
    let warnings = [Warning::WeakPreviousPassword, Warning::PreviousPasswordOver];
    assert_eq!(settings.warnings, warnings);
    assert!(settings.to_toml().contains("previous_until = \"2001-09-09T01:46:40.5"));
    // The previous password may equal the present one: its end is configured before it is replaced.
    assert!(parse(&text(future, CANARY), &both).unwrap().warnings.is_empty());
    assert_eq!(parse(&text(future, OTHER), &both).unwrap().warnings, [Warning::OnePassword]);

    let [upstream, client] = both;
    let variables = [
        upstream,
        client,
        ("REDOUBT_UPSTREAM", "redis://redis"),
        ("REDOUBT_PREVIOUS_PASSWORD", old),
        ("REDOUBT_PREVIOUS_UNTIL", future),
    ];
    assert_eq!(previous(&parse("", &variables).unwrap()).password.expose_secret(), old);
    let settings = parse(&text(past, "canary"), &variables).unwrap();
    assert_eq!(previous(&settings).password.expose_secret(), old, "the environment wins");
    assert!(settings.warnings.is_empty());
}

#[test]
fn neither_debug_nor_the_printed_configuration_shows_a_secret() {
    let in_url = format!("redis://app:{CANARY}@redis:7000");
    let variables = [("REDOUBT_UPSTREAM", in_url.as_str()), ("REDOUBT_PASSWORD", CANARY)];
    let environment = environment(&variables);
    let settings = Settings::parse(Path::new("redoubt.toml"), "", &environment).unwrap();
    let printed = settings.to_toml();
    for shown in [format!("{environment:?}"), format!("{settings:?}"), printed.clone()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert!(printed.contains("url = \"redis://redis:7000\"\nuser = \"app\"\n"), "{printed}");
    assert!(
        printed.contains("password = \"********\" # from REDOUBT_UPSTREAM in the environment\n"),
        "{printed}"
    );
}
