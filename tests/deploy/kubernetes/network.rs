//! Who may connect to whom, by the NetworkPolicies as Kubernetes interprets them.
//!
//! Only the fields that the manifests use are supported; any other field fails the test.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::manifests::{Manifests, NAMESPACE, items, text};

/// One side of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Its namespace and labels, if it is a pod.
    pod: Option<(String, Value)>,
}

impl Peer {
    pub(crate) fn pod(name: &str, namespace: &str, labels: Value) -> Self {
        Self { name: name.into(), pod: Some((namespace.into(), labels)) }
    }

    /// Returns a machine outside the cluster.
    pub(crate) fn outside() -> Self {
        Self { name: "outside".into(), pod: None }
    }
}

/// A kind of connection.
pub(crate) type Port = (&'static str, u16);

/// The ports that pods listen on, and others.
pub(crate) const PORTS: [Port; 8] = [
    ("UDP", 53),
    ("TCP", 53),
    ("TCP", 443),
    ("TCP", 5000),
    ("UDP", 5000),
    ("TCP", 6379),
    ("TCP", 6380),
    ("TCP", 6390),
];

/// Returns all peers that a policy may distinguish: the pods of the manifests, and others around them.
pub(crate) fn peers(manifests: &Manifests) -> Vec<Peer> {
    let name = |name| json!({"app.kubernetes.io/name": name});
    let mut peers: Vec<_> =
        manifests.pods().map(|pods| Peer::pod(pods.name, NAMESPACE, pods.labels.clone())).collect();
    let service = json!({"app.kubernetes.io/name": "ai-service", "redoubt": "true"});
    peers.extend([
        Peer::pod("gateway", "gateway", name("graphql-gateway")),
        Peer::pod("stranger", NAMESPACE, json!({"app": "stranger"})),
        Peer::pod("namesake", "web", service),
        Peer::pod("dns", "kube-system", json!({"k8s-app": "kube-dns"})),
        Peer::pod("prometheus", "monitoring", name("prometheus")),
        Peer::outside(),
    ]);
    peers
}

/// Returns pods that have the right namespace and other labels, or the right labels in another
/// namespace.
pub(crate) fn impostors() -> Vec<Peer> {
    let mut peers = Vec::new();
    for namespace in ["gateway", "kube-system", "monitoring"] {
        peers.push(Peer::pod(&format!("other in {namespace}"), namespace, json!({"app": "other"})));
    }
    for name in ["graphql-gateway", "prometheus", "redoubt", "redis"] {
        let labels = json!({"app.kubernetes.io/name": name});
        peers.push(Peer::pod(&format!("{name} elsewhere"), "web", labels));
    }
    peers.push(Peer::pod("dns elsewhere", "web", json!({"k8s-app": "kube-dns"})));
    peers
}

/// Returns true if it is a pod of the namespace.
fn is_own(peer: &Peer) -> bool {
    matches!(&peer.pod, Some((namespace, _)) if namespace == NAMESPACE)
}

/// Returns each pair of different peers, with each port.
fn pairs(peers: &[Peer]) -> impl Iterator<Item = (&Peer, &Peer, Port)> {
    let pairs = peers.iter().flat_map(|from| peers.iter().map(move |to| (from, to)));
    let pairs = pairs.filter(|(from, to)| from.name != to.name);
    pairs.flat_map(|(from, to)| PORTS.map(|port| (from, to, port)))
}

fn line((from, to, port): (&Peer, &Peer, Port)) -> String {
    format!("{} → {} {} {}", from.name, to.name, port.0, port.1)
}

/// Returns all connections that are allowed from and to the pods of the namespace, as lines such as
/// `ai-service → redis TCP 6379`.
pub(crate) fn allowed(manifests: &Manifests, peers: &[Peer]) -> BTreeSet<String> {
    let own = pairs(peers).filter(|(from, to, _)| is_own(from) || is_own(to));
    own.filter(|&(from, to, port)| allows(manifests, from, to, port)).map(line).collect()
}

/// Returns the connections that the policies of the pods of the namespace allow as egress, whatever the
/// other side allows.
pub(crate) fn egress(manifests: &Manifests, peers: &[Peer]) -> BTreeSet<String> {
    let own = pairs(peers).filter(|(from, ..)| is_own(from));
    own.filter(|&(from, to, port)| passes(manifests, from, to, port, "Egress")).map(line).collect()
}

/// Returns the connections that the policies of the pods of the namespace allow as ingress, whatever
/// the other side allows.
pub(crate) fn ingress(manifests: &Manifests, peers: &[Peer]) -> BTreeSet<String> {
    let own = pairs(peers).filter(|(_, to, _)| is_own(to));
    own.filter(|&(from, to, port)| passes(manifests, to, from, port, "Ingress")).map(line).collect()
}

/// Returns true if `from` may connect to `to`.
pub(crate) fn allows(manifests: &Manifests, from: &Peer, to: &Peer, port: Port) -> bool {
    passes(manifests, from, to, port, "Egress") && passes(manifests, to, from, port, "Ingress")
}

/// Returns true if the policies that apply to `pod` for this direction allow the connection.
fn passes(manifests: &Manifests, pod: &Peer, other: &Peer, port: Port, direction: &str) -> bool {
    let mut is_isolated = false;
    for policy in applying(manifests, pod, direction) {
        is_isolated = true;
        for rule in policy.rules() {
            let is_port = rule["ports"].is_null() || items(&rule["ports"]).any(|p| covers(p, port));
            if is_port && policy.means(rule, other) {
                return true;
            }
        }
    }
    !is_isolated
}

/// A policy that applies to a pod for one direction.
pub(crate) struct Applying<'a> {
    policy: &'a Value,
    direction: &'a str,
}

