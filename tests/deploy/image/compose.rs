//! Compose: its schema, and the architecture's requirements on the three services and their networks.

use serde_json::Value;

use super::mutation::{Rule, broken, each_change_counts, each_line_counts};
use super::{run, said, text, tool};

const FILE: &str = "config/compose/compose.yaml";
/// The file in which Redis has a Unix socket and no network.
const UNIX: &str = "config/compose/unix.yaml";
const SERVICES: [&str; 3] = ["ai-service", "redis", "redoubt"];

/// Lines that no requirement is about: names, the placeholder's command, and the log driver.
const FREE: [&str; 4] = ["name: redoubt", "entrypoint: [\"sleep\"", "init: true", "driver:"];

fn service<'a>(file: &'a Value, name: &str) -> &'a Value {
    &file["services"][name]
}

fn services(file: &Value) -> impl Iterator<Item = &Value> {
    SERVICES.iter().map(|name| service(file, name))
}

/// Returns the strings of a list, sorted.
fn list(value: &Value) -> Vec<&str> {
    let mut list: Vec<_> =
        value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    list.sort_unstable();
    list
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().into_iter().flatten().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys
}

/// Returns `256m` or `1g` in MiB.
fn mebibytes(value: &Value) -> Option<u64> {
    let (number, unit) = value.as_str()?.split_at_checked(value.as_str()?.len() - 1)?;
    let factor = match unit {
        "m" => 1,
        "g" => 1024,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * factor)
}

fn nofile(file: &Value, name: &str) -> u64 {
    service(file, name)["ulimits"]["nofile"].as_u64().unwrap_or(0)
}

fn waits(file: &Value, name: &str, other: &str) -> bool {
    service(file, name)["depends_on"][other]["condition"] == "service_healthy"
}

/// Returns whether Redis is started by its script, with its configuration.
fn has_files(file: &Value) -> bool {
    let redis = service(file, "redis");
    redis["entrypoint"] == serde_json::json!(["/bin/sh", "/etc/redis/redis-server.sh"])
        && redis["configs"]
            == serde_json::json!([
                {"source": "redis_conf", "target": "/etc/redis/redis.conf"},
                {"source": "redis_server", "target": "/etc/redis/redis-server.sh"},
            ])
        && file["configs"]["redis_conf"]["file"] == "../redis.conf"
        && file["configs"]["redis_server"]["file"] == "../redis-server.sh"
}

