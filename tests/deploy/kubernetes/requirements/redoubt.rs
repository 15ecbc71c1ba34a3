//! Redoubt: what it refuses, how it is reached, and how it shuts down.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use redoubt::config::{Environment, Settings};
use tempfile::TempDir;

use super::super::manifests::{Manifests, Overlay, items, text, variable};
use super::expect;

/// Time that the kubelet may take to notice that a container has ended.
const MARGIN: Duration = Duration::from_secs(5);

/// The environment variables that Redoubt gets.
const VARIABLES: [&str; 4] =
    ["REDOUBT_CONFIG", "REDIS_PASSWORD_FILE", "REDOUBT_PASSWORD_FILE", "REDOUBT_ADMIN_LISTEN"];

/// Two passwords, as the Secrets are mounted.
static SECRETS: LazyLock<Result<TempDir, String>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (name, digit) in [("redis", "a"), ("redoubt", "b")] {
        let inner = dir.path().join(name);
        let made = fs::create_dir(&inner)
            .and_then(|()| fs::write(inner.join("password"), digit.repeat(64)));
        made.map_err(|error| error.to_string())?;
    }
    Ok(dir)
});

/// Returns the settings that `redoubt.toml` and the container's environment produce.
pub(super) fn settings(manifests: &Manifests) -> Result<Settings, String> {
    let toml = manifests.redoubt_toml().ok_or("Redoubt has no configuration")?;
    let (_, container) = manifests.redoubt().ok_or("there is no Redoubt")?;
    let names: Vec<_> = items(&container["env"]).map(|variable| text(&variable["name"])).collect();
    if names != VARIABLES {
        return Err(format!("its environment is {names:?}"));
    }
    let secrets = SECRETS.as_ref().map_err(String::clone)?.path().display().to_string();
    let environment = Environment::from_lookup(|name| {
        let variable = variable(container, name);
        let map = &variable["valueFrom"]["configMapKeyRef"];
        let value = match manifests.named("ConfigMap", text(&map["name"])) {
            Some(found) => found["data"][text(&map["key"])].as_str(),
            None => variable["value"].as_str(),
        };
        // A variable that refers to a missing object keeps the container from starting.
        let is_known = VARIABLES.contains(&name);
        Some(value.or(is_known.then_some("missing"))?.replace("/run/secrets", &secrets).into())
    });
    Settings::parse(Path::new("redoubt.toml"), toml, &environment).map_err(|e| e.to_string())
}

/// Checks what is blocked, who may connect, and what is logged.
pub(super) fn configuration(manifests: &Manifests) -> Vec<String> {
    let settings = match settings(manifests) {
        Ok(settings) => settings,
        Err(error) => return vec![error],
    };
    let mut wrong = Vec::new();
    let shown = settings.to_toml();
    let has = |line: &str| shown.lines().any(|shown| shown == line);
    let port = match manifests.overlay {
        Overlay::Sidecar => "127.0.0.1:6380",
        Overlay::Shared | Overlay::Unix => "0.0.0.0:6380",
    };
    let upstream = match manifests.overlay {
        Overlay::Unix => "unix:///run/redis/redis.sock",
        Overlay::Sidecar | Overlay::Shared => "redis://redis:6379",
    };
    let admin = if manifests.metrics { "0.0.0.0:6390" } else { "127.0.0.1:6390" };
    let due = [
        format!("listen = [\"{port}\"]"),
        format!("listen = \"{admin}\""),
        format!("url = \"{upstream}\""),
        "blocked = [\"FLUSHDB\", \"FLUSHALL\", \"CONFIG\", \"DEBUG\"]".to_owned(),
        "escapes = \"deny\"".to_owned(),
        "guard = \"require\"".to_owned(),
        "scripts = \"guarded\"".to_owned(),
        "allow_weak_passwords = false".to_owned(),
        "output = \"stdout\"".to_owned(),
        "level = \"info\"".to_owned(),
        "format = \"json\"".to_owned(),
    ];
    for line in due {
        expect(&mut wrong, has(&line), format!("it has not {line}"));
    }
    // The log and the audit log are configured explicitly.
    let toml = manifests.redoubt_toml().unwrap_or_default();
    for line in ["output = \"stdout\"", "level = \"info\""] {
        expect(
            &mut wrong,
            toml.lines().any(|said| said == line),
            format!("it does not say {line}"),
        );
    }
    for warning in &settings.warnings {
        wrong.push(format!("it warns: {warning}"));
    }
    // Clients of a sidecar share an address, so a single client could lock out all of them. They are
    // still delayed.
    let exempt = settings.throttle.exempt.len();
    expect(&mut wrong, exempt == 0, format!("{exempt} networks are exempt from the throttle"));
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let is_shared = settings.throttle.shared.iter().any(|network| network.contains(&loopback));
    expect(&mut wrong, is_shared, "this machine's address can be locked out");
    let most = settings.limits.max_sessions;
    expect(&mut wrong, most <= 5000, format!("{most} sessions may take more memory than there is"));
    wrong
}

