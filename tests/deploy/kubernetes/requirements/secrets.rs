//! Authentication: passwords come from Secrets, and each is mounted only where it is needed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::manifests::{Manifests, Overlay, Pods, items, text};
use super::expect;

/// Checks that the manifests contain no password and no Secret: operators create each separately.
pub(super) fn passwords(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    expect(&mut wrong, manifests.of_kind("Secret").next().is_none(), "there is a Secret");
    for pods in manifests.pods() {
        for container in pods.containers() {
            for variable in items(&container["env"]) {
                let name = text(&variable["name"]);
                let is_place = ["REDIS_URL", "REDOUBT_CONFIG"].contains(&name)
                    || text(&variable["value"]).starts_with("/run/secrets/");
                let is_elsewhere = variable["value"].is_null() || is_place;
                expect(&mut wrong, is_elsewhere, format!("{name} is given here"));
            }
            expect(&mut wrong, container["envFrom"].is_null(), "envFrom hides what comes");
        }
        for volume in items(&pods.spec["volumes"]).filter(|v| !v["secret"].is_null()) {
            // With 0440, the group that runs the container can read it and others cannot.
            let mode = &volume["secret"]["defaultMode"];
            let name = text(&volume["name"]);
            expect(&mut wrong, *mode == 0o440, format!("{name} has the mode {mode}"));
            let is_needed = volume["secret"]["optional"].is_null();
            expect(&mut wrong, is_needed, format!("{name} is optional"));
            let group = &pods.spec["securityContext"]["fsGroup"];
            expect(&mut wrong, *group == 999, format!("{name} is for the group {group}"));
        }
    }
    let toml = manifests.redoubt_toml().unwrap_or_default();
    let holds = toml.lines().any(|line| line.trim_start().starts_with("password"));
    expect(&mut wrong, !holds, "redoubt.toml tells of passwords");
    wrong
}

/// Returns which Secrets a container gets, and where.
fn given(pods: &Pods<'_>, container: &Value) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for variable in items(&container["env"]) {
        let secret = &variable["valueFrom"]["secretKeyRef"];
        if !secret.is_null() {
            let (name, key) = (text(&secret["name"]), text(&secret["key"]));
            given.insert(format!("{name}/{key} in {}", text(&variable["name"])));
        }
    }
    for mount in items(&container["volumeMounts"]) {
        let volume = items(&pods.spec["volumes"]).find(|volume| volume["name"] == mount["name"]);
        let secret = volume.map_or("?", |volume| text(&volume["secret"]["secretName"]));
        if !secret.is_empty() {
            given.insert(format!("{secret} in {}", text(&mount["mountPath"])));
        }
    }
    given
}

/// Checks that Redis gets its own password, the service its own, Redoubt both, and no other container
/// any.
pub(super) fn least(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::from([
        ("redis", "redis", &["redis-password in /run/secrets/redis"][..]),
        ("ai-service", "ai-service", &["redoubt-password/password in REDOUBT_PASSWORD"][..]),
    ]);
    let place = match manifests.overlay {
        Overlay::Sidecar => "ai-service",
        Overlay::Shared => "redoubt",
        Overlay::Unix => "redis",
    };
    let both = ["redis-password in /run/secrets/redis", "redoubt-password in /run/secrets/redoubt"];
    expected.insert((place, "redoubt", &both));
    for pods in manifests.pods() {
        for container in pods.containers() {
            let name = text(&container["name"]);
            let due =
                expected.iter().find(|(pod, own, _)| (*pod, *own) == (pods.name, name)).copied();
            let given = given(&pods, container);
            let Some(due) = due else {
                wrong.push(format!("container {name} of {} is not known to the tests", pods.name));
                continue;
            };
            expected.remove(&due);
            let is_due = given.iter().eq(due.2.iter());
            expect(&mut wrong, is_due, format!("{name} of {} has {given:?}", pods.name));
        }
    }
    expect(&mut wrong, expected.is_empty(), format!("missing: {expected:?}"));
    wrong
}
