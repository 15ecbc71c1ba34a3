//! The examples for resources outside the deployment: they match it, and contain no secret.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::manifests::{self, Manifests, NAMESPACE, Overlay, items, sources, text};

fn example(name: &str) -> Vec<Value> {
    let file = sources().join("examples").join(name);
    manifests::parse(&fs::read_to_string(file).expect("an example"), &[]).expect("YAML")
}

/// Returns the Secrets that pods of the deployment use, each with the key `password`.
fn used() -> BTreeSet<String> {
    let manifests = Manifests::render(Overlay::Sidecar, false);
    let volumes = manifests.pods().flat_map(|pods| items(&pods.spec["volumes"]));
    let secrets = volumes.filter_map(|volume| volume["secret"]["secretName"].as_str());
    secrets.map(str::to_owned).collect()
}

/// The API server accepts only base64, which has no `<`.
#[test]
fn the_example_secrets_cannot_be_applied_unchanged() {
    let secrets = example("secrets.yaml");
    let mut names = BTreeSet::new();
    for secret in &secrets {
        assert_eq!((&secret["kind"], &secret["type"]), (&"Secret".into(), &"Opaque".into()));
        assert_eq!(secret["metadata"]["namespace"], NAMESPACE);
        assert!(secret["stringData"].is_null(), "stringData would be accepted unencoded");
        assert!(text(&secret["data"]["password"]).starts_with('<'), "{secret}");
        names.insert(text(&secret["metadata"]["name"]).to_owned());
    }
    assert_eq!(names, used());
}

#[test]
fn the_external_store_example_fills_all_secrets() {
    let mut names = BTreeSet::new();
    for external in example("external-secrets.yaml") {
        assert_eq!(external["apiVersion"], "external-secrets.io/v1");
        assert_eq!(external["kind"], "ExternalSecret");
        assert_eq!(external["metadata"]["namespace"], NAMESPACE);
        let keys: Vec<_> =
            items(&external["spec"]["data"]).map(|d| text(&d["secretKey"])).collect();
        assert_eq!(keys, ["password"]);
        assert!(external["spec"]["secretStoreRef"]["kind"].is_string());
        names.insert(text(&external["spec"]["target"]["name"]).to_owned());
    }
    assert_eq!(names, used());
}

#[test]
fn the_encryption_example_encrypts_secrets_at_rest() {
    let encryption = &example("encryption.yaml")[0];
    assert_eq!(encryption["apiVersion"], "apiserver.config.k8s.io/v1");
    assert_eq!(encryption["kind"], "EncryptionConfiguration");
    let resource = &encryption["resources"][0];
    assert_eq!(resource["resources"], serde_json::json!(["secrets"]));
    // The first provider encrypts new Secrets; `identity`, which does not encrypt, only reads old ones.
    assert_eq!(resource["providers"][0]["kms"]["apiVersion"], "v2");
    assert!(items(&resource["providers"]).last().is_some_and(|last| last["identity"].is_object()));
}