/// What holds in both files.
const RULES: &[Rule<Value>] = &[
    ("there are exactly these three services", |file| keys(&file["services"]) == SERVICES),
    // Network.
    ("the AI service reaches Redoubt and not Redis", |file| {
        list(&service(file, "ai-service")["networks"]) == ["cache", "frontend"]
    }),
    ("the ports are exposed", |file| {
        list(&service(file, "ai-service")["expose"]) == ["5000"]
            && list(&service(file, "redoubt")["expose"]) == ["6380"]
    }),
    // Authentication.
    ("each service has only its own secrets", |file| {
        let has = |name: &str| list(&service(file, name)["secrets"]);
        has("redis") == ["redis_password"]
            && has("redoubt") == ["redis_password", "redoubt_password"]
            && has("ai-service") == ["redoubt_password"]
    }),
    ("secrets are files", |file| {
        file["secrets"]["redis_password"]["file"] == "./secrets/redis_password"
            && file["secrets"]["redoubt_password"]["file"] == "./secrets/redoubt_password"
    }),
    ("passwords are read from the secret files", |file| {
        let environment = &service(file, "redoubt")["environment"];
        environment["REDIS_PASSWORD_FILE"] == "/run/secrets/redis_password"
            && environment["REDOUBT_PASSWORD_FILE"] == "/run/secrets/redoubt_password"
    }),
    ("the environment contains no secret", |file| {
        services(file).all(|it| {
            let named = |key: &&str| key.contains("PASSWORD") && !key.ends_with("_FILE");
            it["env_file"].is_null()
                && !keys(&it["environment"]).iter().any(named)
                && !it["environment"].to_string().contains('@')
        })
    }),
    // Redis.
    ("Redis leaves nothing on disk", |file| {
        list(&service(file, "redis")["tmpfs"]).iter().any(|entry| entry.starts_with("/data:"))
    }),
    // Containers.
    ("root file systems are read-only", |file| services(file).all(|it| it["read_only"] == true)),
    ("no service has capabilities", |file| {
        services(file).all(|it| list(&it["cap_drop"]) == ["ALL"] && it["cap_add"].is_null())
    }),
    ("no service can gain privileges", |file| {
        services(file).all(|it| list(&it["security_opt"]) == ["no-new-privileges:true"])
    }),
    ("every image has a version", |file| {
        let redoubt = concat!("redoubt:", env!("CARGO_PKG_VERSION"), "}");
        let of = |name: &str| service(file, name)["image"].as_str().unwrap_or_default();
        of("redoubt").ends_with(redoubt)
            && of("redis").contains(":7.")
            && of("ai-service").contains("redis:7.")
            && service(file, "redoubt")["build"]["context"] == "../.."
    }),
    // Resources.
    ("memory is limited, without swap", |file| {
        services(file).all(|it| {
            let limit = mebibytes(&it["mem_limit"]);
            limit.is_some() && limit == mebibytes(&it["memswap_limit"])
        })
    }),
    ("Redis has room for maxmemory and half as much", |file| {
        mebibytes(&service(file, "redis")["mem_limit"]) >= Some(384)
    }),
    ("processes and processors are limited", |file| {
        services(file).all(|it| it["pids_limit"].is_u64() && it["cpus"].is_number())
    }),
    ("the limit of open files suffices for all sessions", |file| {
        nofile(file, "redoubt") > 10_000 + 1_000 && nofile(file, "redis") > 2_000 + 32
    }),
    // Monitoring and order.
    ("each service has a health check", |file| {
        let timing = ["interval", "timeout", "retries", "start_period"];
        services(file).all(|it| {
            it["healthcheck"]["test"].is_array()
                && timing.iter().all(|key| !it["healthcheck"][key].is_null())
        })
    }),
    ("Redoubt's health check is its own command", |file| {
        service(file, "redoubt")["healthcheck"]["test"]
            == serde_json::json!(["CMD", "/usr/bin/redoubt", "healthcheck"])
    }),
    ("the other health checks log in", |file| {
        ["redis", "ai-service"].iter().all(|name| {
            let test = service(file, name)["healthcheck"]["test"].to_string();
            test.contains("$$(cat /run/secrets/") && test.contains(" ping")
        })
    }),
    ("each service waits until the next is healthy", |file| {
        waits(file, "ai-service", "redoubt") && waits(file, "redoubt", "redis")
    }),
    ("each service restarts", |file| services(file).all(|it| it["restart"] == "unless-stopped")),
    ("a stop waits for replies", |file| service(file, "redoubt")["stop_grace_period"] == "15s"),
    ("logs are kept, and bounded", |file| {
        services(file).all(|it| {
            let options = &it["logging"]["options"];
            options["max-size"].is_string() && options["max-file"].is_string()
        })
    }),
];

