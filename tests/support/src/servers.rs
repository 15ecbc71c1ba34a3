//! The servers that a test can run against: Redis 7.0 from the PATH, and those that
//! `scripts/servers.sh` installs. A server's name stays while its patch version changes.

use std::path::PathBuf;

use super::{note, root};

/// Redis 7.0, which Debian 12 has.
pub const REDIS_7_0: &str = "redis-7.0";

/// Redis 7.4 with the modules search, JSON, time series and Bloom.
pub const STACK_7_4: &str = "stack-7.4";

/// All servers without modules, oldest first.
pub const ALL: [&str; 5] = [REDIS_7_0, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"];

/// All servers, with the one that has modules.
pub const WITH_MODULES: [&str; 6] =
    [REDIS_7_0, STACK_7_4, "redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"];

/// Servers that differ most from each other, for tests that take long.
pub const MAIN: [&str; 3] = [REDIS_7_0, "redis-8.0", "valkey-9.1"];

/// The servers that `make test-servers` runs the suites on.
pub const TESTED: [&str; 5] = [REDIS_7_0, "redis-8.0", "valkey-8.1", "valkey-9.1", STACK_7_4];

/// Returns a server's name as its makers write it, such as `Valkey 9.1`.
pub fn title(server: &str) -> String {
    match server.split_once('-') {
        Some(("stack", version)) => {
            format!("Redis {version} with the modules search, JSON, time series and Bloom")
        }
        Some((name, version)) => format!("{}{} {version}", name[..1].to_uppercase(), &name[1..]),
        None => server.to_owned(),
    }
}

/// Servers that check every payload of `RESTORE`, whatever their configuration and the user's rights are.
pub const CHECKS_PAYLOADS: [&str; 1] = ["valkey-9.1"];

/// Returns how often `reply` says that the ACL refused a command that a script called: in the words of
/// Redis 7.0, or of the others.
pub fn refusals(reply: &str) -> usize {
    let texts = ["can't run this command", "ACL failure in script: User "];
    texts.iter().map(|text| reply.matches(text).count()).sum()
}

/// Returns the server under test: `REDOUBT_TEST_SERVER`, one of these names, or Redis 7.0.
pub fn tested() -> &'static str {
    chosen().unwrap_or(REDIS_7_0)
}

/// Returns the server that `REDOUBT_TEST_SERVER` names.
fn chosen() -> Option<&'static str> {
    let name = std::env::var("REDOUBT_TEST_SERVER").ok().filter(|name| !name.is_empty())?;
    let mut known = ALL.into_iter().chain([STACK_7_4]);
    let known = known.find(|known| *known == name);
    Some(known.unwrap_or_else(|| {
        panic!("REDOUBT_TEST_SERVER is {name}, not one of {ALL:?}, {STACK_7_4}")
    }))
}

/// Returns the program that starts `server`. Panics with the command that installs it if it is missing.
pub fn program(server: &str) -> PathBuf {
    if server == REDIS_7_0 {
        return "redis-server".into();
    }
    let program = installed(server).join("bin/server");
    assert!(program.exists(), "{server} is missing: scripts/servers.sh {server}");
    program
}

/// Returns the options of the command line that `server` needs: its modules.
pub fn options(server: &str) -> Vec<String> {
    let modules = modules(server).into_iter();
    modules.flat_map(|module| ["--loadmodule".into(), module.display().to_string()]).collect()
}

/// Returns the modules that `server` loads.
pub fn modules(server: &str) -> Vec<PathBuf> {
    if server != STACK_7_4 {
        return Vec::new();
    }
    let lib = installed(server).join("lib");
    let file = |module: &str| lib.join(format!("{module}.so"));
    ["redisearch", "rejson", "redistimeseries", "redisbloom"].map(file).into()
}

fn installed(server: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("servers").join(server)
}

/// Does what [`on_each`] does, but if `REDOUBT_TEST_SERVER` names a server, with that server, whether it
/// is one of `servers` or not. For tests that any server must pass and that would take long on all.
pub fn on_each_or_chosen(servers: &[&'static str], body: impl Fn(&'static str)) {
    match chosen() {
        Some(server) => on_each(&[server], body),
        None => on_each(servers, body),
    }
}

/// Runs `body` with the name of each of `servers`, for [`super::redis::Setup::server`]; if
/// `REDOUBT_TEST_SERVER` names a server, only with that server, and not at all if it is none of
/// `servers`. If the test fails, its output ends with the name of the server.
pub fn on_each(servers: &[&'static str], body: impl Fn(&'static str)) {
    let chosen = chosen();
    for server in servers.iter().filter(|server| chosen.is_none_or(|chosen| chosen == **server)) {
        note(&format!("on {server}:"));
        body(server);
    }
}
