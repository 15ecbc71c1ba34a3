//! The deployment on Kubernetes, in network namespaces: the firewall that follows from its
//! NetworkPolicies, and Redis and Redoubt started as their containers are.
//!
//! The machine must permit user and network namespaces; `scripts/prerequisites.sh test` installs the
//! programs.

mod cluster;
mod firewall;
mod page;
use std::collections::BTreeSet;
use std::process::Output;

use super::kubernetes::manifests::{self, Manifests, Overlay};
use super::kubernetes::network::{PORTS, allowed, peers};
use cluster::{Cluster, PUBLIC, converse};

const REACH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/namespaces/reach.py");

/// Finds the Python interpreter: the system's own may be a script that looks for others.
fn python() -> String {
    manifests::installed("python/bin/python").display().to_string()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// Returns which pods reach which, when every pod listens on every port.
fn reached(cluster: &mut Cluster) -> BTreeSet<String> {
    let names: Vec<_> = cluster.peers.iter().map(|peer| peer.name.clone()).collect();
    let mut ports: Vec<_> = PORTS.iter().map(|(_, port)| port.to_string()).collect();
    ports.dedup();
    for name in &names {
        let mut listener = cluster.command(name, &python());
        listener.arg(REACH).arg("listen").args(&ports);
        let lines = cluster.spawn(listener);
        assert!(lines.wait(|line| line == "listening").is_some(), "{:?}", lines.all());
    }
    let cluster = &*cluster;
    let probe = |from: &String| {
        let mut wanted = String::new();
        for to in names.iter().filter(|to| *to != from) {
            for (protocol, port) in PORTS {
                wanted += &format!("{protocol} {} {port}\n", cluster.address(to));
            }
        }
        let mut prober = cluster.command(from, &python());
        prober.arg(REACH).arg("try");
        let answered = converse(prober, &wanted);
        let lines = answered.lines().map(|line| {
            let mut words = line.split(' ');
            let (protocol, address) = (words.next().unwrap(), words.next().unwrap());
            let to = names.iter().find(|name| cluster.address(name) == address).unwrap();
            format!("{from} → {to} {protocol} {}", words.next().unwrap())
        });
        lines.collect::<Vec<_>>()
    };
    at_once(&names, probe).into_iter().flatten().collect()
}

/// Runs `each` for all elements in parallel, because most of the time is waiting.
fn at_once<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let each = &each;
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(move || each(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Returns the lines about the deployment's own pods; connections among other pods are not the
/// deployment's concern.
fn own(lines: BTreeSet<String>) -> BTreeSet<String> {
    let is_own = |name: &str| ["ai-service", "redis", "redoubt", "stranger"].contains(&name);
    let about = |line: &String| {
        let words: Vec<_> = line.split(' ').collect();
        is_own(words[0]) || is_own(words[2])
    };
    lines.into_iter().filter(about).collect()
}

#[test]
fn network_policies_allow_exactly_the_listed_connections() {
    for overlay in Overlay::NETWORKED {
        let manifests = Manifests::render(overlay, true);
        let mut cluster = Cluster::start(&manifests);
        let allowed = allowed(&manifests, &peers(&manifests));
        assert!(allowed.len() >= 5, "{allowed:?}");
        assert_eq!(own(reached(&mut cluster)), allowed, "{overlay:?}");
    }
}

/// Shows that the policies block the connections, so that the test above can fail.
#[test]
fn without_network_policies_every_pod_is_reachable() {
    let manifests = Manifests::render(Overlay::Sidecar, false);
    let mut cluster = Cluster::start(&manifests);
    cluster.open();
    let reached = reached(&mut cluster);
    let all = cluster.peers.len() * (cluster.peers.len() - 1) * PORTS.len();
    assert_eq!(reached.len(), all);
}

/// Starts a deployment, and returns it with its manifests.
fn serving(overlay: Overlay) -> (Manifests, Cluster) {
    let manifests = Manifests::render(overlay, false);
    let mut cluster = Cluster::start(&manifests);
    cluster.serve(&manifests);
    (manifests, cluster)
}

/// Returns the output of `redis-cli` in a pod, "refused" or "no answer".
fn ask(cluster: &Cluster, place: &str, host: &str, port: u16, command: &str) -> String {
    let line = format!("timeout 1 redis-cli -h {host} -p {port} {command}");
    let done = cluster.shell(place, &line);
    match done.status.code() {
        Some(124) => "no answer".to_owned(),
        _ if said(&done).contains("Connection refused") => "refused".to_owned(),
        _ => said(&done).trim().to_owned(),
    }
}

#[test]
fn the_four_checks_and_verify_pass_with_the_sidecar_overlay() {
    let (manifests, cluster) = serving(Overlay::Sidecar);
    holds(&manifests, &cluster, "127.0.0.1", 6380);
    // Only its own pod reaches the sidecar, even from places that the policies admit.
    let heard = at_once(&["gateway", "stranger", "namesake", "outside", "redis"], |place| {
        ask(&cluster, place, cluster.address("ai-service"), 6380, "ping")
    });
    assert!(heard.iter().all(|heard| heard == "no answer"), "{heard:?}");
}

#[test]
fn the_four_checks_and_verify_pass_with_the_shared_overlay() {
    let (manifests, cluster) = serving(Overlay::Shared);
    holds(&manifests, &cluster, "redoubt", 6379);
    let heard = at_once(&["gateway", "stranger", "namesake", "outside", "redis"], |place| {
        [("redoubt", 6379), (cluster.address("redoubt"), 6380)]
            .map(|(host, port)| ask(&cluster, place, host, port, "ping"))
    });
    assert!(heard.iter().flatten().all(|heard| heard == "no answer"), "{heard:?}");
    // With Redoubt in pods of its own, the service does not even reach Redis.
    assert_eq!(ask(&cluster, "ai-service", "redis", 6379, "ping"), "no answer");
}

/// Runs the four checks and `redoubt verify` from each place; the service finds Redoubt at `host`.
fn holds(manifests: &Manifests, cluster: &Cluster, host: &str, port: u16) {
    let service = manifests.pods_of("ai-service").unwrap();
    let exec = |line: &str| {
        let done = cluster.exec(&service, "ai-service", &["sh", "-c", line]);
        said(&done).trim().to_owned()
    };
    let cli = |command: &str| {
        format!("REDISCLI_AUTH=$REDOUBT_PASSWORD redis-cli -h {host} -p {port} {command}")
    };
    // 1. Requests without a password are refused.
    let noauth = "NOAUTH Authentication required.";
    assert_eq!(ask(cluster, "ai-service", host, port, "ping"), noauth);
    assert_eq!(ask(cluster, "redis", "127.0.0.1", 6379, "ping"), noauth, "Redis itself");
    // 2. From outside: nobody listens at the node's address, and the pods are unreachable.
    assert_eq!(ask(cluster, "outside", PUBLIC, 6379, "ping"), "refused");
    assert_eq!(ask(cluster, "outside", PUBLIC, 6380, "ping"), "refused");
    let others = ["gateway", "stranger", "namesake", "outside", "prometheus", "dns"];
    let heard = at_once(&others, |place| {
        ["redis", cluster.address("redis")].map(|host| ask(cluster, place, host, 6379, "ping"))
    });
    assert!(heard.iter().flatten().all(|heard| heard == "no answer"), "{heard:?}");
    // 3. and 4. Requests with the password are served, and flushing is refused.
    let flush = exec(&cli("flushdb"));
    assert!(flush.contains("ERR unknown command 'flushdb'"), "{flush}");
    assert_eq!(exec(&cli("ping")), "PONG");
    assert_eq!(exec(&cli("set key value")), "OK");
    // Redis has another password than the clients.
    if ask(cluster, "ai-service", "redis", 6379, "ping") == noauth {
        let direct = exec("REDISCLI_AUTH=$REDOUBT_PASSWORD redis-cli -h redis ping");
        assert!(direct.contains("WRONGPASS"), "{direct}");
    }

    let public = format!("--public {PUBLIC}:6379 --public {PUBLIC}:6380");
    let verify = format!("redoubt verify \"$REDIS_URL\" --direct redis:6379 {public}");
    let done = cluster.exec(&service, "ai-service", &["sh", "-c", &verify]);
    assert!(done.status.success() && said(&done).contains("0 fail"), "{}", said(&done));
    // From other places `redoubt verify` finds nothing to check.
    let done = at_once(&["outside", "stranger", "redis"], |place| {
        let there = if host == "127.0.0.1" { cluster.address("ai-service") } else { host };
        let password = &cluster.passwords["redoubt"];
        let verify = format!("redoubt verify redis://{there}:{port} --timeout 500ms");
        cluster.shell(place, &format!("REDOUBT_PASSWORD={password} {verify}"))
    });
    for done in done {
        let said = said(&done);
        assert!(done.status.code() == Some(1) && said.contains("cannot be reached"), "{said}");
    }
}

#[test]
fn redoubt_stops_within_the_kubernetes_grace_period() {
    for overlay in Overlay::NETWORKED {
        let (manifests, mut cluster) = serving(overlay);
        let began = support::now();
        assert_eq!(cluster.stop_last(), Some(0));
        let pods = manifests.redoubt().unwrap().0;
        let grace = pods.spec["terminationGracePeriodSeconds"].as_f64().unwrap();
        assert!(support::since(began) < grace, "{overlay:?}");
    }
}
