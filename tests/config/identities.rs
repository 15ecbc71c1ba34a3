//! `[identities.NAME]`: every key, what must be given together, and the errors.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use redoubt::config::{Environment, IdentityMode, IdentitySettings, Settings, Warning, keys};
use secrecy::ExposeSecret;

const UPSTREAM: &str = "[upstream]\nurl = \"redis://redis\"\n";
/// A strong password that no message may contain.
const CANARY: &str = "canary-7f3a9c51d2e84b60a1c9f7e35d";

fn nothing() -> Environment {
    Environment::from_lookup(|_| None)
}

fn parse_with(text: &str, environment: &Environment) -> Result<Settings, String> {
    let text = format!("{UPSTREAM}{text}");
    Settings::parse(Path::new("redoubt.toml"), &text, environment).map_err(|error| {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "a secret in {shown}");
        error.to_string()
    })
}

fn parse(text: &str) -> Result<Settings, String> {
    parse_with(text, &nothing())
}

/// Returns the identity of a table that has a password and rights.
fn identity(more: &str) -> Result<IdentitySettings, String> {
    let text = format!(
        "[identities.worker]\npassword = \"{CANARY}\"\nacl = [\"~a\", \"+@all\"]\n{more}\n"
    );
    parse(&text).map(|settings| settings.identities.into_iter().next().unwrap())
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn all_keys_of_an_identity_are_read_and_printed_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| write(dir.path(), name, CANARY).display().to_string();
    let text = format!(
        r#"
        [tls]
        client_ca = "/ca"
        certificate = "/certificate"
        key = "/key"
        [identities.ai-service]
        password_file = "{password}"
        previous_password_file = "{previous}"
        previous_until = "2100-01-31T12:00:00Z"
        certificate = "spiffe://prod/ai"
        acl = ["~cache:*", "%R~b", "&e", "+@read (+set ~x)"]
        databases = [3, 0, 3]
        mode = "observe"
        limits = {{ sessions = 2, commands_per_second = 3, bytes_per_second = "1mb", leases = 4, in_flight = 5 }}
        upstream_user = "ai"
        upstream_password_file = "{upstream}"
        "#,
        password = file("password"),
        previous = file("previous"),
        upstream = file("upstream"),
    );
    let settings = parse(&text).unwrap();
    assert!(settings.client.is_none(), "no password was given for it");
    let [ai] = &settings.identities[..] else { panic!("one identity") };
    assert_eq!((ai.name.as_str(), ai.mode), ("ai-service", IdentityMode::Observe));
    assert_eq!(ai.acl.to_string(), "~cache:* %R~b &e +@read (+set ~x)");
    assert_eq!(ai.databases.as_deref(), Some(&[0, 3][..]));
    assert_eq!(ai.limits.bytes_per_second, Some(1 << 20));
    assert_eq!(ai.password.as_ref().unwrap().0.expose_secret(), CANARY);
    assert_eq!(ai.upstream.as_ref().unwrap().user, "ai");
    let printed = settings.to_toml();
    for line in [
        "[identities.ai-service]",
        r#"acl = ["~cache:*", "%R~b", "&e", "+@read", "(+set ~x)"]"#,
        "databases = [0, 3]",
        r#"mode = "observe""#,
        "limits = { sessions = 2, commands_per_second = 3, bytes_per_second = \"1mb\", leases = 4, in_flight = 5 }",
        r#"upstream_user = "ai""#,
        r#"certificate = "spiffe://prod/ai""#,
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    assert!(printed.contains("password = \"********\" # from identities.ai-service.password_file"));
    assert!(!printed.contains("canary"));
}

#[test]
fn every_key_is_accepted_in_a_table_that_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let acl = format!("user default on nopass\nuser worker on >{CANARY} ~a +@all\n");
    let users = write(dir.path(), "users.acl", &acl).display().to_string();
    let file = write(dir.path(), "file", CANARY).display().to_string();
    let password = format!("password = \"{CANARY}\"");
    let acl = "acl = [\"+@all\"]".to_owned();
    let until = "previous_until = \"2100-01-31T12:00:00Z\"".to_owned();
    let tables: &[&[String]] = &[
        &[password.clone(), acl.clone()],
        &[format!("password_file = \"{file}\""), acl.clone()],
        &[password.clone(), acl.clone(), until.clone(), format!("previous_{password}")],
        &[password.clone(), acl.clone(), until, format!("previous_password_file = \"{file}\"")],
        &[format!("acl_file = \"{users}\"")],
        &[
            password.clone(),
            acl.clone(),
            "upstream_user = \"x\"".into(),
            format!("upstream_{password}"),
        ],
        &[
            password.clone(),
            acl.clone(),
            "upstream_user = \"x\"".into(),
            format!("upstream_password_file = \"{file}\""),
        ],
        &["certificate = \"worker.example.org\"".into(), acl.clone()],
        &[
            password,
            acl,
            "databases = [0]".into(),
            "mode = \"enforce\"".into(),
            "limits = { sessions = 1 }".into(),
        ],
    ];
    let tls = "[tls]\nclient_ca = \"/ca\"\ncertificate = \"/certificate\"\nkey = \"/key\"\n";
    for table in tables {
        let text = format!("{tls}[identities.worker]\n{}\n", table.join("\n"));
        parse(&text).unwrap_or_else(|error| panic!("{text}{error}"));
    }
    let tried: Vec<_> = tables.iter().flat_map(|table| table.iter()).collect();
    for key in keys().filter_map(|key| key.strip_prefix("identities.NAME.")) {
        let is_set = tried.iter().any(|line| line.starts_with(&format!("{key} = ")));
        assert!(is_set, "{key} is not tried");
    }
}

