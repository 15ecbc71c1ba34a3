//! What an identity's program does becomes its rule: it is observed, `redoubt learn` proposes, the proposal is
//! enforced, the same work passes, and nothing else does.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use support::redoubt::Setup;
use support::{Redis, Redoubt, Wire, secret};

use super::{converse_with, python};

/// An identity whose rule is learned, and how it is configured.
pub(super) struct Identity {
    name: &'static str,
    password: String,
    /// The keys of its section that change: in TOML's form.
    keys: Vec<(&'static str, String)>,
    dir: TempDir,
}

impl Identity {
    /// Returns an identity that may do everything, and is observed.
    pub(super) fn observed(name: &'static str) -> Self {
        let keys = vec![
            ("acl", r#"["~*", "&*", "+@all"]"#.to_owned()),
            ("mode", r#""observe""#.to_owned()),
        ];
        Self { name, password: secret(), keys, dir: tempfile::tempdir().expect("a directory") }
    }

    fn key(&self, key: &str) -> String {
        format!("identities.{}.{key}", self.name)
    }

    fn state_file(&self) -> PathBuf {
        self.dir.path().join("learned")
    }

    /// Adds the identity to a configuration.
    pub(super) fn set(&self, setup: Setup) -> Setup {
        let setup = setup
            .set_text("learn.file", self.state_file().to_str().expect("a path"))
            .set_text(&self.key("password"), &self.password);
        self.keys.iter().fold(setup, |setup, (key, value)| setup.set(&self.key(key), value))
    }

    /// Returns the URL with which its program logs in.
    pub(super) fn url(&self, redoubt: &Redoubt) -> String {
        format!("redis://{}:{}@{}/", self.name, self.password, redoubt.address())
    }

    /// Opens a session of the identity.
    pub(super) fn session(&self, redoubt: &Redoubt) -> Wire {
        let mut session = redoubt.connect();
        assert_eq!(session.command(&["AUTH", self.name, &self.password]), b"+OK\r\n");
        session
    }

    /// Has `redoubt learn` propose a rule, and puts it into force by a reload. Returns the rule's words.
    pub(super) fn enforce_what_is_learned(&mut self, redoubt: &mut Redoubt) -> Vec<String> {
        let learned = self.learn(redoubt);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let acl: Vec<_> = learned["acl"].as_array().expect("a rule").iter().map(text).collect();
        let check = &learned["check"];
        for problem in ["refused", "unknown"] {
            assert_eq!(check[problem].as_array().map(Vec::len), Some(0), "{learned:#}");
        }
        let databases = learned["databases"].as_array().expect("a list").iter();
        let databases: Vec<_> = databases.map(|one| one["number"].as_u64()).collect();
        let databases: Vec<_> = databases.into_iter().map(|one| one.expect("a number")).collect();
        self.keys = vec![
            ("acl", format!("{acl:?}")),
            ("databases", format!("{databases:?}")),
            ("mode", r#""enforce""#.to_owned()),
        ];
        for (key, value) in &self.keys {
            redoubt.write(&self.key(key), Some(value));
        }
        let line = redoubt.reload();
        assert!(line.contains("configuration reloaded"), "{line}");
        acl
    }

    fn learn(&self, redoubt: &Redoubt) -> Value {
        let admin = redoubt.admin().to_string();
        let output = Command::new(support::program())
            .args(["learn", self.name, "--json", "--admin", &admin])
            .output()
            .expect("run redoubt");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Demands that the identity can do no more than its program does. `reads` is a command that the program uses, here
/// for a key that it does not, and `unused` is one that it does not use, for a key that it does.
#[track_caller]
pub(super) fn assert_least(session: &mut Wire, reads: &[&str], unused: &[&str]) {
    let mut refusal = |words: &[&str]| {
        let reply = session.command(words);
        String::from_utf8_lossy(&reply).trim_end().to_owned()
    };
    let flushed = refusal(&["FLUSHALL"]);
    assert!(flushed.starts_with("-ERR unknown command 'FLUSHALL'"), "{flushed}");
    let read = refusal(reads);
    assert!(read.starts_with("-NOPERM") && read.contains("keys"), "{read}");
    let ran = refusal(unused);
    let name = unused[0].to_lowercase();
    assert!(ran.starts_with("-NOPERM") && ran.contains(&format!("'{name}'")), "{ran}");
    // Scripts can do no more, even if the program uses some.
    let words = reads.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(",");
    let script = refusal(&["EVAL", &format!("return redis.call({words})"), "0"]);
    assert!(script.starts_with('-') && !script.starts_with("-NOSCRIPT"), "{script}");
}

/// Returns the commands, keys and channels that Redis has refused by its ACL, as `ACL LOG` shows them, and empties that
/// log.
pub(super) fn denied(redis: &Redis) -> Vec<String> {
    let mut wire = redis.direct();
    let log = String::from_utf8_lossy(&wire.command(&["ACL", "LOG"])).into_owned();
    wire.command(&["ACL", "LOG", "RESET"]);
    let log = log.replace("\r\n", " ");
    // Redoubt itself finds out by a login that its user is gone, after a restart of Redis.
    // It also finds out whether the user may run ECHO, and tries to undo a WATCH so that the connection can be kept.
    let own = |entry: &&str| {
        let own = [" reason $4 auth ", " object $4 echo ", " object $7 unwatch "];
        own.iter().any(|own| entry.contains(own))
    };
    log.split(" count ").skip(1).filter(|entry| !own(entry)).map(str::to_owned).collect()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_rule_of_a_redis_py_program_is_learned_and_enforced() {
    for protocol in ["2", "3"] {
        let mut identity = Identity::observed("app");
        let mut redis = Redis::start();
        let mut redoubt = identity.set(Redoubt::setup(&redis)).start();
        redoubt.wait_until_it_serves();
        let work = |identity: &Identity, redoubt: &Redoubt, redis: &mut Redis| {
            let mut program = python("redis_py.py");
            program.args([&identity.url(redoubt), protocol]);
            let said = converse_with(program, redis);
            assert!(said.ends_with("all is well"), "RESP{protocol}: {said}");
        };
        work(&identity, &redoubt, &mut redis);
        let acl = identity.enforce_what_is_learned(&mut redoubt);
        // The program expects a server that has neither its keys nor its scripts.
        redis.direct().command(&["FLUSHALL"]);
        redis.direct().command(&["SCRIPT", "FLUSH"]);
        denied(&redis);
        work(&identity, &redoubt, &mut redis);
        assert_eq!(denied(&redis), [""; 0], "{acl:?}");
        let mut session = identity.session(&redoubt);
        assert_least(&mut session, &["GET", "other:1"], &["LPUSHX", "py:q", "x"]);
    }
}
