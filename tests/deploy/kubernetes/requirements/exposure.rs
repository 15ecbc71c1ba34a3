//! Network: no public exposure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::manifests::{Manifests, NAMESPACE, Overlay, items, text};
use super::super::network::{egress, impostors, ingress, peers};
use super::expect;

/// Checks that Services have the type ClusterIP, and that the namespace's quota admits no other type.
pub(super) fn nothing_is_public(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for service in manifests.of_kind("Service") {
        let name = text(&service["metadata"]["name"]);
        let spec = &service["spec"];
        expect(&mut wrong, spec["type"] == "ClusterIP", format!("{name}: type {}", spec["type"]));
        for key in ["externalIPs", "externalName", "loadBalancerIP", "loadBalancerClass"] {
            expect(&mut wrong, spec[key].is_null(), format!("{name} has {key}"));
        }
        for port in items(&spec["ports"]) {
            expect(&mut wrong, port["nodePort"].is_null(), format!("{name} has a nodePort"));
        }
    }
    let none = |quota: &Value| {
        let hard = &quota["spec"]["hard"];
        hard["services.nodeports"] == "0" && hard["services.loadbalancers"] == "0"
    };
    let has_quota = manifests.of_kind("ResourceQuota").any(none);
    expect(&mut wrong, has_quota, "no quota forbids node ports and load balancers");
    wrong
}

pub(super) fn no_node_network(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for key in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostAliases"] {
            expect(&mut wrong, pods.spec[key].is_null(), format!("{} has {key}", pods.name));
        }
        for port in pods.containers().flat_map(|container| items(&container["ports"])) {
            let is_inner = port["hostPort"].is_null() && port["hostIP"].is_null();
            expect(&mut wrong, is_inner, format!("{} has a port of its node", pods.name));
        }
    }
    wrong
}

/// Checks that each Service selects existing pods and a port that they name; `redis` selects Redis, on
/// 6379.
pub(super) fn services_lead_to_pods(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ports = BTreeSet::new();
    for service in manifests.of_kind("Service") {
        let name = text(&service["metadata"]["name"]);
        let selector = service["spec"]["selector"].as_object();
        let selected = manifests.pods().filter(|pods| {
            selector.is_some_and(|all| all.iter().all(|(key, value)| pods.labels[key] == *value))
        });
        let selected: Vec<_> = selected.collect();
        expect(&mut wrong, selected.len() == 1, format!("{name} selects {} pods", selected.len()));
        for port in items(&service["spec"]["ports"]) {
            let inner = |container: &Value| {
                let mut ports = items(&container["ports"]);
                ports.any(|p| p["name"] == port["targetPort"] && p["containerPort"].is_u64())
            };
            let is_there = port["targetPort"].is_u64()
                || selected.iter().all(|pods| pods.containers().any(inner));
            expect(&mut wrong, is_there, format!("{name}: no port {}", port["targetPort"]));
            ports.insert(format!("{name} {}", port["port"]));
        }
    }
    let mut expected = vec!["ai-service 5000", "redis 6379"];
    expected.extend((manifests.overlay == Overlay::Shared).then_some("redoubt 6379"));
    expected.extend(manifests.metrics.then_some("redoubt-metrics 6390"));
    let expected: BTreeSet<_> = expected.into_iter().map(str::to_owned).collect();
    expect(&mut wrong, ports == expected, format!("the ports of Services are {ports:?}"));
    for pods in manifests.pods() {
        let own = json!({"app.kubernetes.io/name": pods.name});
        let document = manifests.documents.iter().find(|document| {
            document["metadata"]["name"] == pods.name && !document["spec"]["template"].is_null()
        });
        let selector = document.map(|document| &document["spec"]["selector"]["matchLabels"]);
        expect(&mut wrong, selector == Some(&own), format!("{} selects others", pods.name));
        let service = document.map(|document| &document["spec"]["serviceName"]);
        let is_named = service.is_some_and(|name| name.is_null() || name == pods.name);
        let is_set = document.is_some_and(|document| document["kind"] == "StatefulSet");
        let is_named = is_named && is_set == service.is_some_and(|name| !name.is_null());
        expect(&mut wrong, is_named, format!("{} is of no Service", pods.name));
        let label = &pods.labels["app.kubernetes.io/name"];
        expect(&mut wrong, label == pods.name, format!("{} has another label", pods.name));
    }
    wrong
}

