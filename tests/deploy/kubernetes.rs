//! `config/kubernetes` is valid by the schemas of Kubernetes, and closed as the deployment requires.
//!
//! `scripts/kubernetes.sh` installs the programs that the tests run.

mod examples;
pub(super) mod manifests;
mod mutations;
pub(super) mod network;
mod requirements;

use std::collections::BTreeSet;

use manifests::{Manifests, Overlay};
use mutations::{additions, additions_to_unix, removals, with};
use requirements::{REQUIREMENTS, wrong};

/// Versions from the first with native sidecars on.
const VERSIONS: [&str; 4] = ["1.29", "1.31", "1.34", "1.37"];

/// Returns each overlay, without metrics and with them.
fn all() -> impl Iterator<Item = Manifests> {
    let both = |overlay| [false, true].map(|metrics| Manifests::render(overlay, metrics));
    Overlay::ALL.into_iter().flat_map(both)
}

/// Parts of places that may be missing: defaults of Kubernetes or Redoubt with the same value, values
/// that are written twice, and values for convenience.
const FREE: [&str; 15] = [
    "redoubt.toml: drain_delay = \"0s\"",
    "redoubt.toml: listen = [\"127.0.0.1:6380\"]",
    "redoubt.toml: shutdown_timeout",
    "Probe/periodSeconds",
    "Probe/failureThreshold",
    "initContainers/0/securityContext/runAsNonRoot",
    "/ports/0/protocol",
    "NetworkPolicy dns /spec/egress/0/ports/1/protocol",
    "StatefulSet redis /spec/replicas",
    // The placeholder's command.
    "Deployment ai-service /spec/template/spec/containers/0/command",
    " /metadata/labels",
    "/spec/ports/0/name",
    "/spec/template/spec/topologySpreadConstraints",
    "/spec/behavior/scaleDown/policies",
    "ServiceMonitor redoubt /spec/endpoints/0/interval",
];

#[test]
fn manifests_are_valid_by_the_kubernetes_schemas() {
    for manifests in all() {
        let json = manifests.documents.iter().map(|document| format!("---\n{document}\n"));
        let wrong = manifests::parse(&json.collect::<String>(), &VERSIONS).err();
        assert_eq!(wrong, None, "{:?}", manifests.overlay);
    }
}

#[test]
fn kubernetes_schema_checks_find_mistakes() {
    let manifests = Manifests::render(Overlay::Sidecar, false);
    let changed = with(&manifests, "Service", "redis", "/spec/ports/0/port", &"x".into());
    let json = changed.documents.iter().map(|document| format!("---\n{document}\n"));
    let wrong = manifests::parse(&json.collect::<String>(), &VERSIONS).unwrap_err();
    assert_eq!(wrong.len(), VERSIONS.len(), "{wrong:?}");
    let json =
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spek\":{}}";
    assert_eq!(manifests::parse(json, &VERSIONS).unwrap_err().len(), VERSIONS.len());
    assert_eq!(
        manifests::parse(json, &["1.1"]).unwrap_err(),
        ["there is no schema of Kubernetes 1.1"]
    );
}

#[test]
fn manifests_meet_every_requirement() {
    for manifests in all() {
        let wrong = wrong(&manifests);
        let (overlay, metrics) = (manifests.overlay, manifests.metrics);
        assert!(wrong.is_empty(), "{overlay:?}, metrics {metrics}:\n{}", wrong.join("\n"));
    }
}

/// Some requirement fails for whatever is removed, in at least one overlay; and each requirement fails
/// for some removal.
#[test]
fn every_removal_from_the_manifests_breaks_a_requirement() {
    let (mut missed, mut unnoticed) = (BTreeSet::new(), BTreeSet::new());
    let mut missing = BTreeSet::new();
    let plain = Overlay::ALL.map(|overlay| Manifests::render(overlay, false));
    let metrics = Overlay::ALL.map(|overlay| Manifests::render(overlay, true));
    // Metrics add a few documents; the other documents have been tested without metrics.
    let [sidecar, shared, unix] = plain.each_ref().map(|plain| &plain.documents[..]);
    let known = [&[][..], &[], sidecar, sidecar, shared, unix];
    for (manifests, known) in plain.iter().chain(&metrics).zip(known) {
        for mutation in removals(manifests, known) {
            let wrong = wrong(&mutation.mutated);
            let noticed = if wrong.is_empty() { &mut unnoticed } else { &mut missed };
            noticed.insert(mutation.place);
            missing
                .extend(wrong.into_iter().filter_map(|w| Some(w.split_once(": ")?.0.to_owned())));
        }
    }
    let unnoticed: Vec<_> = unnoticed.difference(&missed).cloned().collect();
    let is_free = |place: &&String| FREE.iter().any(|free| place.contains(free));
    let others: Vec<_> = unnoticed.iter().filter(|place| !is_free(place)).cloned().collect();
    assert!(others.is_empty(), "no requirement notices the removal of\n{}", others.join("\n"));
    let idle = FREE.iter().filter(|free| !unnoticed.iter().any(|place| place.contains(**free)));
    assert_eq!(idle.collect::<Vec<_>>(), Vec::<&&str>::new(), "this requirement found no removal");
    let idle = REQUIREMENTS.iter().map(|(name, _)| *name).filter(|name| !missing.contains(*name));
    assert_eq!(
        idle.collect::<Vec<_>>(),
        ["no pod uses its node's network"],
        "these requirements find no removal"
    );
}

#[test]
fn every_opening_addition_to_the_manifests_breaks_a_requirement() {
    let manifests = Manifests::render(Overlay::Sidecar, false);
    for (kind, name, pointer, value) in additions() {
        let changed = with(&manifests, kind, name, pointer, &value);
        assert_ne!(wrong(&changed), Vec::<String>::new(), "{kind} {name} {pointer} {value}");
    }
    let manifests = Manifests::render(Overlay::Unix, false);
    for (kind, name, pointer, value) in additions_to_unix() {
        let changed = with(&manifests, kind, name, pointer, &value);
        assert_ne!(wrong(&changed), Vec::<String>::new(), "{kind} {name} {pointer} {value}");
    }
}