/// What holds where Redis has a port on a network.
const NETWORKED: &[Rule<Value>] = &[
    ("no port is published", |file| {
        services(file).all(|it| it["ports"].is_null() && it["network_mode"].is_null())
    }),
    ("backend and cache are internal networks", |file| {
        ["backend", "cache"].iter().all(|name| file["networks"][name]["internal"] == true)
    }),
    ("Redis is on backend alone", |file| list(&service(file, "redis")["networks"]) == ["backend"]),
    ("Redoubt is in both networks", |file| {
        list(&service(file, "redoubt")["networks"]) == ["backend", "cache"]
    }),
    ("there are exactly these networks", |file| {
        keys(&file["networks"]) == ["backend", "cache", "frontend"]
    }),
    ("Redoubt has the address of Redis", |file| {
        service(file, "redoubt")["environment"]["REDOUBT_UPSTREAM"] == "redis://redis:6379"
    }),
    ("Redis starts with its configuration and password", |file| {
        let redis = service(file, "redis");
        redis["command"]
            == serde_json::json!(["/etc/redis/redis.conf", "/run/secrets/redis_password"])
            && has_files(file)
    }),
    ("no service runs as root", |file| services(file).all(|it| it["user"] == "999:999")),
    ("no service shares a namespace or path of the host", |file| {
        let keys =
            ["privileged", "pid", "ipc", "uts", "userns_mode", "devices", "volumes", "extends"];
        services(file).all(|it| keys.iter().all(|key| it[key].is_null()))
    }),
];

/// What holds where Redis has a Unix socket.
const SOCKET: &[Rule<Value>] = &[
    ("no port is published", |file| services(file).all(|it| it["ports"].is_null())),
    ("Redis has no network", |file| {
        let redis = service(file, "redis");
        redis["network_mode"] == "none" && redis["networks"].is_null()
    }),
    ("the others have networks of their own", |file| {
        ["redoubt", "ai-service"].iter().all(|name| service(file, name)["network_mode"].is_null())
    }),
    ("cache is an internal network", |file| file["networks"]["cache"]["internal"] == true),
    ("Redoubt is on cache alone", |file| list(&service(file, "redoubt")["networks"]) == ["cache"]),
    ("there are exactly these networks", |file| keys(&file["networks"]) == ["cache", "frontend"]),
    ("Redoubt has the address of Redis", |file| {
        let url = &service(file, "redoubt")["environment"]["REDOUBT_UPSTREAM"];
        url == "unix:///run/redis/redis.sock"
    }),
    ("Redis has a socket for its group, and no port", |file| {
        let options = ["--port", "0", "--unixsocket", "/run/redis/redis.sock"];
        let files = ["/etc/redis/redis.conf", "/run/secrets/redis_password"];
        let line = [&files[..], &options, &["--unixsocketperm", "770"]].concat();
        service(file, "redis")["command"] == serde_json::json!(line) && has_files(file)
    }),
    ("only Redis and Redoubt have the socket's folder", |file| {
        let has = |name: &str| list(&service(file, name)["volumes"]);
        has("redis") == ["redis_socket:/run/redis"]
            && has("redoubt") == ["redis_socket:/run/redis:ro"]
            && has("ai-service").is_empty()
    }),
    ("only Redis's group may enter the socket's folder, which is in memory", |file| {
        let options = &file["volumes"]["redis_socket"]["driver_opts"];
        let due = "size=1m,mode=0750,uid=999,gid=999,noexec,nosuid,nodev";
        keys(&file["volumes"]) == ["redis_socket"]
            && options["type"] == "tmpfs"
            && options["device"] == "tmpfs"
            && options["o"] == due
    }),
    ("no service runs as root, and Redoubt is in Redis's group", |file| {
        service(file, "redis")["user"] == "999:999"
            && service(file, "redoubt")["user"] == "998:999"
            && service(file, "ai-service")["user"] == "999:999"
    }),
    ("Redis's health check uses the socket", |file| {
        let test = service(file, "redis")["healthcheck"]["test"].to_string();
        test.contains(" -s /run/redis/redis.sock ping")
    }),
    ("no service shares a namespace or path of the host", |file| {
        let keys = ["privileged", "pid", "ipc", "uts", "userns_mode", "devices", "extends"];
        services(file).all(|it| keys.iter().all(|key| it[key].is_null()))
    }),
];

