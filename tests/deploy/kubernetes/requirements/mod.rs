//! The requirements on the deployment; each is a function that returns its violations.

mod containers;
mod exposure;
mod operation;
mod redis;
mod redoubt;
mod secrets;

use super::manifests::Manifests;

/// A requirement, with its name.
pub(crate) type Requirement = (&'static str, fn(&Manifests) -> Vec<String>);

/// The requirements in the order of the layers: network, authentication, commands, resources,
/// monitoring, container.
pub(crate) const REQUIREMENTS: [Requirement; 23] = [
    ("nothing is public", exposure::nothing_is_public),
    ("no pod uses its node's network", exposure::no_node_network),
    ("services lead to the pods they are for", exposure::services_lead_to_pods),
    ("connections are allowed as listed and no other", exposure::connections),
    ("only kinds that are looked at here", exposure::kinds),
    ("Redis has a strong password", redis::password),
    ("Redis is configured as asked", redis::configuration),
    ("passwords come from Secrets alone", secrets::passwords),
    ("each has the passwords that it needs", secrets::least),
    ("the service talks to Redoubt", redoubt::url),
    ("Redoubt's configuration is sound", redoubt::configuration),
    ("Redoubt is stopped in peace", redoubt::drain),
    ("Redoubt is a native sidecar", redoubt::sidecar),
    ("who is well is asked for", operation::probes),
    ("resources are limited", operation::resources),
    ("evictions and load are provided for", operation::availability),
    ("metrics are read by Prometheus alone", operation::metrics),
    ("containers run without rights", containers::rights),
    ("containers run as UID 999", containers::user),
    ("images are of a known version", containers::images),
    ("files cannot be changed", containers::files),
    ("the namespace is restricted", containers::namespace),
    ("pods have no access to the cluster", containers::cluster),
];

/// Returns the violations, each with the requirement's name.
pub(crate) fn wrong(manifests: &Manifests) -> Vec<String> {
    let mut all = Vec::new();
    for (name, requirement) in REQUIREMENTS {
        all.extend(requirement(manifests).into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    all
}

/// Adds `text` to the violations if `holds` is false.
fn expect(wrong: &mut Vec<String>, holds: bool, text: impl Into<String>) {
    if !holds {
        wrong.push(text.into());
    }
}
