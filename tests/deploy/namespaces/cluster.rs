//! A cluster of network namespaces: one for each pod, one for a machine outside, and a node between.
//!
//! The node routes, has the firewall that follows from the NetworkPolicies, and gives Services their
//! addresses. All of it is in a user namespace of its own and ends with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::firewall;
use crate::kubernetes::manifests::{Manifests, Pods, items, text, variable};
use crate::kubernetes::network::{Peer, peers};
use support::{Deadline, Lines, secret};

/// The node's public address.
pub(crate) const PUBLIC: &str = "203.0.113.1";

/// The pods and the machine outside that a NetworkPolicy may distinguish, and the node between them.
pub(crate) struct Cluster {
    node: Child,
    dir: TempDir,
    pub(crate) peers: Vec<Peer>,
    addresses: BTreeMap<String, String>,
    /// The password in each Secret.
    pub(crate) passwords: BTreeMap<&'static str, String>,
    running: Vec<(Child, Lines)>,
}

impl Cluster {
    pub(crate) fn start(manifests: &Manifests) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let peers = peers(manifests);
        let mut addresses = BTreeMap::new();
        for (index, peer) in peers.iter().enumerate() {
            let address = match peer.name.as_str() {
                "outside" => "203.0.113.9".to_owned(),
                _ => format!("10.244.0.{}", index + 2),
            };
            addresses.insert(peer.name.clone(), address);
        }
        let rules = firewall::rules(manifests, &peers, &addresses);
        fs::write(dir.path().join("policies.nft"), rules).expect("write the firewall");
        let hosts = firewall::hosts(manifests);
        fs::write(dir.path().join("hosts"), hosts).expect("write the hosts");
        let setup = setup(&dir, &peers, &addresses);
        let mut node = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec", &setup])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is missing: apt-get install -y util-linux");
        let mut line = String::new();
        let stdout = node.stdout.take().expect("stdout");
        BufReader::new(stdout).read_line(&mut line).expect("read");
        if line != "ready\n" {
            let done = node.wait_with_output().expect("the node's end");
            panic!(
                "this machine gives no user and network namespaces, or lacks ip and nft \
                 (scripts/prerequisites.sh test installs them): {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
        let passwords = [("redis", secret()), ("redoubt", secret())];
        let mut cluster =
            Self { node, dir, peers, addresses, passwords: passwords.into(), running: Vec::new() };
        cluster.write(manifests);
        cluster
    }

    /// Writes the Secrets and the files of ConfigMaps.
    fn write(&mut self, manifests: &Manifests) {
        for (name, password) in &self.passwords {
            let dir = self.dir.path().join("secrets").join(name);
            fs::create_dir_all(&dir).expect("a directory");
            fs::write(dir.join("password"), password).expect("write a password");
        }
        let etc = self.dir.path().join("etc");
        for map in manifests.of_kind("ConfigMap") {
            let name = text(&map["metadata"]["name"]).split('-').next().unwrap_or_default();
            fs::create_dir_all(etc.join(name)).expect("a directory");
            for (file, content) in map["data"].as_object().into_iter().flatten() {
                fs::write(etc.join(name).join(file), text(content)).expect("write a file");
            }
        }
    }

    pub(crate) fn address(&self, peer: &str) -> &str {
        &self.addresses[peer]
    }

    /// Returns the command that runs a program in a pod's network, or in the node's.
    pub(crate) fn command(&self, place: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let node = self.node.id().to_string();
        command.args(["--target", &node, "--user", "--mount", "--net", "--preserve-credentials"]);
        if place != "node" {
            command.args(["nsenter", &format!("--net=/run/netns/{place}")]);
        }
        command.arg(program).env_clear().env("PATH", self.path());
        command
    }

    fn path(&self) -> String {
        let redoubt = PathBuf::from(env!("CARGO_BIN_EXE_redoubt"));
        let dir = redoubt.parent().expect("a directory").display().to_string();
        format!("{dir}:{}", std::env::var("PATH").unwrap_or_default())
    }

    /// Runs a script in a pod, with the environment of the pod's container.
    pub(crate) fn shell(&self, place: &str, script: &str) -> Output {
        self.command(place, "sh").args(["-c", script]).output().expect("run nsenter")
    }

    /// Starts a program that runs until the cluster is dropped.
    pub(crate) fn spawn(&mut self, mut command: Command) -> Lines {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter is missing: apt-get install -y util-linux");
        let lines = Lines::of(&mut child);
        self.running.push((child, lines.clone()));
        lines
    }

    /// Returns a container's command in its pod, with its environment.
    pub(crate) fn container(&self, pods: &Pods<'_>, name: &str, command: &[String]) -> Command {
        let container = pods.container(name).unwrap_or_else(|| panic!("there is no {name}"));
        let here = |path: &str| {
            let dir = self.dir.path().display();
            path.replace("/run/secrets", &format!("{dir}/secrets"))
                .replace("/etc/redis", &format!("{dir}/etc/redis"))
                .replace("/etc/redoubt", &format!("{dir}/etc/redoubt"))
        };
        let mut entered = self.command(pods.name, &here(&command[0]));
        entered.args(command[1..].iter().map(|arg| here(arg)));
        let mut url = None;
        for given in items(&container["env"]) {
            let name = text(&given["name"]);
            let value = match given["value"].as_str() {
                Some(value) => here(value),
                None if !given["valueFrom"]["secretKeyRef"].is_null() => {
                    let secret = text(&given["valueFrom"]["secretKeyRef"]["name"]);
                    self.passwords[secret.trim_end_matches("-password")].clone()
                }
                None => {
                    let key = text(&given["valueFrom"]["configMapKeyRef"]["key"]);
                    let file = self.dir.path().join("etc/redoubt").join(key);
                    fs::read_to_string(file).expect("a setting")
                }
            };
            let value = value.replace("$(REDOUBT_PASSWORD)", &self.passwords["redoubt"]);
            if name == "REDIS_URL" {
                url = Some(value.clone());
            }
            entered.env(name, value);
        }
        assert_eq!(url.is_some(), !variable(container, "REDIS_URL").is_null());
        entered
    }

    /// Runs a command line in a pod as `kubectl exec` would.
    pub(crate) fn exec(&self, pods: &Pods<'_>, container: &str, command: &[&str]) -> Output {
        let command: Vec<_> = command.iter().map(|&arg| arg.to_owned()).collect();
        self.container(pods, container, &command).output().expect("run nsenter")
    }

    /// Starts Redis and Redoubt as their containers do, and waits until their probes pass.
    pub(crate) fn serve(&mut self, manifests: &Manifests) {
        let redoubt = manifests.redoubt().expect("Redoubt").0;
        let redis = manifests.pods_of("redis").expect("Redis");
        for (pods, name) in [(redis, "redis"), (redoubt, "redoubt")] {
            let container = pods.container(name).expect("a container");
            let line = items(&container["command"]).chain(items(&container["args"]));
            let line: Vec<_> = line.map(|word| text(word).to_owned()).collect();
            let started = self.container(&pods, name, &line);
            let lines = self.spawn(started);
            let mut said = String::new();
            let is_up = Deadline::standard().poll(|| {
                ["startupProbe", "readinessProbe", "livenessProbe"].iter().all(|probe| {
                    let line: Vec<_> =
                        items(&container[probe]["exec"]["command"]).map(text).collect();
                    let done = self.exec(&pods, name, &line);
                    said = String::from_utf8_lossy(&done.stderr).into_owned();
                    done.status.success()
                })
            });
            assert!(is_up, "{name} is not ready: {said}\n{}", lines.all().join("\n"));
        }
    }

    /// Removes the firewall.
    pub(crate) fn open(&self) {
        let done = self.command("node", "nft").args(["delete", "table", "ip", "policies"]).output();
        assert!(done.expect("run nft").status.success());
    }

    /// Stops the program that was started last, and returns its exit code.
    pub(crate) fn stop_last(&mut self) -> Option<i32> {
        let (mut child, _) = self.running.pop().expect("a program");
        support::signal(child.id(), "TERM");
        child.wait().expect("its end").code()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (child, _) in &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
        drop(self.node.kill());
        drop(self.node.wait());
    }
}