/// Changes that a rule must reject.
const CHANGES: [(&str, &str); 16] = [
    ("  redis:\n", "  redis:\n    ports: [\"6379:6379\"]\n"),
    ("  redoubt:\n", "  redoubt:\n    ports: [\"6380:6380\"]\n"),
    ("  redoubt:\n", "  redoubt:\n    network_mode: host\n"),
    ("  redoubt:\n", "  redoubt:\n    privileged: true\n"),
    ("  redoubt:\n", "  redoubt:\n    pid: host\n"),
    ("  redoubt:\n", "  redoubt:\n    cap_add: [NET_ADMIN]\n"),
    ("  redis:\n", "  redis:\n    volumes: [\"/var/run/docker.sock:/s\"]\n"),
    ("    environment:\n", "    environment:\n      REDIS_PASSWORD: hunter2\n"),
    ("redis://redis:6379", "redis://:hunter2@redis:6379"),
    ("networks: [frontend, cache]", "networks: [frontend, cache, backend]"),
    ("networks: [backend]", "networks: [backend, frontend]"),
    ("    internal: true", "    internal: false"),
    ("user: \"999:999\"", "user: \"0:0\""),
    ("read_only: true", "read_only: false"),
    ("condition: service_healthy", "condition: service_started"),
    ("memswap_limit: 256m", "memswap_limit: 512m"),
];

/// Changes that a rule must reject in the file with the Unix socket.
const UNIX_CHANGES: [(&str, &str); 14] = [
    ("  redis:\n", "  redis:\n    ports: [\"6379:6379\"]\n"),
    ("  redoubt:\n", "  redoubt:\n    ports: [\"6380:6380\"]\n"),
    ("  redoubt:\n", "  redoubt:\n    network_mode: host\n"),
    ("  redoubt:\n", "  redoubt:\n    pid: host\n"),
    ("network_mode: none", "network_mode: bridge"),
    ("network_mode: none", "networks: [cache]"),
    ("\"--port\", \"0\"", "\"--port\", \"6379\""),
    ("\"--unixsocketperm\", \"770\"", "\"--unixsocketperm\", \"777\""),
    ("mode=0750", "mode=0755"),
    (":/run/redis:ro\"]", ":/run/redis\"]"),
    (
        "networks: [frontend, cache]",
        "networks: [frontend, cache]\n    volumes: [\"redis_socket:/s\"]",
    ),
    ("volumes: [\"redis_socket:/run/redis\"]", "volumes: [\"/run/redis:/run/redis\"]"),
    ("user: \"998:999\"", "user: \"0:999\""),
    ("unix:///run/redis/redis.sock", "unix://:hunter2@/run/redis/redis.sock"),
];

fn findings_by(text: &str, own: &[Rule<Value>]) -> Vec<String> {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(file) => [broken(RULES, &file), broken(own, &file)].concat(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn the_compose_file_meets_its_requirements() {
    let (text, findings) = (text(FILE), |text: &str| findings_by(text, NETWORKED));
    each_line_counts(&text, &FREE, findings);
    each_change_counts(&text, &CHANGES, findings);
}

#[test]
fn the_compose_file_with_a_unix_socket_meets_its_requirements() {
    let (text, findings) = (text(UNIX), |text: &str| findings_by(text, SOCKET));
    each_line_counts(&text, &FREE, findings);
    each_change_counts(&text, &UNIX_CHANGES, findings);
}

#[test]
fn the_compose_files_are_valid_by_their_schema() {
    let check = |path: &str| {
        run(tool("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec", path]))
    };
    for file in [FILE, UNIX, "examples/semantic-cache/compose.yaml"] {
        let is = check(file);
        assert!(is.status.success(), "{}", said(&is));
    }

    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("compose.yaml");
    std::fs::write(&wrong, text(FILE).replace("read_only:", "readonly:")).unwrap();
    assert!(!check(wrong.to_str().unwrap()).status.success(), "the schema accepts a wrong file");
}

#[test]
fn secrets_are_not_committed() {
    let ignored = "/config/compose/secrets";
    assert!(text(".gitignore").lines().any(|line| line == ignored), "git would take {ignored}");
}
