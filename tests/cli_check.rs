//! `redoubt check`, usage errors and exit codes.

mod cli_process;

use std::fs;
use std::process::Output;

use cli_process::redoubt;

const CANARY: &str = "canary-7f3a9c51d2e84b60a1c9f7e35d";

fn output(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        redoubt(args).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_right_configuration_is_printed_without_its_secrets() {
    let (code, out, err) =
        output(&["check", "--config", "config/redoubt.toml"], &[("REDIS_PASSWORD", CANARY)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("listen = [\"127.0.0.1:6380\"]\n"), "{out}");
    assert!(out.contains("password = \"********\" # from REDIS_PASSWORD in the environment\n"));
    assert!(out.contains("# the upstream's, as clients have none of their own\n"), "{out}");
    assert!(err.starts_with("redoubt: warning: clients use the upstream's password"), "{err}");
    assert!(!out.contains("canary") && !err.contains("canary"));
    toml::from_str::<toml::Table>(&out).unwrap();
}

#[test]
fn the_environment_is_enough_and_may_name_the_file() {
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
    assert!(out.contains("workers = 7\n"), "{out}");
}

#[test]
fn a_wrong_configuration_ends_both_commands_with_2_and_one_line() {
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
fn wrong_arguments_end_with_2() {
    for args in [&["serv"][..], &[], &["serve", "--conf", "x"], &["demo", "x"]] {
        let (code, out, _) = output(args, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
    }
    let (code, out, _) = output(&["--version"], &[]);
    assert_eq!(code, Some(0));
    assert_eq!(out, format!("redoubt {}\n", env!("CARGO_PKG_VERSION")));
}