#[test]
fn passwords_come_from_the_environment_under_the_identitys_name() {
    let environment =
        nothing().with("REDOUBT_PASSWORD_AI_SERVICE".to_owned(), OsString::from(CANARY));
    let table = "[identities.ai-service]\nacl = \"~* +@all\"\n";
    let settings = parse_with(table, &environment).unwrap();
    let (password, origin) = settings.identities[0].password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), CANARY);
    assert_eq!(origin.to_string(), "from REDOUBT_PASSWORD_AI_SERVICE in the environment");
    let empty = nothing().with("REDOUBT_PASSWORD_AI_SERVICE".to_owned(), OsString::new());
    let error = parse_with(table, &empty).unwrap_err();
    assert!(
        error.starts_with("REDOUBT_PASSWORD_AI_SERVICE in the environment: set but"),
        "{error}"
    );
    // This variable names a file of the passwords of clients.
    let file = nothing().with("REDOUBT_PASSWORD_FILE".to_owned(), OsString::from("/nonexistent"));
    let error = parse_with("[identities.file]\nacl = \"+@all\"\n", &file).unwrap_err();
    assert!(error.contains("needs a password") || error.contains("cannot be read"), "{error}");
}

#[test]
fn the_short_form_is_an_identity_only_if_it_has_a_password() {
    let table = format!("[identities.worker]\npassword = \"{CANARY}\"\nacl = \"+@all\"\n");
    let upstream = "another-91c4e7a2b5d80f36e9a7c4b12f";
    let environment = Environment::from_lookup(|name| {
        (name == "REDIS_PASSWORD").then(|| OsString::from(upstream))
    });
    let settings = parse_with(&table, &environment).unwrap();
    assert!(settings.client.is_none());
    let client = "[client]\nuser = \"app\"\n";
    let error = parse_with(&format!("{client}{table}"), &environment).unwrap_err();
    assert!(error.starts_with("configuration: no password for clients"), "{error}");
    let client = format!("[client]\nuser = \"worker\"\npassword = \"{CANARY}\"\n");
    let error = parse(&format!("{client}{table}")).unwrap_err();
    assert_eq!(
        error,
        "redoubt.toml:6: identities.worker: [client] has this user name too; take another name, or leave \
         [client] out"
    );
    let same = table.replace(CANARY, upstream);
    let settings = parse_with(&same, &environment).unwrap();
    assert!(settings.warnings.contains(&Warning::OnePassword));
}

