//! `redoubt check`, usage errors and exit codes.

use std::fs;
use std::process::Output;

use super::process::redoubt;

const CANARY: &str = "canary-7f3a9c51d2e84b60a1c9f7e35d";

fn output(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        redoubt(args).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn check_prints_a_valid_configuration_without_its_secrets() {
    let (code, out, err) =
        output(&["check", "--config", "config/redoubt.toml"], &[("REDIS_PASSWORD", CANARY)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("# Redoubt "), "{out}");
    assert!(out.contains("the configuration is valid; 1 warning, on standard error.\n"), "{out}");
    assert!(out.contains("\n\nlisten = [\"127.0.0.1:6380\"]\n"), "{out}");
    assert!(out.contains("password = \"********\" # from REDIS_PASSWORD in the environment\n"));
    assert!(
        out.contains("# the upstream's, since no password for clients is configured\n"),
        "{out}"
    );
    assert!(err.starts_with("redoubt: warning: clients use the upstream's password"), "{err}");
    assert!(!out.contains("canary") && !err.contains("canary"));
    toml::from_str::<toml::Table>(&out).unwrap();
}

#[test]
fn check_accepts_a_configuration_from_the_environment_alone() {
    let passwords = [("REDIS_PASSWORD", CANARY), ("REDOUBT_UPSTREAM", "redis://redis:7000")];
    let (code, out, err) = output(&["check"], &passwords);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("url = \"redis://redis:7000\""), "{out}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    fs::write(&path, "workers = 7\n").unwrap();
    let path = path.to_str().unwrap();
    let (code, out, err) =
        output(&["check"], &[passwords[0], passwords[1], ("REDOUBT_CONFIG", path)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("workers = 7 # default: 1\n"), "{out}");
}

/// The printed configuration can be used as a configuration, its passwords aside, and prints the same
/// again.
#[test]
fn check_prints_the_defaults_of_changed_settings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    let text = "listen = [\"127.0.0.1:7000\", \"127.0.0.1:7001\"]\n[policy]\nguard = \"off\"\n\
                [limits]\nidle_timeout = \"5m\"\n[admin]\nlisten = \"off\"\n[audit]\n\
                syslog_socket = \"/dev/log # x\"\n";
    fs::write(&path, text).unwrap();
    let variables = [
        ("REDIS_PASSWORD", CANARY),
        ("REDOUBT_PASSWORD", "canary-of-clients-0123456789abcdef"),
        ("REDOUBT_UPSTREAM", "redis://redis:7000"),
    ];
    let check = || output(&["check", "--config", path.to_str().unwrap()], &variables);
    let (code, out, err) = check();
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "listen = [\"127.0.0.1:7000\", \"127.0.0.1:7001\"] # default: [\"127.0.0.1:6380\"]\n",
        "guard = \"off\" # default: \"auto\"\n",
        "idle_timeout = \"5m\" # default: \"0s\"\n",
        "listen = \"off\" # default: \"127.0.0.1:6390\"\n",
        "url = \"redis://redis:7000\"\n",
        "escapes = \"deny\"\n",
    ] {
        assert!(out.contains(line), "{line}{out}");
    }
    assert!(
        !out.contains("canary") && !out.contains('\x1b') && !err.contains('\x1b'),
        "{out}{err}"
    );
    let printed: toml::Table = toml::from_str(&out).unwrap();
    assert_eq!(printed["audit"]["syslog_socket"].as_str(), Some("/dev/log # x"));
    let unmasked: String = out
        .lines()
        .filter(|line| !line.contains("********"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&path, unmasked).unwrap();
    assert_eq!(check().1, out);
}

/// Returns what `check` prints for identities, whose tables `text` holds.
fn check_identities(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("users.acl"), "user gone off ~* +@all\n").unwrap();
    let path = dir.path().join("redoubt.toml");
    let text = text.replace("DIRECTORY", dir.path().to_str().unwrap());
    fs::write(&path, text.replace("PASSWORD", CANARY)).unwrap();
    let variables = [
        ("REDIS_PASSWORD", "canary-of-the-upstream-0123456789abcdef"),
        ("REDOUBT_UPSTREAM", "redis://redis:7000"),
    ];
    let (code, out, err) = output(&["check", "--config", path.to_str().unwrap()], &variables);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("canary"), "{out}");
    toml::from_str::<toml::Table>(&out).unwrap();
    out
}

