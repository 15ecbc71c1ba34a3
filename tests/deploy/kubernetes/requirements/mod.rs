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
pub(crate) const REQUIREMENTS: [Requirement; 24] = [
    ("nothing is public", exposure::nothing_is_public),
    ("no pod uses its node's network", exposure::no_node_network),
    ("Services select their own pods", exposure::services_lead_to_pods),
    ("only the listed connections are allowed", exposure::connections),
    ("only known kinds of objects are used", exposure::kinds),
    ("Redis has a strong password", redis::password),
    ("Redis has the required configuration", redis::configuration),
    ("passwords come only from Secrets", secrets::passwords),
    ("each container has only the passwords that it needs", secrets::least),
    ("the service connects to Redoubt", redoubt::url),
    ("Redoubt's configuration is sound", redoubt::configuration),
    ("Redoubt has time to drain", redoubt::drain),
    ("Redoubt is a native sidecar", redoubt::sidecar),
    ("every container has probes", operation::probes),
    ("resources are limited", operation::resources),
    ("disruption budgets and scaling are set", operation::availability),
    ("only Prometheus reads metrics", operation::metrics),
    ("containers have no privileges", containers::rights),
    ("containers run as UID 999", containers::user),
    ("images have a known version", containers::images),
    ("files are read-only", containers::files),
    ("only Redis and Redoubt have their socket", containers::socket),
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
