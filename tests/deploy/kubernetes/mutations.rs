//! Every way to remove a single value of the manifests, and a few additions.

use serde_json::{Value, json};

use super::manifests::{Manifests, text};

/// A change, and the manifests with it.
pub(crate) struct Mutation {
    /// The kind and name of the document, and the place in it, such as `Service redis
    /// /spec/ports/0/port`; a line of a text is appended with `: `.
    pub(crate) place: String,
    pub(crate) mutated: Manifests,
}

/// Removes each value, list and map in turn, and each line of each text of several lines; skips
/// documents that are in `known`.
pub(crate) fn removals<'a>(
    manifests: &'a Manifests,
    known: &'a [Value],
) -> impl Iterator<Item = Mutation> {
    let documents = manifests.documents.iter().enumerate();
    documents.filter(|(_, document)| !known.contains(document)).flat_map(
        move |(index, document)| {
            let name = text(&document["metadata"]["name"]);
            // The name of a ConfigMap ends with a digest of its content.
            let name = match text(&document["kind"]) {
                "ConfigMap" => name.rsplit_once('-').map_or(name, |(name, _)| name),
                _ => name,
            };
            let name = format!("{} {name}", text(&document["kind"]));
            let mut pointers = Vec::new();
            collect(document, "", &mut pointers);
            let removed = pointers.into_iter().flat_map(move |pointer| without(document, &pointer));
            removed.map(move |(place, changed)| {
                let mut mutated = manifests.clone();
                mutated.documents[index] = changed;
                Mutation { place: format!("{name} {place}"), mutated }
            })
        },
    )
}

/// Collects the places of all values in a value.
fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<_> = match value {
        Value::Object(map) => map.iter().map(|(key, inner)| (key.clone(), inner)).collect(),
        Value::Array(all) => all.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => return,
    };
    for (key, inner) in inner {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        collect(inner, &at, found);
        found.push(at);
    }
}

/// Returns the document without the value at a place; if that is a text of several lines, also without
/// each of its lines.
fn without(document: &Value, pointer: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut whole = document.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/").replace("~0", "~");
    match whole.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(&key)),
        Some(Value::Array(list)) => drop(list.remove(key.parse().expect("an index"))),
        _ => unreachable!("{pointer} has a parent"),
    }
    all.push((pointer.to_owned(), whole));
    let Some(lines) =
        document.pointer(pointer).and_then(Value::as_str).filter(|t| t.contains('\n'))
    else {
        return all;
    };
    for (number, line) in lines.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let rest: String = lines
            .lines()
            .enumerate()
            .filter(|(other, _)| *other != number)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        let mut changed = document.clone();
        *changed.pointer_mut(pointer).expect("the same place") = rest.into();
        all.push((format!("{pointer}: {line}"), changed));
    }
    all
}

/// Returns additions that an operator might make, by the kind and the name of the document, the place
/// and the value.
pub(crate) fn additions() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    vec![
        ("Service", "redis", "/spec/type", json!("NodePort")),
        ("Service", "redis", "/spec/type", json!("LoadBalancer")),
        ("Service", "redis", "/spec/externalIPs", json!(["203.0.113.7"])),
        ("Service", "redis", "/spec/ports/0/nodePort", json!(30379)),
        ("StatefulSet", "redis", "/spec/template/spec/hostNetwork", json!(true)),
        ("StatefulSet", "redis", "/spec/template/spec/containers/0/ports/0/hostPort", json!(6379)),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/securityContext/privileged",
            json!(true),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/securityContext/runAsUser",
            json!(0),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/securityContext/capabilities/add",
            json!(["NET_ADMIN"]),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/env",
            json!([{"name": "REDIS_PASSWORD", "value": "x"}]),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/containers/0/args/2",
            json!("--protected-mode no"),
        ),
        (
            "StatefulSet",
            "redis",
            "/spec/template/spec/volumes/2",
            json!({"name": "node", "hostPath": {"path": "/"}}),
        ),
        ("Deployment", "ai-service", "/spec/template/spec/shareProcessNamespace", json!(true)),
        (
            "Deployment",
            "ai-service",
            "/spec/template/spec/automountServiceAccountToken",
            json!(true),
        ),
        (
            "Deployment",
            "ai-service",
            "/spec/template/spec/containers/0/env/1/value",
            json!("redis://:$(REDOUBT_PASSWORD)@redis:6379"),
        ),
        (
            "Deployment",
            "ai-service",
            "/spec/template/spec/containers/0/env/2",
            json!({"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "redis-password", "key": "password"}}}),
        ),
        (
            "Deployment",
            "ai-service",
            "/spec/template/spec/containers/1",
            json!({"name": "shell", "image": "busybox"}),
        ),
        ("NetworkPolicy", "redis", "/spec/ingress/1", json!({})),
        ("NetworkPolicy", "redis", "/spec/ingress/0/from/1", json!({"namespaceSelector": {}})),
        ("NetworkPolicy", "redis", "/spec/egress", json!([{}])),
        ("NetworkPolicy", "dns", "/spec/egress/0/to/1", json!({"namespaceSelector": {}})),
        ("NetworkPolicy", "default-deny", "/spec/ingress", json!([{}])),
        (
            "Namespace",
            "ai",
            "/metadata/labels/pod-security.kubernetes.io~1enforce",
            json!("privileged"),
        ),
        ("ResourceQuota", "nothing-public", "/spec/hard/services.nodeports", json!("1")),
    ]
}

/// Returns what an operator might change in the overlay with a Unix socket.
pub(crate) fn additions_to_unix() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let redis = |place, value| ("StatefulSet", "redis", place, value);
    vec![
        redis("/spec/template/spec/containers/0/args/3", json!("6379")),
        redis("/spec/template/spec/containers/0/args/7", json!("777")),
        redis(
            "/spec/template/spec/containers/0/ports",
            json!([{"name": "plain", "containerPort": 6379}]),
        ),
        redis("/spec/template/spec/containers/1/securityContext/runAsUser", json!(0)),
        redis("/spec/template/spec/containers/1/volumeMounts/3/readOnly", json!(false)),
        redis(
            "/spec/template/spec/containers/2",
            json!({"name": "shell", "image": "busybox", "volumeMounts": [{"name": "socket", "mountPath": "/run/redis"}]}),
        ),
        (
            "NetworkPolicy",
            "redis",
            "/spec/ingress/0/ports/1",
            json!({"protocol": "TCP", "port": 6379}),
        ),
    ]
}

/// Returns the manifests with a value added or replaced.
pub(crate) fn with(
    manifests: &Manifests,
    kind: &str,
    name: &str,
    pointer: &str,
    value: &Value,
) -> Manifests {
    let mut changed = manifests.clone();
    let document = changed
        .documents
        .iter_mut()
        .find(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    let document = document.unwrap_or_else(|| panic!("there is no {kind} {name}"));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/");
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(key, value.clone())),
        Some(Value::Array(list)) => {
            let at: usize = key.parse().expect("an index");
            if at < list.len() { list[at] = value.clone() } else { list.push(value.clone()) }
        }
        _ => panic!("there is no {parent} in {kind} {name}"),
    }
    changed
}
