//! Containers: non-root, read-only, without capabilities.

use serde_json::{Value, json};

use super::super::manifests::{Manifests, NAMESPACE, Overlay, items, text};
use super::expect;

/// The folder of the Unix socket that Redis and Redoubt share.
const SOCKET: &str = "/run/redis";

/// Checks that each pod sets the restricted Pod Security standard explicitly.
pub(super) fn rights(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for container in pods.containers() {
            let name = format!("{} of {}", text(&container["name"]), pods.name);
            let own = &container["securityContext"];
            let drops: Vec<_> = items(&own["capabilities"]["drop"]).map(text).collect();
            expect(&mut wrong, drops == ["ALL"], format!("{name} keeps capabilities"));
            let adds = &own["capabilities"]["add"];
            expect(&mut wrong, adds.is_null(), format!("{name} adds capabilities"));
            let escalates = &own["allowPrivilegeEscalation"];
            expect(&mut wrong, *escalates == false, format!("{name} may gain privileges"));
            for key in ["privileged", "procMount", "seLinuxOptions", "appArmorProfile"] {
                expect(&mut wrong, own[key].is_null(), format!("{name} has {key}"));
            }
            let seccomp = &pods.security(container, "seccompProfile")["type"];
            expect(
                &mut wrong,
                seccomp == "RuntimeDefault",
                format!("{name} may make any system call"),
            );
        }
    }
    wrong
}

pub(super) fn user(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for container in pods.containers() {
            let name = text(&container["name"]);
            let non_root = pods.security(container, "runAsNonRoot");
            expect(&mut wrong, *non_root == true, format!("{name} may run as root"));
            for key in ["runAsUser", "runAsGroup"] {
                let id = pods.security(container, key).as_u64().unwrap_or_default();
                let is_right = match (name, key, manifests.overlay) {
                    ("ai-service", ..) => id >= 999,
                    // The socket is for Redis's group.
                    ("redoubt", "runAsUser", Overlay::Unix) => id == 998,
                    _ => id == 999,
                };
                expect(&mut wrong, is_right, format!("{name} has {key} {id}"));
            }
        }
        let more = &pods.spec["securityContext"]["supplementalGroups"];
        expect(&mut wrong, more.is_null(), format!("{} has more groups", pods.name));
    }
    wrong
}

/// Checks that each image has a version and a registry; for Redoubt's image, the operator sets the
/// registry.
pub(super) fn images(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for container in manifests.pods().flat_map(|pods| pods.containers()) {
        let image = text(&container["image"]);
        let is_pinned = image.rsplit_once(':').is_some_and(|(name, tag)| {
            !tag.contains('/') && tag != "latest" && (name == "redoubt" || name.contains('/'))
        });
        expect(&mut wrong, is_pinned, format!("the image {image:?} may be any"));
    }
    wrong
}

/// Checks that the root file system is read-only, and every mount too.
pub(super) fn files(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for container in pods.containers() {
            let name = text(&container["name"]);
            let own = &container["securityContext"]["readOnlyRootFilesystem"];
            expect(&mut wrong, *own == true, format!("{name} can write to its root"));
            for mount in items(&container["volumeMounts"]) {
                let at = text(&mount["mountPath"]);
                let is_sockets =
                    (name, at) == ("redis", SOCKET) && manifests.overlay == Overlay::Unix;
                let is_right = (mount["readOnly"] == true) != is_sockets;
                expect(&mut wrong, is_right, format!("{name} can write to {at}"));
                let volume = items(&pods.spec["volumes"]).any(|v| v["name"] == mount["name"]);
                expect(&mut wrong, volume, format!("{name}: nothing is at {at}"));
            }
        }
        for volume in items(&pods.spec["volumes"]) {
            let is_socket = *volume
                == json!({"name": "socket", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})
                && (pods.name, manifests.overlay) == ("redis", Overlay::Unix);
            let is_known =
                is_socket || ["configMap", "secret"].iter().any(|kind| !volume[kind].is_null());
            expect(&mut wrong, is_known, format!("{} has the volume {volume}", pods.name));
        }
    }
    wrong
}

/// Checks that Redis's socket is in a folder that Redis and Redoubt have in common, and nobody else.
pub(super) fn socket(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut having = Vec::new();
    for pods in manifests.pods() {
        for container in pods.containers() {
            let has = |mount: &Value| mount["name"] == "socket" && mount["mountPath"] == SOCKET;
            if items(&container["volumeMounts"]).any(has) {
                having.push(format!("{} of {}", text(&container["name"]), pods.name));
            }
        }
    }
    let due: &[&str] = match manifests.overlay {
        Overlay::Unix => &["redis of redis", "redoubt of redis"],
        _ => &[],
    };
    expect(&mut wrong, having == due, format!("these have the socket: {having:?}"));
    wrong
}

pub(super) fn namespace(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let namespace = manifests.named("Namespace", NAMESPACE);
    for mode in ["enforce", "audit", "warn"] {
        for (key, due) in [(mode.to_owned(), "restricted"), (format!("{mode}-version"), "latest")] {
            let label = format!("pod-security.kubernetes.io/{key}");
            let is =
                namespace.map_or("", |namespace| text(&namespace["metadata"]["labels"][&label]));
            expect(&mut wrong, is == due, format!("{label} is {is:?}"));
        }
    }
    wrong
}

/// Checks that pods get no token for the cluster's API, and no list of the namespace's services.
pub(super) fn cluster(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for key in ["automountServiceAccountToken", "enableServiceLinks"] {
            expect(&mut wrong, pods.spec[key] == false, format!("{} has {key}", pods.name));
        }
        for key in ["serviceAccountName", "serviceAccount"] {
            expect(&mut wrong, pods.spec[key].is_null(), format!("{} has an account", pods.name));
        }
    }
    wrong
}
