//! The deployed files meet their requirements: the image, Compose's file, `redis.conf` and the systemd
//! unit are checked by their text, by other projects' checkers, and by running them. Each rule is shown
//! to fail when the line that it is about is removed.

mod compose;
mod container;
mod dns;
mod dockerfile;
mod hardened;
mod mutation;
mod pages;
mod redis_conf;
mod runc;
mod syscalls;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns Cargo's target directory.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory").to_owned()
}

/// Returns the text of a file of the repository.
fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a program that `scripts/deploy-tools.sh` installs.
fn tool(name: &str) -> Command {
    let path = target().join("deploy/bin").join(name);
    assert!(path.exists(), "{name} is missing: scripts/deploy-tools.sh");
    Command::new(path)
}

/// Runs a program; returns its output and status.
fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    command.output().unwrap_or_else(|error| {
        panic!(
            "{} is missing ({error}): scripts/prerequisites.sh test; scripts/deploy-tools.sh",
            program.display()
        )
    })
}

/// Returns all output of a program.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
