//! The servers that a test can run against: Redis 7.0 from the PATH, and those that
//! `scripts/servers.sh` installs. A server's name stays while its patch version changes.

use std::path::PathBuf;

use super::{note, root};

/// The default server: redis-server from the PATH.
pub const REDIS_7_0: &str = "redis-7.0";

/// All servers without modules, oldest first.
pub const ALL: [&str; 5] = [REDIS_7_0, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"];

/// Servers that differ most from each other, for tests that take long.
pub const MAIN: [&str; 3] = [REDIS_7_0, "redis-8.0", "valkey-9.1"];

/// Returns the program that starts `server`. Panics with the command that installs it if it is missing.
pub fn program(server: &str) -> PathBuf {
    if server == REDIS_7_0 {
        return std::env::var_os("REDOUBT_TEST_SERVER").unwrap_or("redis-server".into()).into();
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("servers").join(server).join("bin/server");
    assert!(program.exists(), "{server} is missing: scripts/servers.sh {server}");
    program
}

/// Runs `body` with the name of each of `servers`, for [`super::redis::Setup::server`]. If the test
/// fails, its output ends with the name of the server.
pub fn on_each(servers: &[&'static str], body: impl Fn(&'static str)) {
    for server in servers {
        note(&format!("on {server}:"));
        body(server);
    }
}
