//! Several identities with rights of their own, before real servers.
//!
//! | module | what it tests |
//! |---|---|
//! | `certificate` | clients whose certificate says which identity they are |
//! | `examples` | `config/identities.toml` does what its comments say |
//! | `grants` | grants open one command for one identity, and close it again |
//! | `isolation` | one identity tries to reach another's keys, channels and databases |
//! | `keyless` | what commands without keys show, as a user of Redis with the same rights sees it |
//! | `lifecycle` | starts, reloads and rules that Redis does not take |
//! | `limits` | limits on all sessions of an identity together |
//! | `many` | 200 identities |
//! | `names` | what clients are shown of users |
//! | `reload` | reloads under load, with rules that change each time |
//! | `unguarded` | what happens where Redoubt can make no guard |
//! | `verdicts` | rules of Redis's own ACL suite give the verdicts that a user of Redis gets |

mod certificate;
mod examples;
mod grants;
mod isolation;
mod keyless;
mod lifecycle;
mod limits;
mod many;
mod names;
mod reload;
mod unguarded;
mod verdicts;

use support::redoubt::Setup;
use support::{Redis, Redoubt, Wire, secret, servers};

/// The identities of a Redoubt and their passwords.
struct Identities {
    redis: Redis,
    redoubt: Redoubt,
    passwords: Vec<(String, String)>,
}

impl Identities {
    /// Starts a Redoubt before `server` with identities of these names and keys.
    fn start(server: &'static str, identities: &[(&str, &[(&str, &str)])]) -> Self {
        Self::start_with(server, identities, |setup| setup)
    }

    fn start_with(
        server: &'static str,
        identities: &[(&str, &[(&str, &str)])],
        more: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let redis = Redis::setup().server(server).start();
        let mut setup = Redoubt::setup(&redis);
        let mut passwords = Vec::new();
        for (name, keys) in identities {
            let password = secret();
            setup = setup.set_text(&format!("identities.{name}.password"), &password);
            for (key, value) in *keys {
                setup = setup.set(&format!("identities.{name}.{key}"), value);
            }
            passwords.push(((*name).to_owned(), password));
        }
        let redoubt = more(setup).start();
        redoubt.wait_until_it_knows_its_server();
        Self { redis, redoubt, passwords }
    }

    fn password(&self, name: &str) -> &str {
        let found = self.passwords.iter().find(|(known, _)| known == name);
        &found.expect("an identity").1
    }

    /// Opens a session of the identity called `name`.
    fn session(&self, name: &str) -> Wire {
        let mut wire = self.redoubt.connect();
        assert_eq!(wire.command(&["AUTH", name, self.password(name)]), b"+OK\r\n");
        wire
    }
}

fn texts(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

fn fill(redis: &Redis, commands: &[&[&str]]) {
    let mut wire = redis.direct();
    for command in commands {
        let reply = wire.command(command);
        assert!(!reply.starts_with(b"-"), "{command:?}: {}", texts(&reply));
    }
}

/// The servers that isolation is tested on.
const SERVERS: [&str; 3] = servers::MAIN;

/// Makes a user of Redis with these rules, and opens a connection of it.
fn direct_user(redis: &Redis, name: &str, rules: &[&str]) -> Wire {
    let password = secret();
    let login = format!(">{password}");
    let begin = ["ACL", "SETUSER", name, "reset", "on", &login, "resetchannels"];
    let words: Vec<&str> = begin.into_iter().chain(rules.iter().copied()).collect();
    let reply = redis.direct().command(&words);
    assert_eq!(texts(&reply), "+OK\r\n", "{name}: {rules:?}");
    let mut wire = Wire::connect(redis.address());
    assert_eq!(wire.command(&["AUTH", name, &password]), b"+OK\r\n");
    wire
}

/// Returns rules as the value of `acl`.
fn list(rules: &[&str]) -> String {
    format!("{rules:?}")
}
