use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::Environment;
use crate::net::load::Load;
use crate::net::upstream_error::UpstreamError;
use crate::worker::heartbeat::Heartbeat;
use crate::worker::in_force::wait_for_login;
use crate::worker::link_login::{Login, Way};
use redoubt_core::auth::Identity;
use redoubt_core::command::lookup;
use redoubt_core::policy::Scripts;
use redoubt_core::session::{ClientIds, Compat, Limits};
use redoubt_core::upstream::LoginError;
use redoubt_core::upstream::guard::Answer;

fn configured(policy: &str) -> Configured {
    let text = format!(
        "listen = \"127.0.0.1:0\"\nallow_weak_passwords = true\n\
         [upstream]\nurl = \"redis://127.0.0.1:1\"\npassword = \"x\"\n[policy]\n{policy}"
    );
    let environment = Environment::from_lookup(|_| None);
    let settings = Settings::parse("test".as_ref(), &text, &environment).unwrap();
    let upstream = &settings.upstream;
    Configured {
        identities: Arc::new([]),
        first_usage: Arc::default(),
        policy: settings.policy.compile().unwrap(),
        limits: Limits::default(),
        target: Target {
            servers: Arc::new(upstream.servers.clone()),
            node: upstream.servers.single().cloned(),
            timeout: upstream.connect_timeout,
            failover_timeout: upstream.failover_timeout,
            dead_after: upstream.dead_after,
            max_link_age: upstream.max_link_age,
            tls: None,
        },
        settings: Arc::new(settings),
    }
}

fn identities() -> Identities {
    Identity::new(None, &"correct horse".into()).into()
}

fn parts(policy: &str) -> Parts {
    let stand_in = StandIn::new(None, None, 1);
    Parts::new(
        configured(policy),
        identities(),
        LinkLogin::default(),
        true,
        stand_in,
        ClientIds::default(),
    )
}

fn provisioned(epoch: u64, way: Way) -> Finding {
    let user = Some(format!("user-of-{epoch}"));
    let credentials = Credentials { user, password: Some("secret".into()) };
    let has_renamed = way == Way::Open;
    Finding::Login {
        login: Arc::new(Login { epoch, credentials, way, identities: BTreeMap::new() }),
        has_renamed,
    }
}

/// Returns the user name that replaces the name of an `AUTH` inside a transaction.
fn stand_in_user(in_force: &InForce) -> String {
    let auth = in_force.rules.strangers().stand_in.pair(true);
    String::from_utf8_lossy(auth[0]).into_owned()
}

#[test]
fn auth_inside_a_transaction_fails_while_the_login_of_links_is_unknown() {
    let mut parts = parts("");
    let nobody = stand_in_user(&parts.compose(1));
    assert_eq!(nobody, "no such user");
    assert!(parts.compose(1).rules.strangers().guarded, "a guard is expected");
    parts.take_finding(provisioned(1, Way::Guard));
    assert_eq!(stand_in_user(&parts.compose(2)), "user-of-1");
    for finding in [Finding::Failed, Finding::Busy(Bytes::from_static(b"-BUSY"))] {
        parts.take_finding(finding);
        let now = parts.compose(3);
        assert_eq!(stand_in_user(&now), "user-of-1", "the previous finding stays in force");
        assert!(now.login.known().is_some());
    }
    parts.take_finding(Finding::Unknown);
    let now = parts.compose(4);
    assert_eq!(stand_in_user(&now), nobody);
    assert!(now.login.known().is_none() && now.login.last.is_some());
}

#[test]
fn scripts_are_refused_for_an_unguarded_login_until_another_is_known() {
    let mut parts = parts("");
    assert!(parts.compose(1).rules.strangers().scripts.are_open());
    parts.take_finding(provisioned(1, Way::Open));
    let is_withheld = |parts: &Parts| {
        let rules = Arc::clone(parts.compose(2).rules.strangers());
        rules.scripts == Scripts::Deny && rules.known_only && !rules.guarded
    };
    assert!(is_withheld(&parts));
    parts.take_finding(Finding::Unknown);
    assert!(is_withheld(&parts), "open links still have the old login");
    parts.take_finding(Finding::Revoked { guarded: true });
    assert_eq!(parts.compose(3).rules.strangers().scripts, Scripts::Deny);
    parts.take_finding(provisioned(2, Way::Guard));
    let rules = Arc::clone(parts.compose(4).rules.strangers());
    assert!(rules.scripts.are_open() && rules.guarded && !rules.known_only);
}