#[test]
fn an_acl_file_gives_rights_passwords_and_whether_the_user_is_on() {
    let dir = tempfile::tempdir().unwrap();
    let of = |text: &str| {
        let path = write(dir.path(), "users.acl", text);
        let table = format!("[identities.worker]\nacl_file = \"{}\"\n", path.display());
        parse(&table).map(|settings| settings.identities.into_iter().next().unwrap())
    };
    let digest = "0".repeat(64);
    let worker =
        of(&format!("\nuser worker on #{digest} >{CANARY} ~w:* +get -@all +set\n")).unwrap();
    assert_eq!(worker.acl.to_string(), "~w:* +get -@all +set");
    assert_eq!((worker.passwords.digests.len(), worker.is_on), (2, true));
    assert!(worker.acl_place.ends_with("users.acl:2"), "{}", worker.acl_place);
    assert!(!of("user worker off +@all").unwrap().is_on);
    let error = |text: &str| of(text).unwrap_err();
    assert!(error("user other on +get").contains("no line \"user worker …\""));
    assert!(error("nonsense").contains("users.acl:1: a line is \"user NAME\""));
    assert!(error("user worker on nopass +get").contains("users.acl:1: nopass lets everybody in"));
    assert!(error("user worker on >short +get").contains("shorter than 32 characters"));
    assert!(error("user worker on +get").contains("needs a password"));
    assert!(error(&format!("user worker on >{CANARY}")).contains("there is no rule"));
    let both = format!(
        "[identities.worker]\nacl = \"+get\"\nacl_file = \"/x\"\npassword = \"{CANARY}\"\n"
    );
    assert!(
        parse(&both)
            .unwrap_err()
            .ends_with("identities.worker.acl_file says the same; keep one of the two")
    );
}

#[test]
fn errors_name_the_place_and_what_to_write() {
    let error = |more: &str| identity(more).unwrap_err();
    for (more, expected) in [
        ("acll = 1", "redoubt.toml:6: identities.worker.acll: unknown key; did you mean acl = "),
        (
            "databases = []",
            "redoubt.toml:6: identities.worker.databases: expected a list of numbers",
        ),
        (
            "databases = [-1]",
            "redoubt.toml:6: identities.worker.databases: expected a list of numbers",
        ),
        (
            "mode = \"off\"",
            "redoubt.toml:6: identities.worker.mode: expected \"enforce\" or \"observe\"",
        ),
        (
            "limits = { seconds = 1 }",
            "redoubt.toml:6: identities.worker.limits: expected a table of",
        ),
        (
            "limits = { sessions = 0 }",
            "redoubt.toml:6: identities.worker.limits: expected a table of",
        ),
        (
            "certificate = \"worker\"",
            "redoubt.toml:6: identities.worker.certificate: certificates of clients need",
        ),
        (
            "upstream_user = \"x\"",
            "redoubt.toml:6: identities.worker.upstream_user: only together with",
        ),
        (
            "upstream_password = \"x\"",
            "redoubt.toml:6: identities.worker.upstream_password: only together with",
        ),
        (
            "previous_until = \"2100-01-31T12:00:00Z\"",
            "redoubt.toml:6: identities.worker.previous_until: there is no",
        ),
    ] {
        let found = error(more);
        assert!(found.starts_with(expected), "{more}: {found}");
    }
    for (rule, expected) in [
        (format!(">{CANARY}"), "a rule about passwords, on, off or reset"),
        ("on".to_owned(), "a rule about passwords, on, off or reset"),
        ("(+get".to_owned(), "a selector is ( … )"),
        (CANARY.to_owned(), "not a rule of Redis's ACL"),
    ] {
        let table =
            format!("[identities.a]\npassword = \"{CANARY}\"\nacl = [\n\"+get\",\n\"{rule}\"]\n");
        let found = parse(&table).unwrap_err();
        assert!(
            found.starts_with(&format!("redoubt.toml:7: identities.a.acl: {expected}")),
            "{found}"
        );
    }
    let none = format!("[identities.a]\npassword = \"{CANARY}\"\n");
    assert!(
        parse(&none)
            .unwrap_err()
            .starts_with("redoubt.toml:3: identities.a: an identity needs rights")
    );
    let none = parse("[identities.a]\nacl = \"+get\"\n").unwrap_err();
    assert!(
        none.starts_with("redoubt.toml:3: identities.a: an identity needs a password"),
        "{none}"
    );
    for name in ["\"a b\"", "\"a.b\"", "\"\"", &format!("\"{}\"", "a".repeat(65))] {
        let found = parse(&format!("[identities.{name}]\n")).unwrap_err();
        assert!(found.contains("an identity is called by 1 to 64 letters"), "{name}: {found}");
    }
    assert!(
        parse("[identities]\nworker = 1\n")
            .unwrap_err()
            .contains("expected a table; write [identities.worker]")
    );
    let two = "[tls]\nclient_ca = \"/a\"\ncertificate = \"/b\"\nkey = \"/c\"\n\
         [identities.a]\ncertificate = \"a.example\"\nacl = \"+get\"\n[identities.b]\ncertificate = \"a.example\"\nacl = \"+get\"\n";
    assert!(
        parse(two)
            .unwrap_err()
            .ends_with("identities.a.certificate says the same; keep one of the two")
    );
}
