//! Job queues whose rules are learned from their work, and then enforced.

use std::process::Command;

use super::super::learned::{Identity, assert_least, denied};
use super::{Outcome, Servers, node, python, run};

/// Runs the program directly, as an observed identity, and under the rule that was learned from that, and demands
/// that it gives the same each time. Returns the servers and the rule.
#[track_caller]
fn learn(command: impl Fn() -> Command) -> (Servers, Vec<String>) {
    let direct = run(command(), &mut Servers::direct());
    let mut servers = Servers::behind_redoubt(&[]);
    let password = servers.redoubt.take().expect("a Redoubt").password().to_owned();
    servers.identity = Some(Identity::observed("app"));
    servers.redoubt = Some(servers.start_redoubt(&password));
    let observed = run(command(), &mut servers);
    let demand = |outcome: &Outcome, acl: &[String]| {
        assert_eq!(outcome.steps, direct.steps, "{acl:?}");
        assert_eq!(outcome.restarts, ["redis", "redoubt"]);
        assert_eq!((&outcome.refused[..], &outcome.denied[..]), (&[][..], &[][..]), "{acl:?}");
    };
    demand(&observed, &[]);

    let redoubt = servers.redoubt.as_mut().expect("a Redoubt");
    let identity = servers.identity.as_mut().expect("an identity");
    let acl = identity.enforce_what_is_learned(redoubt);
    assert!(!acl.iter().any(|word| ["~*", "&*", "+@all"].contains(&&**word)), "{acl:?}");
    servers.redis.direct().command(&["FLUSHALL"]);
    denied(&servers.redis);
    demand(&run(command(), &mut servers), &acl);
    (servers, acl)
}

impl Servers {
    #[track_caller]
    fn assert_least(&self, reads: &[&str], unused: &[&str]) {
        let (Some(identity), Some(redoubt)) = (&self.identity, &self.redoubt) else {
            panic!("no identity");
        };
        assert_least(&mut identity.session(redoubt), reads, unused);
    }
}

#[test]
#[ignore = "needs programs of other people: `make test-programs` installs and runs them"]
fn the_rule_of_celery_is_learned_and_enforced() {
    let (servers, _) = learn(|| python("celery_queue.py"));
    servers.assert_least(&["HGET", "other:1", "f"], &["GEOADD", "unacked", "1", "1", "x"]);
}

#[test]
#[ignore = "needs programs of other people: `make test-programs` installs and runs them"]
fn the_rule_of_bullmq_is_learned_and_enforced() {
    let (servers, _) = learn(|| node("bullmq.cjs", &[]));
    servers.assert_least(&["HGETALL", "other:1"], &["LPUSHX", "bull:work:wait", "x"]);
}
