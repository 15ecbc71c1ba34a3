//! Resources and monitoring: limits, probes, evictions, load, metrics.

use serde_json::Value;

use super::super::manifests::{Manifests, Overlay, items, text};
use super::expect;

/// Returns the command of a probe, as one line.
fn command(container: &Value, probe: &str) -> String {
    items(&container[probe]["exec"]["command"]).map(text).collect::<Vec<_>>().join(" ")
}

pub(super) fn probes(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let ready = "redoubt healthcheck --admin 127.0.0.1:6390";
    let live = "redoubt healthcheck --live --admin 127.0.0.1:6390";
    let at = if manifests.overlay == Overlay::Unix { "-s /run/redis/redis.sock " } else { "" };
    let ping =
        format!("sh -c REDISCLI_AUTH=$(cat /run/secrets/redis/password) redis-cli -e {at}ping");
    let any = format!("redis-cli {at}ping");
    let redis = manifests.pods_of("redis").and_then(|pods| pods.container("redis"));
    let redoubt = manifests.redoubt().map(|(_, container)| container);
    let due = [
        (redoubt, "startupProbe", ready),
        (redoubt, "readinessProbe", ready),
        (redoubt, "livenessProbe", live),
        (redis, "startupProbe", &ping),
        (redis, "readinessProbe", &ping),
        (redis, "livenessProbe", &any),
    ];
    for (container, probe, due) in due {
        let Some(container) = container else {
            wrong.push(format!("the container for a {probe} is missing"));
            continue;
        };
        let is = command(container, probe);
        expect(&mut wrong, is == due, format!("the {probe} is {is:?}, not {due:?}"));
        // A health check answers within two seconds, or reports that it did not.
        let probe = &container[probe];
        let seconds = probe["timeoutSeconds"].as_u64().unwrap_or(1);
        expect(&mut wrong, seconds >= 2, format!("{due} has a timeout of {seconds} s"));
        let tries = probe["failureThreshold"].as_u64().unwrap_or(3)
            * probe["periodSeconds"].as_u64().unwrap_or(10);
        expect(&mut wrong, (10..=60).contains(&tries), format!("{due} may fail for {tries} s"));
    }
    wrong
}

/// Returns the bytes of a quantity such as `64Mi`.
fn bytes(quantity: &Value) -> Option<u64> {
    text(quantity).strip_suffix("Mi")?.parse::<u64>().ok()?.checked_mul(1 << 20)
}

pub(super) fn resources(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    for pods in manifests.pods() {
        for container in pods.containers() {
            let name = text(&container["name"]);
            let resources = &container["resources"];
            for kind in ["requests", "limits"] {
                let given = &resources[kind];
                for key in ["memory", "ephemeral-storage"] {
                    expect(
                        &mut wrong,
                        bytes(&given[key]).is_some(),
                        format!("{name}: {kind} of {key}"),
                    );
                }
                expect(
                    &mut wrong,
                    !text(&given["cpu"]).is_empty(),
                    format!("{name}: {kind} of cpu"),
                );
            }
            let least = match name {
                // Half more than maxmemory.
                "redis" => 384,
                // The sum of 16 MiB for unauthenticated clients, and the output_buffer of 32 MiB for a
                // few clients.
                "redoubt" => 256,
                _ => 1,
            };
            let memory = bytes(&resources["limits"]["memory"]).unwrap_or_default() >> 20;
            expect(
                &mut wrong,
                (least..=512).contains(&memory),
                format!("{name} may have {memory} MiB"),
            );
        }
    }
    wrong
}

/// Checks the disruption budget and the replicas of what has more than one pod.
pub(super) fn availability(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut several = vec!["ai-service"];
    several.extend((manifests.overlay == Overlay::Shared).then_some("redoubt"));
    for name in several {
        let budget = manifests.named("PodDisruptionBudget", name);
        let is_right = budget.is_some_and(|budget| {
            let labels = &budget["spec"]["selector"]["matchLabels"];
            budget["spec"]["maxUnavailable"] == 1 && labels["app.kubernetes.io/name"] == name
        });
        expect(&mut wrong, is_right, format!("{name} has no disruption budget"));
        let strategy =
            &manifests.named("Deployment", name).unwrap_or(&Value::Null)["spec"]["strategy"];
        let keeps = strategy["rollingUpdate"]["maxUnavailable"] == 0;
        expect(&mut wrong, keeps, format!("{name} is taken away before the next is ready"));
    }
    let replicas = |name| Some(manifests.named("Deployment", name)?["spec"]["replicas"].as_u64());
    let own = replicas("ai-service").flatten();
    expect(&mut wrong, own.is_some_and(|own| own > 1), "the service is one pod");
    if manifests.overlay == Overlay::Shared {
        let scaler = manifests.named("HorizontalPodAutoscaler", "redoubt").unwrap_or(&Value::Null);
        let spec = &scaler["spec"];
        let number = |key: &str| spec[key].as_u64().unwrap_or_default();
        expect(&mut wrong, number("minReplicas") >= 2, "Redoubt may be one pod");
        expect(&mut wrong, number("maxReplicas") > number("minReplicas"), "it does not grow");
        let target = &spec["scaleTargetRef"];
        let is_redoubt = target["kind"] == "Deployment"
            && target["name"] == "redoubt"
            && target["apiVersion"] == "apps/v1";
        expect(&mut wrong, is_redoubt, "it scales something else");
        let metric = items(&spec["metrics"]).next().unwrap_or(&Value::Null);
        let resource = &metric["resource"];
        let by_load = metric["type"] == "Resource"
            && resource["name"] == "cpu"
            && resource["target"]["type"] == "Utilization"
            && resource["target"]["averageUtilization"].as_u64().is_some_and(|most| most <= 80);
        expect(&mut wrong, by_load, "it does not scale by load");
        let replicas = replicas("redoubt").flatten();
        expect(&mut wrong, replicas.is_none(), "replicas and the scaler contradict each other");
        let slowly = spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"].as_u64();
        expect(&mut wrong, slowly.is_some_and(|s| s >= 300), "sessions are closed at every lull");
    }
    wrong
}

/// Checks that a ServiceMonitor selects a Service that selects Redoubt.
pub(super) fn metrics(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let monitor = manifests.of_kind("ServiceMonitor").next();
    expect(&mut wrong, monitor.is_some() == manifests.metrics, "the ServiceMonitor is optional");
    let Some(monitor) = monitor else { return wrong };
    let wanted = &monitor["spec"]["selector"]["matchLabels"];
    let service = manifests
        .of_kind("Service")
        .find(|service| wanted.is_object() && service["metadata"]["labels"] == *wanted);
    let Some(service) = service else { return vec!["it finds no Service".into()] };
    let endpoint = items(&monitor["spec"]["endpoints"]).next().unwrap_or(&Value::Null);
    let port = items(&service["spec"]["ports"]).find(|port| port["name"] == endpoint["port"]);
    let is_admin = port.is_some_and(|p| p["port"] == 6390 && p["targetPort"] == 6390);
    expect(&mut wrong, is_admin && endpoint["path"] == "/metrics", "it reads something else");
    expect(&mut wrong, service["spec"]["clusterIP"] == "None", "it reads one of several pods");
    let all = service["spec"]["publishNotReadyAddresses"] == true;
    expect(&mut wrong, all, "an unready pod is not scraped");
    wrong
}