/// Checks that the service has a password of its own and Redoubt's address.
pub(super) fn url(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let pods = manifests.pods_of("ai-service");
    let service = pods.as_ref().and_then(|pods| pods.container("ai-service"));
    let env: Vec<_> = service.into_iter().flat_map(|service| items(&service["env"])).collect();
    // Kubernetes expands variables only if they are defined before.
    let names: Vec<_> = env.iter().map(|variable| text(&variable["name"])).collect();
    expect(
        &mut wrong,
        names == ["REDOUBT_PASSWORD", "REDIS_URL"],
        format!("it is given {names:?}"),
    );
    let due = match manifests.overlay {
        Overlay::Sidecar => "redis://:$(REDOUBT_PASSWORD)@127.0.0.1:6380",
        Overlay::Shared => "redis://:$(REDOUBT_PASSWORD)@redoubt:6379",
        Overlay::Unix => "redis://:$(REDOUBT_PASSWORD)@redis:6379",
    };
    let url = env.last().map_or("", |variable| text(&variable["value"]));
    expect(&mut wrong, url == due, format!("REDIS_URL is {url}"));
    wrong
}

/// Checks that SIGKILL comes after the time that Redoubt needs to stop, plus with a sidecar the time
/// that the service needs.
pub(super) fn drain(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let Ok(settings) = settings(manifests) else { return wrong };
    let Some((pods, _)) = manifests.redoubt() else { return vec!["there is no Redoubt".into()] };
    let grace = pods.spec["terminationGracePeriodSeconds"].as_u64().unwrap_or_default();
    let own = settings.drain_delay + settings.shutdown_timeout;
    let service = match manifests.overlay {
        Overlay::Sidecar => Duration::from_secs(15),
        Overlay::Shared | Overlay::Unix => Duration::ZERO,
    };
    let need = own + service + MARGIN;
    expect(
        &mut wrong,
        Duration::from_secs(grace) >= need,
        format!("{need:?} are needed, {grace} s are given"),
    );
    match manifests.overlay {
        // The service has ended by then.
        Overlay::Sidecar => {
            expect(&mut wrong, settings.drain_delay.is_zero(), "drain_delay is not zero")
        }
        Overlay::Shared | Overlay::Unix => expect(
            &mut wrong,
            settings.drain_delay >= MARGIN,
            "others are not given time to notice",
        ),
    }
    wrong
}

/// Checks that Redoubt is a native sidecar (Kubernetes 1.29) that only its own pod can reach.
pub(super) fn sidecar(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some((pods, redoubt)) = manifests.redoubt() else {
        return vec!["there is no Redoubt".into()];
    };
    let command: Vec<_> =
        items(&redoubt["command"]).chain(items(&redoubt["args"])).map(text).collect();
    let due = ["redoubt", "serve"];
    expect(&mut wrong, command == due, format!("it runs {command:?}"));
    if manifests.overlay == Overlay::Sidecar {
        let first = items(&pods.spec["initContainers"]).next();
        let is_native =
            first.is_some_and(|c| c["name"] == "redoubt" && c["restartPolicy"] == "Always");
        expect(&mut wrong, is_native, "Redoubt does not run beside the service");
        expect(&mut wrong, redoubt["ports"].is_null(), "the sidecar has a port");
    }
    wrong
}
