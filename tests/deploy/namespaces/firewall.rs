//! Converts NetworkPolicies to rules of nftables, and Services to addresses, as a node of Kubernetes
//! does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::kubernetes::manifests::{Manifests, items, text};
use crate::kubernetes::network::{Peer, applying};

/// Returns the rules for the node's table: those of the policies, and of the Services.
///
/// A pod to which a policy applies has a chain for that direction, which returns for what a rule allows
/// and drops everything else; replies on an allowed connection are accepted.
pub(crate) fn rules(
    manifests: &Manifests,
    peers: &[Peer],
    addresses: &BTreeMap<String, String>,
) -> String {
    let (mut jumps, mut chains) = (String::new(), String::new());
    for peer in peers {
        let address = &addresses[&peer.name];
        for (direction, own, other) in [("Egress", "saddr", "daddr"), ("Ingress", "daddr", "saddr")]
        {
            let policies: Vec<_> = applying(manifests, peer, direction).collect();
            if policies.is_empty() {
                continue;
            }
            let chain = format!("{}-{direction}", peer.name);
            writeln!(jumps, "ip {own} {address} jump {chain}").expect("write");
            writeln!(chains, "chain {chain} {{").expect("write");
            for policy in &policies {
                for rule in policy.rules() {
                    for to in peers.iter().filter(|other| policy.means(rule, other)) {
                        let to = &addresses[&to.name];
                        if rule["ports"].is_null() {
                            writeln!(chains, "ip {other} {to} return").expect("write");
                        }
                        for port in items(&rule["ports"]) {
                            let protocol = port["protocol"].as_str().unwrap_or("TCP");
                            let (protocol, port) = (protocol.to_lowercase(), &port["port"]);
                            writeln!(chains, "ip {other} {to} {protocol} dport {port} return")
                                .expect("write");
                        }
                    }
                }
            }
            chains += "drop\n}\n";
        }
    }
    let mut services = String::new();
    for (address, service) in services_of(manifests) {
        let selector = service["spec"]["selector"].as_object().expect("a selector");
        let pods = manifests.pods().find(|pods| selector.iter().all(|(k, v)| pods.labels[k] == *v));
        let pods = pods.expect("a Service of pods");
        for port in items(&service["spec"]["ports"]) {
            let mut ports = pods.containers().flat_map(|container| items(&container["ports"]));
            let inner = match &port["targetPort"] {
                name if name.is_string() => {
                    &ports.find(|inner| inner["name"] == *name).expect("a port")["containerPort"]
                }
                number => number,
            };
            let port = &port["port"];
            let pod = &addresses[pods.name];
            writeln!(services, "ip daddr {address} tcp dport {port} dnat to {pod}:{inner}")
                .expect("write");
        }
    }
    format!(
        "table ip policies {{
         chain forward {{
         type filter hook forward priority 0; policy accept;
         ct state established,related accept
         {jumps}}}
         {chains}}}
         table ip services {{
         chain prerouting {{
         type nat hook prerouting priority -100;
         {services}}}
         }}\n"
    )
}

/// Returns the Services, each with its cluster address.
fn services_of(manifests: &Manifests) -> impl Iterator<Item = (String, &serde_json::Value)> {
    let all = manifests.of_kind("Service").enumerate();
    all.map(|(index, service)| (format!("10.96.0.{}", index + 2), service))
}

/// Returns the names of the Services, as the cluster's DNS has them.
pub(crate) fn hosts(manifests: &Manifests) -> String {
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for (address, service) in services_of(manifests) {
        writeln!(hosts, "{address} {}", text(&service["metadata"]["name"])).expect("write");
    }
    hosts
}