#[test]
fn links_with_scripts_are_closed_only_when_their_rights_change() {
    let mut parts = parts("");
    let mut generation = parts.compose(1).scripts_generation;
    let mut is_renewed = |parts: &Parts| {
        let before = generation;
        generation = parts.compose(1).scripts_generation;
        generation != before
    };
    parts.take_finding(provisioned(1, Way::Guard));
    assert!(!is_renewed(&parts), "no script has run yet");
    parts.take_finding(provisioned(2, Way::Guard));
    assert!(!is_renewed(&parts), "the guard is renewed");
    parts.take_finding(Finding::Unknown);
    parts.take_finding(Finding::Failed);
    assert!(!is_renewed(&parts));
    parts.take_finding(provisioned(3, Way::Configured));
    assert!(is_renewed(&parts));
    parts.take_finding(Finding::Revoked { guarded: true });
    assert!(is_renewed(&parts));
    let mut parts = self::parts("");
    is_renewed(&parts);
    parts.take_finding(provisioned(1, Way::Open));
    assert!(is_renewed(&parts), "queued scripts are refused now");
}

#[test]
fn restore_is_an_escape_until_the_server_is_known_to_check_payloads() {
    let mut parts = parts("");
    let restore = lookup(b"restore").unwrap();
    let passes = |parts: &Parts| parts.compose(1).rules.strangers().policy.passes(restore);
    assert!(!passes(&parts));
    assert!(!parts.take_payload_check(false), "nothing new");
    assert!(parts.take_payload_check(true) && passes(&parts));
    parts.reload(reload_to("blocked = [\"KEYS\"]"));
    assert!(passes(&parts), "a reload does not change the server");
    assert!(parts.take_payload_check(false) && !passes(&parts));
}

fn reload_to(policy: &str) -> Reload {
    let configured = configured(policy);
    Reload { configured, identities: identities(), finding: None, closes_scripts: false }
}

#[test]
fn functions_run_once_known_and_not_after_other_libraries_are_pinned() {
    let pinned =
        |library: &str| format!("scripts = \"pinned\"\npinned_libraries = [\"{library}\"]");
    let mut parts = parts(&pinned("one"));
    let known = |parts: &Parts| match &parts.compose(1).rules.strangers().scripts {
        Scripts::Pinned(pins) => pins.functions.len(),
        _ => usize::MAX,
    };
    assert_eq!(known(&parts), 0);
    let functions = || Arc::new(HashSet::from([Bytes::from_static(b"f")]));
    assert!(parts.take_functions(functions()) && !parts.take_functions(functions()));
    assert_eq!(known(&parts), 1);
    parts.reload(reload_to(&pinned("one")));
    assert_eq!(known(&parts), 1, "the same libraries");
    parts.reload(reload_to(&pinned("two")));
    assert_eq!(known(&parts), 0);
}