/// Returns the comments at the end of the table of an identity.
fn notes_of<'a>(out: &'a str, name: &str) -> Vec<&'a str> {
    let (_, table) = out.split_once(&format!("[identities.{name}]\n")).unwrap();
    let table = table.split("\n\n").next().unwrap();
    table.lines().filter(|line| line.starts_with('#')).collect()
}

#[test]
fn check_prints_the_effective_rule_of_each_identity() {
    let out = check_identities(
        "[policy]\nblocked = [\"FLUSHALL\"]\nescapes = \"allow\"\n\
         [identities.worker]\npassword = \"PASSWORD\"\nacl = [\"~jobs:*\", \"+@all\", \"(~x +get)\"]\n\
         [identities.watched]\npassword = \"PASSWORD-2\"\nacl = [\"~*\"]\nmode = \"observe\"\n\
         [identities.placed]\npassword = \"PASSWORD-3\"\nacl = [\"+get\"]\ndatabases = [0, 2]\n\
         [identities.gone]\nacl_file = \"DIRECTORY/users.acl\"\n",
    );
    assert_eq!(
        notes_of(&out, "worker"),
        ["# Effective rule: resetchannels ~jobs:* +@all -flushall (~x +get -flushall)"]
    );
    let watched = notes_of(&out, "watched");
    assert!(watched[0].contains("are served") && watched[0].contains("is recorded"), "{out}");
    assert_eq!(watched[1], "# Effective rule: resetchannels ~* -flushall");
    let placed = notes_of(&out, "placed");
    assert!(
        placed[0].ends_with(
            ": resetchannels +get -select -move -copy -swapdb -flushall +select|0 +select|2 -flushall"
        ),
        "{out}"
    );
    assert!(placed[1].ends_with(": resetchannels +get resetdbs db=0,2 -flushall"), "{out}");
    assert_eq!(notes_of(&out, "gone"), ["# Nobody can log in: acl_file switches this user off."]);
}

#[test]
fn check_prints_who_has_the_rights_where_redoubt_makes_no_guard() {
    let out = check_identities(
        "[policy]\nguard = \"audit\"\n\
         [identities.own]\npassword = \"PASSWORD\"\nacl = [\"+get\"]\nupstream_user = \"app\"\n\
         upstream_password = \"PASSWORD-2\"\n\
         [identities.none]\npassword = \"PASSWORD-3\"\nacl = [\"+get\"]\n",
    );
    assert!(notes_of(&out, "own")[0].contains("the Redis user \"app\""), "{out}");
    assert!(notes_of(&out, "none")[0].starts_with("# Sessions are refused: "), "{out}");
}

#[test]
fn check_and_serve_exit_with_2_and_one_line_for_a_wrong_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redoubt.toml");
    fs::write(&path, format!("[client]\npassword = {CANARY}\n")).unwrap();
    let path = path.to_str().unwrap();
    for command in ["check", "serve"] {
        let (code, out, err) = output(&[command, "--config", path], &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(err.starts_with(&format!("redoubt: {path}:2: client.password: not valid TOML")));
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(!err.contains("canary"), "{err}");
        let (code, _, err) = output(&[command], &[]);
        assert_eq!(code, Some(2));
        assert!(err.contains("no upstream"), "{err}");
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    for args in [&["serv"][..], &[], &["serve", "--conf", "x"], &["demo", "x"]] {
        let (code, out, _) = output(args, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
    }
    let (code, out, _) = output(&["--version"], &[]);
    assert_eq!(code, Some(0));
    assert_eq!(out, format!("redoubt {}\n", env!("CARGO_PKG_VERSION")));
}
