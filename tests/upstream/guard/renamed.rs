//! Commands that the operator has renamed.

use super::{KEPT, keep, logged};
use support::redoubt::Setup;
use support::servers::{MAIN, on_each};
use support::{Deadline, Redis, Redoubt, shown};

const PASSWORD: &str = "app-password-app-password-app-password";

/// Starts a server that has `FLUSHALL` as `zzflush`, no `CONFIG`, and a user `app` with these rights.
fn server(name: &'static str, rights: &str) -> Redis {
    let redis = Redis::setup()
        .server(name)
        .config("rename-command FLUSHALL zzflush")
        .config("rename-command CONFIG \"\"")
        .config(&format!("user app on >{PASSWORD} ~* &* {rights}"))
        .start();
    keep(&redis);
    redis
}

fn setup(redis: &Redis, guard: &str) -> Setup {
    Redoubt::setup_for(redis, PASSWORD)
        .set_text("upstream.user", "app")
        .set_text("policy.guard", guard)
}

/// Tries `zzflush` by itself, in a transaction and in a script; nothing may change.
fn is_refused(redis: &Redis, redoubt: &Redoubt) {
    redoubt.wait_until_it_knows_its_server();
    let mut wire = redoubt.session();
    for request in [
        &["zzflush"][..],
        &["ZZFLUSH", "ASYNC"],
        &["EVAL", "return redis.call('zzflush')", "0"],
        &["MULTI"],
        &["zzflush"],
        &["EXEC"],
    ] {
        let reply = wire.command(request);
        assert!(reply.starts_with(b"-") || request == ["MULTI"], "{request:?}: {}", shown(&reply));
    }
    assert_eq!(redis.direct().command(&["GET", "app:kept"]), KEPT);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn in_audit_mode_renamed_commands_are_refused_like_unknown_ones() {
    on_each(&MAIN, |name| {
        for rights in ["+@all", "+@all -@dangerous +acl +zzflush", "+@all -command"] {
            let redis = server(name, &rights.replace("zzflush", "flushall"));
            let redoubt = setup(&redis, "audit").start();
            is_refused(&redis, &redoubt);
            let line = logged(&redoubt, 0, "no guard");
            assert!(line.contains("another name"), "{rights}: {line}");
            let unknown = redoubt.session().command(&["zz.module", "key"]);
            assert_eq!(
                shown(&unknown),
                "-ERR unknown command \\'zz.module\\', with args beginning with: \\'key\\' \\r\\n"
            );
            assert_eq!(redoubt.session().command(&["GET", "app:kept"]), KEPT);
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn in_audit_mode_a_user_without_the_renamed_command_keeps_scripts_and_modules() {
    on_each(&MAIN, |name| {
        // This is the log's advice for this server.
        let open = server(name, "+@all");
        let line = logged(&setup(&open, "audit").start(), 0, "no guard");
        let advice = super::lines::field(&line, "advice").expect("advice").to_owned();
        let (_, words) = advice.split_once(" -").expect("rules");
        let taken: Vec<_> = words.split(' ').map(|word| word.trim_start_matches('-')).collect();
        assert!(taken.contains(&"flushall"), "{advice}");
        let rights = taken.iter().fold("+@all".to_owned(), |rights, rule| match *rule {
            // The user may read its own rights.
            "acl" => format!("{rights} -acl +acl|list +acl|whoami"),
            rule => format!("{rights} -{rule}"),
        });
        let redis = server(name, &rights);
        let redoubt = setup(&redis, "audit").start();
        logged(&redoubt, 0, "audited");
        is_refused(&redis, &redoubt);
        let script = ["EVAL", "return redis.call('GET', 'app:kept')", "0"];
        let runs = Deadline::standard().poll(|| redoubt.session().command(&script) == KEPT);
        assert!(runs, "scripts do not run");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_guard_refuses_a_renamed_command_by_its_original_name() {
    on_each(&MAIN, |name| {
        let redis = server(name, "+@all");
        for guard in ["require", "auto"] {
            let redoubt = setup(&redis, guard).start();
            is_refused(&redis, &redoubt);
        }
    });
}
