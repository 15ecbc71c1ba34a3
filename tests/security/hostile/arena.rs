//! Runs cases one after another, with a Redis and a Redoubt of the test's own.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use redoubt_core::policy::Escapes;

use super::case::{Before, Case, Holds};
use super::state::{State, executed, observe, plant};
use support::{Redis, Redoubt, Wire, frame, secret, shown};

/// How Redis is made to refuse what Redoubt refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Auto,
    Require,
    /// The configured user may run everything, so scripts are refused.
    Audit,
    /// The configured user may not run what is refused, so Redis refuses it in scripts too.
    AuditRestricted,
    /// Nothing restricts scripts.
    Off,
}

/// The rights of the operator's user in [`Mode::AuditRestricted`], as far as Redis 7.0 has the commands.
const RESTRICTED: &str = "on ~* &* +@all -flushall -flushdb -config -debug -acl -module -replicaof \
    -slaveof -failover -sync -psync -replconf -shutdown -migrate -monitor -swapdb -save -bgsave \
    -bgrewriteaof -pfdebug -pfselftest -restore -restore-asking -latency|reset -slowlog|get -slowlog|reset -cluster|addslots -cluster|addslotsrange \
    -cluster|bumpepoch -cluster|delslots -cluster|delslotsrange -cluster|failover \
    -cluster|flushslots -cluster|forget -cluster|meet -cluster|replicate -cluster|reset \
    -cluster|saveconfig -cluster|set-config-epoch -cluster|setslot -client|kill -client|pause \
    -client|unpause -function|flush -function|restore -function|delete -function|kill \
    -script|flush -script|kill -script|debug";

/// A user of Redis that clients may know, and a password that they must not be able to use.
pub(crate) const ADMIN: [&str; 2] = ["admin", "the-password-of-the-admin-of-redis"];
/// The password that Redis accepts, which clients of Redoubt must not be able to use either.
pub(crate) const UPSTREAM_PASSWORD: &str = "the-password-of-redis-which-only-redoubt-knows";

struct Arena {
    mode: Mode,
    redis: Redis,
    /// A server that does not have the refused commands, for [`Holds::SaysAsServer`].
    without_refused: OnceCell<Redis>,
    redoubt: Redoubt,
    direct: Wire,
    planted: State,
}

impl Arena {
    fn new(mode: Mode) -> Self {
        let app = secret();
        // Redis itself would run all of it.
        let redis = Redis::setup()
            .password(UPSTREAM_PASSWORD)
            .config("enable-debug-command yes")
            .config("enable-module-command yes")
            .config("enable-protected-configs yes")
            .config(&format!("user {} on >{} ~* &* +@all", ADMIN[0], ADMIN[1]))
            .config(&format!("user app >{app} {RESTRICTED}"))
            .start();
        let guard = match mode {
            Mode::Auto => "auto",
            Mode::Require => "require",
            Mode::Audit | Mode::AuditRestricted => "audit",
            Mode::Off => "off",
        };
        let mut direct = redis.direct();
        direct.set_time_limit(Duration::from_secs(10));
        for rule in Escapes::rules() {
            // It is an error if the server does not have the command.
            direct.command(&["ACL", "SETUSER", "app", &format!("-{}", rule.to_ascii_lowercase())]);
        }
        let mut redoubt = Redoubt::setup(&redis).set_text("policy.guard", guard);
        if mode == Mode::AuditRestricted {
            redoubt = redoubt.set_text("upstream.user", "app").set_text("upstream.password", &app);
        }
        let redoubt = redoubt.start();
        // Once Redoubt has answered, its guard exists.
        assert_eq!(redoubt.session().command(&["PING"]), b"+PONG\r\n");
        plant(&mut direct);
        let planted = observe(&mut direct);
        Self { mode, redis, without_refused: OnceCell::new(), redoubt, direct, planted }
    }

