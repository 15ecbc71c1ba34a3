//! The commands on the pages work as written, and the files that the pages name exist.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{run, said, text};

const DOCKER: &str = "docs/deploy/docker.md";
const SYSTEMD: &str = "docs/deploy/systemd.md";

/// Returns the commands after the mark `<!-- run: NAME -->`.
fn block(page: &str, name: &str) -> String {
    let text = text(page);
    let (_, after) = text.split_once(&format!("<!-- run: {name} -->\n```sh\n")).expect("a mark");
    after.split_once("```").expect("an end").0.to_owned()
}

/// Runs commands in `dir`.
fn shell(commands: &str, dir: &Path) {
    let is = run(Command::new("sh").args(["-eu", "-c", commands]).current_dir(dir));
    assert!(is.status.success(), "{commands}{}", said(&is));
}

/// Returns the permissions of a path.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Checks that both passwords are in `dir` and strong enough.
fn passwords(dir: &Path, file_mode: u32) {
    assert_eq!(mode(dir), 0o700);
    let mut all = ["redis_password", "redoubt_password"].map(|name| {
        assert_eq!(mode(&dir.join(name)), file_mode, "{name}");
        fs::read_to_string(dir.join(name)).unwrap()
    });
    assert!(all.iter().all(|password| password.trim_end().len() == 64));
    all.sort();
    assert_ne!(all[0], all[1]);
}

#[test]
fn the_pages_commands_create_the_secrets() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("config/compose")).unwrap();
    shell(&block(DOCKER, "secrets"), dir.path());
    passwords(&dir.path().join("config/compose/secrets"), 0o444);
}

#[test]
fn the_pages_commands_create_the_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().to_str().unwrap();
    shell(&block(SYSTEMD, "credentials").replace("/etc/redoubt", etc), dir.path());
    passwords(&dir.path().join("credentials"), 0o600);
}
