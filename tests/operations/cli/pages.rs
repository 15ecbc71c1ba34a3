//! `redoubt completions` and `redoubt man`: they contain everything in `--help`, in a form that shells
//! and the reader of manual pages accept without a warning.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::process::redoubt;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// Returns the output of a successful run.
fn reported(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = redoubt(args).output().unwrap();
    assert!(status.success() && stderr.is_empty(), "{args:?}: {status}");
    String::from_utf8(stdout).unwrap()
}

/// Returns the commands below `command`, as `--help` lists them.
fn commands(command: &[&str]) -> Vec<String> {
    let help = reported(&[command, &["--help"]].concat());
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let indented = list.filter_map(|line| line.strip_prefix("  "));
    indented.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Returns the long options of `command`, as `--help` lists them.
fn options(command: &[&str]) -> BTreeSet<String> {
    let help = reported(&[command, &["--help"]].concat());
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long = lines.filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")));
    long.map(str::to_owned).collect()
}

/// Returns every command line without its options: the program itself, each command, and so on.
fn all() -> Vec<Vec<String>> {
    let mut all = vec![vec![]];
    let mut next = 0;
    while let Some(command) = all.get(next).cloned() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let below = commands(&words);
        all.extend(below.into_iter().map(|name| [command.as_slice(), &[name]].concat()));
        next += 1;
    }
    assert!(all.len() > 12, "--help lists what there is: {all:?}");
    all
}

/// Returns what bash offers after `words`, the last of which is being typed.
fn offered(script: &Path, words: &[&str]) -> BTreeSet<String> {
    const ASK: &str = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
        _redoubt redoubt \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    let bash =
        bash.args(["--norc", "-u", "-c", ASK, "bash"]).arg(script).arg("redoubt").args(words);
    let Output { status, stdout, stderr } = bash.output().expect("bash");
    assert!(status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Returns groff's messages about a page; empty for a correct page.
fn complaints(page: &str) -> String {
    let mut groff = Command::new("groff")
        .args(["-man", "-ww", "-z", "-Tutf8"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("groff is missing: apt-get install -y groff-base");
    groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    String::from_utf8(groff.wait_with_output().unwrap().stderr).unwrap()
}

#[test]
fn bash_completes_every_command_and_option() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("redoubt.bash");
    fs::write(&script, reported(&["completions", "bash"])).unwrap();
    for command in all() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let with = |typed| offered(&script, &[words.as_slice(), &[typed]].concat());
        let (below, options) = (commands(&words), options(&words));
        let any = with("");
        assert!(below.iter().all(|name| any.contains(name)), "{command:?}: {any:?}");
        let long = with("--");
        assert!(!options.is_empty() && long.is_superset(&options), "{command:?}: {long:?}");
    }
    assert_eq!(offered(&script, &["ver"]), BTreeSet::from(["verify".to_owned()]));
    let shells = offered(&script, &["completions", ""]);
    assert!(SHELLS.iter().all(|shell| shells.contains(*shell)), "{shells:?}");
}

#[test]
fn completions_of_every_shell_contain_every_command_and_option() {
    for shell in SHELLS {
        let script = reported(&["completions", shell]);
        for command in all() {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let name = words.last().copied().unwrap_or("redoubt");
            assert!(script.contains(name), "{shell} does not know {command:?}");
            for option in options(&words) {
                // Fish writes options without the dashes.
                let option = option.trim_start_matches('-');
                assert!(script.contains(option), "{shell} does not know {option} of {command:?}");
            }
        }
    }
    assert_eq!(redoubt(&["completions", "cmd"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn each_command_has_a_manual_page_with_every_option() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("share/man/man1");
    assert_eq!(reported(&["man", pages.to_str().unwrap()]), "");
    let mut expected = BTreeSet::new();
    for command in all() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let name = [&["redoubt"], words.as_slice()].concat().join("-") + ".1";
        let page = fs::read_to_string(pages.join(&name)).expect(&name);
        assert_eq!(complaints(&page), "", "{name}");
        assert!(page.contains(env!("CARGO_PKG_VERSION")), "{name}");
        for option in options(&words) {
            let bold = format!("\\fB{}\\fR", option.replace('-', "\\-"));
            let reported =
                page.lines().any(|line| line.split(", ").any(|it| it.starts_with(&bold)));
            assert!(reported, "{name} does not tell {option}");
        }
        for below in commands(&words) {
            let below = format!("{}-{below}(1)", name.trim_end_matches(".1"));
            assert!(page.contains(&below.replace('-', "\\-")), "{name} does not name {below}");
        }
        expected.insert(name);
    }
    let written = fs::read_dir(&pages).unwrap();
    let written: BTreeSet<_> =
        written.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written, expected);
    assert_eq!(reported(&["man"]), fs::read_to_string(pages.join("redoubt.1")).unwrap());
    assert_ne!(complaints(".TH redoubt 1\n.SH NAME\n.XX\n"), "", "groff accepts a wrong page");
}

#[test]
fn a_manual_page_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let Output { status, stderr, .. } = redoubt(&["man", file.to_str().unwrap()]).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.starts_with("redoubt: cannot write ") && stderr.contains("/file: "), "{stderr}");
    let full = fs::File::create("/dev/full").unwrap();
    for args in [["completions", "bash"].as_slice(), &["man"]] {
        let status = redoubt(args).stdout(full.try_clone().unwrap()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(1), "{args:?}");
    }
}
