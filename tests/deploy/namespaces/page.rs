//! Runs the commands of `docs/deploy/kubernetes.md` as written.
//!
//! A program stands in for kubectl where a cluster is needed: `exec` runs the command in the network
//! namespace of the pod with the container's environment, and what is applied or created is rendered by
//! the real kubectl, and not sent. A block that begins with `# cluster` cannot be run so.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::cluster::Cluster;
use super::{said, serving};
use crate::kubernetes::manifests::{Manifests, Overlay, copy, installed, text};

const PAGE: &str = "docs/deploy/kubernetes.md";

/// A block of shell commands, and the output that its comments announce.
struct Block {
    /// The place that it runs in, if its first line names one.
    place: Option<String>,
    script: String,
    says: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "```sh" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let inner: Vec<_> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
        let inner = inner.iter().map(|line| line.get(indent..).unwrap_or_default());
        let mut block = Block { place: None, script: String::new(), says: Vec::new() };
        for (number, line) in inner.enumerate() {
            match line.strip_prefix("# ") {
                Some(place) if number == 0 => block.place = Some(place.to_owned()),
                Some(said) => block.says.push(said.to_owned()),
                None => block.script += &format!("{line}\n"),
            }
        }
        blocks.push(block);
    }
    blocks
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Returns a line of shell that runs the command with further arguments.
fn line(command: &Command) -> String {
    let mut line = "env -i".to_owned();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default().to_str().unwrap();
        line += &format!(" {}", quoted(&format!("{}={value}", name.to_str().unwrap())));
    }
    line += &format!(" {}", quoted(command.get_program().to_str().unwrap()));
    for arg in command.get_args() {
        line += &format!(" {}", quoted(arg.to_str().unwrap()));
    }
    line
}

/// Returns the stand-in for kubectl.
fn kubectl(manifests: &Manifests, cluster: &Cluster) -> String {
    let real = installed("bin/kubectl").display().to_string();
    let mut execs = String::new();
    for pods in manifests.pods() {
        for container in pods.containers().map(|container| text(&container["name"])) {
            // The program `env` runs the command after it.
            let inner = cluster.container(&pods, container, &["env".to_owned()]);
            let name = pods.name;
            execs += &format!(
                "\"exec deploy/{name} -c {container} --\") shift 5; exec {} \"$@\" ;;\n",
                line(&inner)
            );
        }
    }
    format!(
        "#!/bin/sh
        [ \"$1\" != -n ] || {{ [ \"$2\" = ai ] || exit 9; shift 2; }}
        case \"$1 $2\" in
        'exec deploy/'*) case \"$1 $2 $3 $4 $5\" in\n{execs} *) echo \"no such container: $*\"; exit 9 ;; esac ;;
        'kustomize '*) exec {real} \"$@\" ;;
        'create '*) exec {real} \"$@\" --dry-run=client ;;
        'apply -k') exec {real} kustomize \"$3\" ;;
        'apply -f') exec cat ;;
        'rollout status' | 'rollout restart')
            case $3 in statefulset/redis | deployment/ai-service) exit 0 ;; esac ;;
        esac
        echo \"what is kubectl $*\" >&2
        exit 9\n"
    )
}

/// Runs the blocks in a copy of the repository's manifests. Returns the number of blocks.
fn run(overlay: Overlay, is_for: impl Fn(Option<&str>) -> bool) -> usize {
    let (manifests, cluster) = serving(overlay);
    let dir = copy();
    fs::create_dir(dir.path().join("config")).unwrap();
    fs::rename(dir.path().join("kubernetes"), dir.path().join("config/kubernetes")).unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let stand_in = bin.join("kubectl");
    fs::write(&stand_in, kubectl(&manifests, &cluster)).unwrap();
    let status = Command::new("chmod").arg("+x").arg(&stand_in).status();
    assert!(status.unwrap().success());
    let mut count = 0;
    for block in blocks().into_iter().filter(|block| is_for(block.place.as_deref())) {
        let mut shell = match block.place.as_deref() {
            Some("outside") => cluster.command("outside", "sh"),
            _ => Command::new("sh"),
        };
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let script = format!("export PATH={path}\ncd {}\n{}", dir.path().display(), block.script);
        let done = shell.args(["-c", &script]).output().unwrap();
        let said = said(&done);
        // The first command of a block may be a check that fails, as a refused connection does.
        assert!(done.status.success() || !block.says.is_empty(), "{}{said}", block.script);
        assert_ne!(done.status.code(), Some(9), "{}{said}", block.script);
        for line in &block.says {
            assert!(said.contains(line.as_str()), "{line:?} is not in:\n{}{said}", block.script);
        }
        count += 1;
    }
    count
}

#[test]
fn the_kubernetes_page_works_with_the_sidecar_overlay() {
    let ran = run(Overlay::Sidecar, |place| place.is_none_or(|place| place == "outside"));
    assert!(ran >= 10, "{ran} blocks were run");
}

#[test]
fn the_kubernetes_page_works_with_the_shared_overlay() {
    assert_eq!(run(Overlay::Shared, |place| place == Some("shared")), 1);
}

#[test]
fn the_kubernetes_page_names_known_places_and_most_blocks_run() {
    let places: Vec<_> = blocks().into_iter().filter_map(|block| block.place).collect();
    let known = ["cluster", "outside", "shared"];
    assert!(places.iter().all(|place| known.contains(&place.as_str())), "{places:?}");
    assert_eq!(places.iter().filter(|place| *place == "cluster").count(), 3);
}
