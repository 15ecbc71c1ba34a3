//! The manifests as `kubectl apply -k` would send them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The namespace of all objects.
pub(crate) const NAMESPACE: &str = "ai";

/// A variant of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    Sidecar,
    Shared,
    /// In Redis's pod, with a Unix socket between the two.
    Unix,
}

impl Overlay {
    pub(crate) const ALL: [Self; 3] = [Self::Sidecar, Self::Shared, Self::Unix];
    /// Those in which Redoubt and Redis are in pods of their own.
    pub(crate) const NETWORKED: [Self; 2] = [Self::Sidecar, Self::Shared];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Shared => "shared",
            Self::Unix => "unix",
        }
    }
}

/// The objects that a kustomization produces.
#[derive(Clone)]
pub(crate) struct Manifests {
    pub(crate) overlay: Overlay,
    /// True if it includes the component for metrics.
    pub(crate) metrics: bool,
    pub(crate) documents: Vec<Value>,
}

/// A pod template, and the object that it belongs to.
pub(crate) struct Pods<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Value,
    pub(crate) spec: &'a Value,
}

impl<'a> Pods<'a> {
    /// Returns all containers; init containers and sidecars first.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |list| items(&spec[list]))
    }

    pub(crate) fn container(&self, name: &str) -> Option<&'a Value> {
        self.containers().find(|container| container["name"] == name)
    }

    /// Returns the value of a security setting, the container's own before the pod's.
    pub(crate) fn security(&self, container: &'a Value, key: &str) -> &'a Value {
        let own = &container["securityContext"][key];
        if own.is_null() { &self.spec["securityContext"][key] } else { own }
    }
}

/// Returns the elements of a list; none if there is no list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> + use<'_> {
    list.as_array().into_iter().flatten()
}

/// Returns a variable of a container's environment; null if it is not set.
pub(crate) fn variable<'a>(container: &'a Value, name: &str) -> &'a Value {
    items(&container["env"]).find(|variable| variable["name"] == name).unwrap_or(&Value::Null)
}

/// Returns the text of a value; empty if it is not a string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Manifests {
    pub(crate) fn render(overlay: Overlay, metrics: bool) -> Self {
        let dir = copy();
        let kubernetes = dir.path().join("kubernetes");
        let mut kustomization = format!("resources: [../overlays/{}]\n", overlay.name());
        if metrics {
            kustomization += "components: [../components/metrics]\n";
        }
        let own = kubernetes.join("own");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("kustomization.yaml"), kustomization).unwrap();
        let documents = parse(&kustomize(&own), &[]).unwrap();
        Self { overlay, metrics, documents }
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.documents.iter().filter(move |document| document["kind"] == *kind)
    }

    pub(crate) fn named(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|document| document["metadata"]["name"] == name)
    }

    pub(crate) fn pods(&self) -> impl Iterator<Item = Pods<'_>> {
        let running = self
            .documents
            .iter()
            .filter(|document| ["Deployment", "StatefulSet"].contains(&text(&document["kind"])));
        running.map(|document| Pods {
            name: text(&document["metadata"]["name"]),
            labels: &document["spec"]["template"]["metadata"]["labels"],
            spec: &document["spec"]["template"]["spec"],
        })
    }

    pub(crate) fn pods_of(&self, name: &str) -> Option<Pods<'_>> {
        self.pods().find(|pods| pods.name == name)
    }

    /// Returns the pods and the container that run Redoubt.
    pub(crate) fn redoubt(&self) -> Option<(Pods<'_>, &Value)> {
        let pods = self.pods().find(|pods| pods.container("redoubt").is_some())?;
        let container = pods.container("redoubt")?;
        Some((pods, container))
    }

    /// Returns the file from a ConfigMap that the container finds at `path`.
    pub(crate) fn file(&self, pods: &Pods<'_>, container: &Value, path: &str) -> Option<&str> {
        let (dir, file) = path.rsplit_once('/')?;
        let mount = items(&container["volumeMounts"]).find(|mount| mount["mountPath"] == dir)?;
        let volume = items(&pods.spec["volumes"]).find(|v| v["name"] == mount["name"])?;
        let map = self.named("ConfigMap", volume["configMap"]["name"].as_str()?)?;
        map["data"][file].as_str()
    }

    /// Returns `redoubt.toml` as Redoubt finds it.
    pub(crate) fn redoubt_toml(&self) -> Option<&str> {
        let (pods, container) = self.redoubt()?;
        self.file(&pods, container, variable(container, "REDOUBT_CONFIG")["value"].as_str()?)
    }

    pub(crate) fn redis_conf(&self) -> Option<&str> {
        let pods = self.pods_of("redis")?;
        self.file(&pods, pods.container("redis")?, "/etc/redis/redis.conf")
    }
}

/// Returns the directory of the manifests.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kubernetes")
}

/// Copies the manifests into the folder `kubernetes`.
pub(crate) fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("cp").arg("-r").arg(sources()).arg(dir.path()).status();
    assert!(status.expect("run cp").success());
    dir
}

/// Returns a program that `scripts/kubernetes.sh` installs.
pub(crate) fn installed(program: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let tools = target.join("kubernetes");
    assert!(tools.join("installed").exists(), "kubectl is missing: run scripts/kubernetes.sh");
    tools.join(program)
}

/// Returns the output of `kubectl kustomize` for a directory.
pub(crate) fn kustomize(dir: &Path) -> String {
    let done = Command::new(installed("bin/kubectl"))
        .arg("kustomize")
        .arg(dir)
        .output()
        .expect("run kubectl");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.is_empty(), "{}: {said}", dir.display());
    String::from_utf8(done.stdout).unwrap()
}

/// Parses a file into documents; returns the errors by the schemas of these versions.
pub(crate) fn parse(yaml: &str, versions: &[&str]) -> Result<Vec<Value>, Vec<String>> {
    let mut reader = Command::new(installed("python/bin/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/kubernetes/manifests.py"))
        .args(versions)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run python");
    reader.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let done = reader.wait_with_output().unwrap();
    assert!(done.status.success(), "manifests.py fails");
    let mut read: Value = serde_json::from_slice(&done.stdout).unwrap();
    let wrong: Vec<_> = items(&read["wrong"]).map(|line| text(line).to_owned()).collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let Value::Array(documents) = read["documents"].take() else { panic!("no documents") };
    Ok(documents)
}
