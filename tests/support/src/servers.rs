//! The servers that a test can run against: Redis 7.0 from the PATH, and those that
//! `scripts/servers.sh` installs. A server's name stays while its patch version changes.

use std::path::PathBuf;

use super::{note, root};

/// The default server: redis-server from the PATH.
pub const REDIS_7_0: &str = "redis-7.0";

/// All servers without modules, oldest first.
pub const ALL: [&str; 5] = [REDIS_7_0, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"];

/// Redis 7.4 with the modules search, JSON, time series and Bloom.
pub const STACK_7_4: &str = "stack-7.4";

/// All servers, with the one that has modules.
pub const WITH_MODULES: [&str; 6] =
    [REDIS_7_0, STACK_7_4, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"];

/// Servers that differ most from each other, for tests that take long.
pub const MAIN: [&str; 3] = [REDIS_7_0, "redis-8.0", "valkey-9.1"];

/// Returns the program that starts `server`. Panics with the command that installs it if it is missing.
pub fn program(server: &str) -> PathBuf {
    if server == REDIS_7_0 {
        return std::env::var_os("REDOUBT_TEST_SERVER").unwrap_or("redis-server".into()).into();
    }
    let program = home(server).join("bin/server");
    assert!(program.exists(), "{server} is missing: scripts/servers.sh {server}");
    program
}

/// Returns the modules that `server` has to load.
pub fn modules(server: &str) -> Vec<PathBuf> {
    if server != STACK_7_4 {
        return Vec::new();
    }
    let files = std::fs::read_dir(home(server).join("lib")).expect("the folder of the modules");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "so"));
    files.sort_unstable();
    files
}

fn home(server: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("servers").join(server)
}

/// Runs `body` with the name of each of `servers`, for [`super::redis::Setup::server`]. If the test
/// fails, its output ends with the name of the server.
pub fn on_each(servers: &[&'static str], body: impl Fn(&'static str)) {
    for server in servers {
        note(&format!("on {server}:"));
        body(server);
    }
}
