//! Redis: its password, its memory, its timeouts.

use super::super::manifests::{Manifests, Overlay, items, text};
use super::expect;

/// The files of the repository that the manifests contain copies of. Other tests check their content.
const CONF: &str = include_str!("../../../../config/redis.conf");
const SCRIPT: &str = include_str!("../../../../config/redis-server.sh");

/// Directives that are checked by name.
const DIRECTIVES: [&str; 5] = [
    "maxmemory 256mb",
    "maxmemory-policy allkeys-lru",
    "timeout 300",
    "tcp-keepalive 60",
    "save \"\"",
];

/// Checks that the script starts Redis, which reads the password from a file and rejects a short one.
pub(super) fn password(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let pods = manifests.pods_of("redis");
    let Some((pods, redis)) =
        pods.and_then(|pods| pods.container("redis").map(|redis| (pods, redis)))
    else {
        return vec!["there is no Redis".into()];
    };
    let line: Vec<_> = items(&redis["command"]).chain(items(&redis["args"])).map(text).collect();
    let mut due = vec![
        "sh",
        "/etc/redis/redis-server.sh",
        "/etc/redis/redis.conf",
        "/run/secrets/redis/password",
    ];
    if manifests.overlay == Overlay::Unix {
        due.extend(["--port", "0", "--unixsocket", "/run/redis/redis.sock"]);
        due.extend(["--unixsocketperm", "770"]);
        expect(&mut wrong, redis["ports"].is_null(), "Redis has a port");
    }
    expect(&mut wrong, line == due, format!("Redis is started by {line:?}"));
    let script = manifests.file(&pods, redis, "/etc/redis/redis-server.sh");
    expect(&mut wrong, script == Some(SCRIPT), "the script is not config/redis-server.sh");
    wrong
}

pub(super) fn configuration(manifests: &Manifests) -> Vec<String> {
    let mut wrong = Vec::new();
    let conf = manifests.redis_conf().unwrap_or_default();
    expect(&mut wrong, conf == CONF, "the configuration is not config/redis.conf");
    for due in DIRECTIVES {
        expect(&mut wrong, conf.lines().any(|line| line == due), format!("there is no {due}"));
    }
    wrong
}