#[tokio::test]
async fn every_worker_gets_complete_values_in_order() {
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    let start = std::time::Instant::now();
    let (orders, mut inbox) = mpsc::channel(8);
    let worker = WorkerHandle { orders, load: Load::default(), heartbeat: Heartbeat::new(start) };
    let credentials = watch::Sender::new(Credentials::default());
    let first = FirstLogin::ToBeFound { guarded: true };
    let mut composer =
        Composer::new(configured(""), identities(), credentials, first, vec![worker]).unwrap();
    let mut version = composer.first().version;
    composer.take_server(Greeting::default()).await;
    composer.take_payload_check(true).await;
    composer.take_payload_check(true).await;
    composer.take_finding(provisioned(1, Way::Guard)).await;
    let mut next = || match inbox.try_recv() {
        Ok(Order::InForce(in_force, _)) => Some(in_force),
        _ => None,
    };
    let [checked, found] = [next().unwrap(), next().unwrap()];
    for in_force in [&checked, &found] {
        assert!(in_force.version > version);
        version = in_force.version;
    }
    assert!(checked.login.known().is_none() && found.login.known().is_some());
    assert!(
        found.rules.strangers().policy.passes(lookup(b"restore").unwrap()),
        "the earlier change"
    );
    assert!(next().is_none(), "a value without changes is not sent");
    // A worker that has stopped has no sessions, and the composer does not wait for it.
    drop(inbox);
    assert_eq!(composer.reload(reload_to("")).await, 0);
}

#[tokio::test]
async fn link_waits_until_its_login_is_known_or_cannot_be_found() {
    let mut parts = parts("");
    let in_force = watch::Sender::new(Arc::new(parts.compose(1)));
    let put = |parts: &mut Parts, finding| {
        parts.take_finding(finding);
        in_force.send_replace(Arc::new(parts.compose(2)));
    };
    let waits = |refused| {
        let login = wait_for_login(in_force.subscribe(), refused);
        tokio::spawn(timeout(Duration::from_secs(60), login))
    };
    async fn outcome(
        task: tokio::task::JoinHandle<
            Result<Result<Arc<Login>, UpstreamError>, tokio::time::error::Elapsed>,
        >,
    ) -> Result<u64, UpstreamError> {
        task.await.unwrap().expect("the link stops waiting in time").map(|login| login.epoch)
    }
    let waiting = waits(None);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    put(&mut parts, provisioned(1, Way::Guard));
    assert_eq!(outcome(waiting).await.unwrap(), 1);
    assert_eq!(outcome(waits(None)).await.unwrap(), 1);
    // Redis refused the guard of this login.
    let waiting = waits(Some(1));
    tokio::task::yield_now().await;
    put(&mut parts, Finding::Unknown);
    put(&mut parts, provisioned(2, Way::Guard));
    assert_eq!(outcome(waiting).await.unwrap(), 2);
    let waiting = waits(Some(2));
    tokio::task::yield_now().await;
    put(&mut parts, Finding::Failed);
    assert!(matches!(outcome(waiting).await, Err(UpstreamError::Guard(_))));
    assert_eq!(outcome(waits(None)).await.unwrap(), 2, "other links still use it");
    put(&mut parts, Finding::Unknown);
    let waiting = waits(None);
    tokio::task::yield_now().await;
    put(&mut parts, Finding::Busy(Bytes::from_static(b"-BUSY")));
    let busy = outcome(waiting).await;
    assert!(matches!(busy, Err(UpstreamError::Login(LoginError::NotNow(_)))));
}

#[test]
fn parameters_are_forgotten_when_nothing_needs_them() {
    let mut parts = parts("compat.config_get = true");
    let answer =
        |name| Answer::Array(vec![Answer::BulkString(name), Answer::BulkString("1".into())]);
    let answers: Vec<_> = Parameters::names().map(|name| answer(name.into())).collect();
    let known = Some(Arc::new(Parameters::of(&answers).unwrap()));
    assert!(parts.take_parameters(known.clone()) && !parts.take_parameters(known.clone()));
    let compat = |parts: &Parts| parts.compose(1).rules.strangers().compat.clone();
    assert!(compat(&parts).config_get && !compat(&parts).notify_keyspace_events);
    assert_eq!(compat(&parts).parameters, known);
    let reload = |policy| Reload {
        configured: configured(policy),
        identities: identities(),
        finding: None,
        closes_scripts: false,
    };
    parts.reload(reload("compat.notify_keyspace_events = true"));
    assert_eq!(compat(&parts).parameters, known);
    parts.reload(reload(""));
    assert_eq!(compat(&parts), Compat::default());
    parts.reload(reload("compat.config_get = true"));
    assert_eq!(compat(&parts).parameters, None, "an old value would be shown");
}
