//! The example `examples/semantic-cache` works as its page says.

use std::process::{Command, Stdio};

use support::{Deadline, TIME_LIMIT, pages, root};

use super::installed;

const PAGE: &str = "examples/semantic-cache/README.md";
const MARK: &str = "<!-- run: local -->\n```sh\n";

/// Runs in a network of its own, where the example's ports are free.
const BEGIN: &str = "ip link set lo up\n";

/// Ends what the first block has started.
const END: &str = "kill $!\nwait\n";

#[test]
#[ignore = "needs Redis with modules: `make test-clients` installs and runs it"]
fn the_pages_commands_give_the_documented_output() {
    let page = pages::text(PAGE);
    let blocks: Vec<&str> =
        page.split(MARK).skip(1).map(|text| text.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2, "{PAGE}");
    let script = format!("{BEGIN}{}echo\n{}{END}", blocks[0], blocks[1]);
    let mut shell = Command::new("unshare")
        // With a process namespace nothing outlives the shell.
        .args(["--map-root-user", "--net", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-eu", "-c", &script])
        .current_dir(root())
        .env("REDOUBT", env!("CARGO_BIN_EXE_redoubt"))
        .env("PYTHON", installed("python").join("bin/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare is missing: apt-get install -y util-linux");
    let output = support::Lines::default();
    output.collect(shell.stdout.take().unwrap());
    output.collect(shell.stderr.take().unwrap());
    let ended = Deadline::after(TIME_LIMIT * 4).poll(|| shell.try_wait().unwrap().is_some());
    if !ended {
        drop(shell.kill());
    }
    let status = shell.wait().unwrap();
    let all = output.all().join("\n");
    assert!(ended && status.success(), "{status}: {all}");

    let answers: Vec<String> = output
        .all()
        .into_iter()
        .filter(|line| line.starts_with("{\"from\"") || line.starts_with("{\"deleted\""))
        .collect();
    let mut wanted = vec!["{\"from\": \"model\", …}"];
    wanted
        .extend(blocks[1].lines().filter_map(|line| line.split_once("  # ")).map(|(_, text)| text));
    assert_eq!(answers.len(), wanted.len(), "{all}");
    for (answer, wanted) in answers.iter().zip(wanted) {
        let begin = wanted.trim_end_matches(" …}");
        assert!(answer.starts_with(begin), "{answer}, not {wanted}: {all}");
    }
}