/// Returns the script that creates the namespaces, and then waits for the end of its input.
fn setup(dir: &TempDir, peers: &[Peer], addresses: &BTreeMap<String, String>) -> String {
    let dir = dir.path().display();
    let mut script = format!(
        "mount -t tmpfs tmpfs /run
         mkdir /run/netns
         mount --bind {dir}/hosts /etc/hosts
         ip link set lo up
         echo 1 > /proc/sys/net/ipv4/ip_forward\n"
    );
    for (index, peer) in peers.iter().enumerate() {
        let (name, address) = (&peer.name, &addresses[&peer.name]);
        let gateway = if name == "outside" { PUBLIC } else { "10.244.0.1" };
        script += &format!(
            "ip netns add {name}
             ip link add pod{index} type veth peer name eth0 netns {name}
             ip address add {gateway}/32 dev pod{index}
             ip link set pod{index} up
             ip route add {address}/32 dev pod{index}
             ip -n {name} link set lo up
             ip -n {name} address add {address}/32 dev eth0
             ip -n {name} link set eth0 up
             ip -n {name} route add {gateway}/32 dev eth0
             ip -n {name} route add default via {gateway} dev eth0\n"
        );
    }
    script + &format!("nft -f {dir}/policies.nft\necho ready\nexec cat >/dev/null\n")
}

/// Writes to a program's input and returns its output.
pub(crate) fn converse(mut command: Command, input: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run nsenter");
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("write");
    let done = child.wait_with_output().expect("its end");
    assert!(done.status.success(), "{:?}", done.status);
    String::from_utf8(done.stdout).expect("text")
}