/// Checks the connections that the NetworkPolicies allow.
pub(super) fn connections(manifests: &Manifests) -> Vec<String> {
    let mut expected =
        vec!["gateway → ai-service TCP 5000", "ai-service → dns UDP 53", "ai-service → dns TCP 53"];
    expected.extend(match manifests.overlay {
        Overlay::Sidecar => &["ai-service → redis TCP 6379"][..],
        Overlay::Unix => &["ai-service → redis TCP 6380"],
        Overlay::Shared => &[
            "ai-service → redoubt TCP 6380",
            "redoubt → redis TCP 6379",
            "redoubt → dns UDP 53",
            "redoubt → dns TCP 53",
        ],
    });
    if manifests.metrics {
        expected.push(match manifests.overlay {
            Overlay::Sidecar => "prometheus → ai-service TCP 6390",
            Overlay::Shared => "prometheus → redoubt TCP 6390",
            Overlay::Unix => "prometheus → redis TCP 6390",
        });
    }
    let mut peers = peers(manifests);
    peers.extend(impostors());
    let own = ["ai-service ", "redis ", "redoubt ", "stranger "];
    let out = expected.iter().filter(|line| own.iter().any(|own| line.starts_with(own)));
    let out: BTreeSet<_> = out.map(|&line| line.to_owned()).collect();
    let ins =
        expected.iter().filter(|line| own.iter().any(|own| line.contains(&format!("→ {own}"))));
    let ins: BTreeSet<_> = ins.map(|&line| line.to_owned()).collect();
    let mut wrong = Vec::new();
    let sides = [(out, egress(manifests, &peers), "out"), (ins, ingress(manifests, &peers), "in")];
    for (due, is, side) in sides {
        wrong.extend(is.difference(&due).map(|line| format!("{line} is allowed {side}")));
        wrong.extend(due.difference(&is).map(|line| format!("{line} is not allowed {side}")));
    }
    for policy in manifests.of_kind("NetworkPolicy") {
        let name = text(&policy["metadata"]["name"]);
        let types = &policy["spec"]["policyTypes"];
        let due = match name {
            "default-deny" | "redis" => json!(["Ingress", "Egress"]),
            "ai-service" | "redoubt" | "metrics" => json!(["Ingress"]),
            _ => json!(["Egress"]),
        };
        expect(&mut wrong, *types == due, format!("{name} is for {types}"));
    }
    let all = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let denies = manifests.of_kind("NetworkPolicy").any(|policy| policy["spec"] == all);
    expect(&mut wrong, denies, "no policy denies all by default");
    wrong
}

/// Checks that only known kinds occur, since others could open what is closed, and that all objects are
/// in one namespace.
pub(super) fn kinds(manifests: &Manifests) -> Vec<String> {
    let mut known = vec![
        "v1 Namespace",
        "v1 ResourceQuota",
        "v1 ConfigMap",
        "v1 Service",
        "apps/v1 Deployment",
        "apps/v1 StatefulSet",
        "networking.k8s.io/v1 NetworkPolicy",
        "policy/v1 PodDisruptionBudget",
    ];
    known.extend(
        (manifests.overlay == Overlay::Shared).then_some("autoscaling/v2 HorizontalPodAutoscaler"),
    );
    known.extend(manifests.metrics.then_some("monitoring.coreos.com/v1 ServiceMonitor"));
    let mut wrong = Vec::new();
    for document in &manifests.documents {
        let kind = format!("{} {}", text(&document["apiVersion"]), text(&document["kind"]));
        let name = text(&document["metadata"]["name"]);
        expect(&mut wrong, known.contains(&kind.as_str()), format!("there is a {kind}"));
        expect(&mut wrong, !name.is_empty(), format!("a {kind} has no name"));
        let is_there = document["metadata"]["namespace"] == NAMESPACE || kind == "v1 Namespace";
        expect(&mut wrong, is_there, format!("{kind} {name} is not in the namespace {NAMESPACE}"));
    }
    wrong
}