impl<'a> Applying<'a> {
    /// Returns what it allows; everything else is blocked.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let rules = if self.direction == "Egress" { "egress" } else { "ingress" };
        items(&self.policy["spec"][rules])
    }

    /// Returns true if the rule applies to connections with this peer.
    pub(crate) fn means(&self, rule: &Value, peer: &Peer) -> bool {
        let side = if self.direction == "Egress" { "to" } else { "from" };
        known(rule, &["ports", side]);
        let own = namespace(self.policy);
        rule[side].is_null() || items(&rule[side]).any(|selector| means(selector, own, peer))
    }
}

/// Returns the policies that apply to a pod; if there are any, only what one of them allows is
/// permitted.
pub(crate) fn applying<'a>(
    manifests: &'a Manifests,
    peer: &'a Peer,
    direction: &'a str,
) -> impl Iterator<Item = Applying<'a>> {
    let policies = manifests.of_kind("NetworkPolicy").filter(move |policy| {
        let Some((space, labels)) = &peer.pod else { return false };
        let spec = &policy["spec"];
        let is_of_type = match spec["policyTypes"].as_array() {
            Some(types) => types.iter().any(|of| of == direction),
            None => direction == "Ingress" || !spec["egress"].is_null(),
        };
        is_of_type && namespace(policy) == space && selects(&spec["podSelector"], labels)
    });
    policies.map(move |policy| Applying { policy, direction })
}

fn namespace(policy: &Value) -> &str {
    policy["metadata"]["namespace"].as_str().unwrap_or("default")
}

fn covers(rule: &Value, (protocol, port): Port) -> bool {
    known(rule, &["protocol", "port"]);
    let is_port = rule["port"].is_null() || rule["port"] == port;
    is_port && rule["protocol"].as_str().unwrap_or("TCP") == protocol
}

/// Returns true if the rule's peer matches this one.
fn means(rule: &Value, own: &str, peer: &Peer) -> bool {
    known(rule, &["podSelector", "namespaceSelector"]);
    let Some((namespace, labels)) = &peer.pod else { return false };
    let names = json!({"kubernetes.io/metadata.name": namespace});
    let is_namespace = match &rule["namespaceSelector"] {
        Value::Null => own == namespace,
        selector => selects(selector, &names),
    };
    is_namespace && (rule["podSelector"].is_null() || selects(&rule["podSelector"], labels))
}

fn selects(selector: &Value, labels: &Value) -> bool {
    known(selector, &["matchLabels", "matchExpressions"]);
    let wanted = selector["matchLabels"].as_object();
    let all = wanted.into_iter().flatten().all(|(key, value)| labels[key] == *value);
    all && items(&selector["matchExpressions"]).all(|expression| {
        match text(&expression["operator"]) {
            "In" => items(&expression["values"]).any(|v| labels[text(&expression["key"])] == *v),
            // The API rejects an expression without an operator.
            _ => false,
        }
    })
}

/// Fails the test for a key that this module does not interpret.
fn known(value: &Value, keys: &[&str]) {
    for (key, _) in value.as_object().into_iter().flatten() {
        assert!(keys.contains(&key.as_str()), "network.rs does not know {key}");
    }
}