    /// Panics if the case's expectation does not hold.
    fn check(&mut self, case: &Case) {
        for before in &case.before {
            match before {
                Before::Operator(args) => {
                    let reply = self.direct.command(args);
                    assert!(!reply.starts_with(b"-"), "{args:?}: {}", shown(&reply));
                }
                Before::Another(said) => {
                    let mut another = self.redoubt.session();
                    another.set_time_limit(Duration::from_secs(10));
                    another.send(said);
                    another.frame();
                }
            }
        }
        let heard = self.attack(case);
        // Requests of the closed session may still be in flight; this reply shows that they have been
        // handled.
        assert_eq!(self.redoubt.session().command(&["PING"]), b"+PONG\r\n", "Redoubt is gone");
        let text = String::from_utf8_lossy(&heard);
        let now = observe(&mut self.direct);
        let changes: Vec<_> =
            now.iter().filter(|(name, value)| self.planted.get(*name) != Some(value)).collect();
        if let Holds::Reaches(command) = case.holds
            && self.mode == Mode::Off
        {
            let reached = now.contains_key(&executed(command));
            assert!(reached || self.fails_directly(case, command), "{command} is held: {text}");
            plant(&mut self.direct);
            self.planted = observe(&mut self.direct);
            return;
        }
        assert!(changes.is_empty(), "changed in Redis: {changes:?} after {}", shown(&heard));
        assert_eq!(now.len(), self.planted.len(), "a planted value is missing in {now:?}");
        match &case.holds {
            Holds::Says(parts) => {
                let mut rest = &text[..];
                for part in parts {
                    let found = rest.find(part.as_str());
                    let at = found.unwrap_or_else(|| panic!("{part:?} is missing in {text:?}"));
                    rest = &rest[at + part.len()..];
                }
            }
            Holds::SaysAsServer => {
                let redis = self.without_refused.get_or_init(|| {
                    Redis::setup().password(self.redoubt.password()).hide_refused().start()
                });
                let wire = match case.logs_in {
                    true => redis.direct(),
                    false => Wire::connect(redis.address()),
                };
                assert_eq!(shown(&heard), shown(&self.send(case, wire)), "not as the server");
            }
            Holds::NeverSays(part) => assert!(!text.contains(part), "it says {text:?}"),
            Holds::Reaches(_) | Holds::ReachesNothing if self.mode == Mode::Audit => {
                assert!(text.contains("-ERR unknown "), "scripts are not refused: {text:?}");
            }
            Holds::Reaches(_) | Holds::ReachesNothing => {
                let refused = ["'eval", "'EVAL", "'fcall", "'FCALL", "unknown subcommand"];
                let refused = refused.iter().any(|name| text.contains(name));
                assert!(!refused, "scripts do not run: {text:?}");
            }
            Holds::Nothing => {}
        }
    }

    /// A session sends the case's bytes, and the end of sending. Returns all that it receives.
    fn attack(&self, case: &Case) -> Vec<u8> {
        let wire = match case.logs_in {
            true => self.redoubt.session(),
            false => self.redoubt.connect(),
        };
        self.send(case, wire)
    }

    /// Returns true if the server itself does not run `command` where a client of its own sends the case's
    /// bytes.
    fn fails_directly(&mut self, case: &Case, command: &str) -> bool {
        self.send(case, self.redis.direct());
        !observe(&mut self.direct).contains_key(&executed(command))
    }

    fn send(&self, case: &Case, mut wire: Wire) -> Vec<u8> {
        wire.set_time_limit(Duration::from_secs(10));
        let password = self.redoubt.password().as_bytes();
        let said = replace(&case.said, b"{password}", &frame::bulk(password)[..]);
        assert!(wire.exchange(&said, case.step, case.finishes, |_| false), "it hangs");
        wire.read_to_close()
    }
}

/// Puts the bulk string of the clients' password in the place of a mark.
fn replace(said: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    match said.windows(mark.len()).position(|part| part == mark) {
        Some(at) => {
            let rest = replace(&said[at + mark.len()..], mark, with);
            [&said[..at], with, &rest[..]].concat()
        }
        None => said.to_vec(),
    }
}

/// Runs all cases and panics with those that failed. Each failure is followed by a new arena.
pub(crate) fn run(mode: Mode, cases: Vec<Case>) {
    let mut arena = Arena::new(mode);
    let mut failed = Vec::new();
    for case in &cases {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| arena.check(case))) {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("panic");
            failed.push(format!("{}: {}", case.name, text.chars().take(600).collect::<String>()));
            arena = Arena::new(mode);
        }
    }
    assert!(arena.redis.clients() > 0);
    let (wrong, all) = (failed.len(), cases.len());
    assert!(failed.is_empty(), "{wrong} of {all} cases in {mode:?}:\n{}", failed.join("\n"));
}
