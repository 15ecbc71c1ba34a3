//! Runs the image's root file system in a container by runc, which Docker and Kubernetes use too. What
//! engines read from the Dockerfile's last stage, this module reads from there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{run, target, text};
use support::{Deadline, Lines, secret};

/// The configuration of a [`Container`].
#[derive(Default)]
pub(crate) struct Setup {
    environment: Vec<String>,
    mounts: Vec<Value>,
    /// The only permitted system calls; `None` permits all.
    calls: Option<BTreeSet<String>>,
}

impl Setup {
    pub(crate) fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push(format!("{name}={}", value.to_string()));
        self
    }

    /// Mounts a file of this machine, read-only.
    pub(crate) fn mount(mut self, file: &Path, place: &str) -> Self {
        self.mounts.push(json!({
            "destination": place, "type": "bind", "source": file,
            "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
        }));
        self
    }

    /// Confines it as systemd confines a service: to these system calls, and with only processes in
    /// /proc.
    pub(crate) fn confine(mut self, calls: BTreeSet<String>) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Runs the image's own command.
    pub(crate) fn start(self) -> Container {
        Container::start(self)
    }
}

/// A running container, which is removed on drop.
pub(crate) struct Container {
    dir: TempDir,
    id: String,
    child: Child,
    output: Lines,
}

/// Returns the root file system that `scripts/image.sh` has created.
pub(crate) fn rootfs() -> PathBuf {
    let rootfs = target().join("image/rootfs");
    assert!(rootfs.exists(), "there is no root file system of the image: scripts/image.sh");
    rootfs
}

/// Returns the value of an instruction of the Dockerfile that is written as JSON.
fn instruction(name: &str) -> Vec<String> {
    let text = text("Dockerfile");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    serde_json::from_str(line.trim()).unwrap()
}

impl Container {
    fn start(setup: Setup) -> Self {
        assert!(is_root(), "a container with a user of its own needs root: run the tests as root");
        let dir = tempfile::tempdir().unwrap();
        // Engines add a layer in which mount points are created.
        let copy = run(Command::new("cp").arg("-a").arg(rootfs()).arg(dir.path()));
        assert!(copy.status.success());
        let file = dir.path().join("config.json");
        fs::write(&file, config(setup).to_string()).unwrap();
        let id = format!("redoubt-{}", &secret()[..12]);
        let mut child = runc(dir.path())
            .args(["run", "--bundle"])
            .arg(dir.path())
            .arg(&id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runc is missing: apt-get install -y runc");
        let output = Lines::of(&mut child);
        Self { dir, id, child, output }
    }

    pub(crate) fn output(&self) -> &Lines {
        &self.output
    }

    /// Returns its first process, as this machine numbers it.
    pub(crate) fn pid(&self) -> u32 {
        let state = run(runc(self.dir.path()).args(["state", &self.id]));
        let state: Value = serde_json::from_slice(&state.stdout).expect("a state");
        state["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
    }

    /// Runs a program in it, as `docker exec` does.
    pub(crate) fn exec(&self, args: &[&str]) -> Output {
        run(runc(self.dir.path()).args(["exec", &self.id]).args(args))
    }

    /// Stops it, as `docker stop` does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        assert!(run(runc(self.dir.path()).args(["kill", &self.id, "TERM"])).status.success());
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        Deadline::standard().poll(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("the container ends")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        run(runc(self.dir.path()).args(["delete", "--force", &self.id]));
        drop(self.child.wait());
    }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0\t"))
}

fn runc(dir: &Path) -> Command {
    let mut runc = Command::new("runc");
    runc.arg("--root").arg(dir.join("state"));
    runc
}

/// Returns the OCI runtime's configuration: the Dockerfile's user, command and environment, and
/// Compose's restrictions. The network is this machine's, where the test's Redis runs.
fn config(setup: Setup) -> Value {
    let text = text("Dockerfile");
    let after =
        |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).expect("a line");
    let (uid, gid) = after("USER ").split_once(':').unwrap();
    let ids = [uid, gid].map(|id| id.parse::<u32>().unwrap());
    let of_image = format!("PATH={}", after("ENV PATH="));
    let of_image = of_image.split(' ').map(str::to_owned);
    let environment: Vec<String> = of_image.chain(setup.environment).collect();
    let mut proc = vec!["nosuid", "noexec", "nodev"];
    proc.extend(setup.calls.as_ref().map(|_| "subset=pid"));
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc", "options": proc}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=64k"]}),
    ];
    mounts.extend(setup.mounts);
    let args = [instruction("ENTRYPOINT "), instruction("CMD ")].concat();
    let none: [&str; 0] = [];
    let seccomp = setup.calls.map(|calls| {
        json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": calls, "action": "SCMP_ACT_ALLOW"}],
        })
    });
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": ids[0], "gid": ids[1]},
            "args": args,
            "env": environment,
            "cwd": "/",
            "capabilities": {"bounding": none, "effective": none, "permitted": none,
                             "inheritable": none, "ambient": none},
            "noNewPrivileges": true,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 16384, "hard": 16384}],
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            "resources": {"memory": {"limit": 256 << 20}, "pids": {"limit": 64}},
            "seccomp": seccomp,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    })
}
