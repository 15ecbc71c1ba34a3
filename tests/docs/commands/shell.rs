//! Runs blocks in a shell, in a network of their own.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::blocks::{Block, Mark, missing};
use super::root;
use support::{Deadline, TIME_LIMIT};

/// Start of the script: it brings up the loopback interface, sets host names, and defines a function
/// that waits for a program in the background until it listens, as a person would before typing on.
const BEGIN: &str = "\
ip link set lo up
mount --bind hosts /etc/hosts
started() {
    before=
    while :; do
        kill -0 $1
        now=$(ss -Hltnp | grep \"pid=$1,\" || :)
        [ -z \"$now\" ] || [ \"$now\" != \"$before\" ] || break
        before=$now
        sleep 0.02
    done
}
cd page
";

/// Host names on the pages, all for this machine.
const HOSTS: &str = "127.0.0.1 localhost redis redoubt\n";

/// A shell and all processes that it has started, killed on drop.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell leads a process group, which the processes that it starts belong to.
        let group = format!("-{}", self.0.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
        drop(self.0.wait());
    }
}

/// Runs the blocks of a page one after the other.
pub(crate) fn run(blocks: &[Block]) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    prepare(&dir);
    let mut script = BEGIN.to_owned();
    for block in blocks {
        let _ = write!(script, "{{\n{}}} > ../{}.out 2>&1\n", commands(block), block.line);
    }
    fs::write(dir.path().join("script"), script).expect("write the script");
    let status = within(&dir, Deadline::after(TIME_LIMIT));
    for block in blocks {
        let output = fs::read(dir.path().join(format!("{}.out", block.line)));
        // A block that did not begin has no output.
        let Ok(output) = output else { break };
        let output = String::from_utf8_lossy(&output);
        if let Some(line) = missing(&block.expected(), &output) {
            return Err(format!("{}: no line {line:?} in:\n{output}", block.line));
        }
    }
    if status == Some(true) {
        return Ok(());
    }
    let begun = |block: &&Block| dir.path().join(format!("{}.out", block.line)).exists();
    let last = blocks.iter().rfind(begun).map_or(0, |block| block.line);
    let output = fs::read_to_string(dir.path().join(format!("{last}.out"))).unwrap_or_default();
    let shell = fs::read_to_string(dir.path().join("shell.out")).unwrap_or_default();
    Err(format!("{last}: fails, or does not end ({status:?}):\n{output}{shell}"))
}

/// Returns whether the script succeeds; `None` if it does not end in time.
fn within(dir: &TempDir, deadline: Deadline) -> Option<bool> {
    let log = fs::File::create(dir.path().join("shell.out")).expect("a file");
    let child = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "sh", "-eu", "script"])
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir.path())
        .env("PATH", path(&dir.path().join("bin")))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("unshare is missing: apt-get install -y util-linux");
    let mut shell = Shell(child);
    let mut status = None;
    deadline.poll(|| {
        status = shell.0.try_wait().expect("the shell's state");
        status.is_some()
    });
    status.map(|status| status.success())
}

/// Returns a block as the shell runs it.
fn commands(block: &Block) -> String {
    let Some(Mark::Run { explained, before, .. }) = &block.mark else {
        panic!("{}: not to be run", block.line);
    };
    let mut commands = with_waits(before);
    match block.language.as_str() {
        "python" => commands += &program(block, "python3 -"),
        "js" => commands += &program(block, "node --input-type=module -"),
        "sh" | "bash" => {
            let expected = |line| if *explained { None } else { block.comment(line) };
            for line in block.text.lines() {
                // A command with an expected output may fail, if it is meant to show a failure.
                let _ = match expected(line) {
                    Some((command, _)) => writeln!(commands, "{command} || :"),
                    None => write!(commands, "{}", with_waits(line)),
                };
            }
        }
        language => panic!("{}: nothing runs {language}", block.line),
    }
    commands
}

/// Inserts a wait after each program that is started in the background, until it listens.
fn with_waits(commands: &str) -> String {
    let line = |line: &str| {
        let starts = line.ends_with(" &");
        format!("{line}\n{}", if starts { "started $!\n" } else { "" })
    };
    commands.lines().map(line).collect()
}

fn program(block: &Block, interpreter: &str) -> String {
    format!("{interpreter} <<'END OF BLOCK'\n{}END OF BLOCK\n", block.text)
}

/// Returns the directory in which the libraries of `language` are installed.
fn installed(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let dir = target.join("clients").join(language);
    assert!(dir.join("installed").exists(), "no {language} client: run scripts/clients.sh");
    dir
}

fn path(bin: &Path) -> String {
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default())
}

/// Prepares what the blocks need: host names, programs, and the repository's `config`.
fn prepare(dir: &TempDir) {
    let dir = dir.path();
    let (bin, page) = (dir.join("bin"), dir.join("page"));
    fs::create_dir(&bin).expect("a directory");
    fs::create_dir(&page).expect("a directory");
    fs::write(dir.join("hosts"), HOSTS).expect("write the hosts");
    let copied = Command::new("cp").arg("-r").arg(root().join("config")).arg(&page).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy config");
    symlink(env!("CARGO_BIN_EXE_redoubt"), bin.join("redoubt")).expect("a link");
    symlink(installed("node").join("node_modules"), page.join("node_modules")).expect("a link");
    for name in ["python3", "pip"] {
        let program = installed("python").join("bin").join(name);
        executable(&bin.join(name), &format!("exec {} \"$@\"", program.display()));
    }
    // The program has been built already.
    let cargo = "[ \"$1 $2 $3\" = 'run --release --' ] || exit 9\nshift 3\nexec redoubt \"$@\"";
    executable(&bin.join("cargo"), cargo);
}

fn executable(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("write a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("make it a program");
}
