//! The operator can change the functions of pinned libraries at run time.

use super::*;
use support::lines;

fn pinning(redis: &Redis) -> support::redoubt::Setup {
    Redoubt::setup(redis)
        .set_text("policy.scripts", "pinned")
        .set("policy.pinned_libraries", "[\"kept\"]")
}

#[test]
fn functions_of_pinned_libraries_loaded_later_run() {
    let redis = Redis::start();
    let redoubt = pinning(&redis).start();
    let mut wire = redoubt.session();
    assert_refused(&mut wire, &["FCALL", "kept_seven", "0"]);
    redis.direct().command(&["FUNCTION", "LOAD", KEPT]);
    wait_for_function(&mut wire, "kept_seven");
}

#[test]
fn functions_lost_by_a_redis_restart_do_not_run() {
    let mut redis = Redis::start();
    redis.direct().command(&["FUNCTION", "LOAD", KEPT]);
    let redoubt = pinning(&redis).set("workers", 2).start();
    for mut wire in [redoubt.session(), redoubt.session()] {
        wait_for_function(&mut wire, "kept_seven");
    }
    redis.kill();
    redis.restart();
    // Another library, which is not pinned, has a function of the same name.
    let other = "#!lua name=other\nredis.register_function('kept_seven', function() return 8 end)";
    redis.direct().command(&["FUNCTION", "LOAD", other]);
    let words = ["FCALL", "kept_seven", "0"];
    for mut wire in [redoubt.session(), redoubt.session()] {
        let refused = Deadline::standard().poll(|| wire.command(&words) == refusal(&words));
        assert!(refused, "a function that is not the pinned library's runs");
    }
}

#[test]
fn without_pinned_libraries_no_function_runs() {
    let redis = Redis::start();
    redis.direct().command(&["FUNCTION", "LOAD", KEPT]);
    let redoubt = Redoubt::setup(&redis).set_text("policy.scripts", "pinned").start();
    assert_refused(&mut redoubt.session(), &["FCALL", "kept_seven", "0"]);
}

#[test]
fn no_pinned_function_runs_if_redis_refuses_function_list() {
    let redis = Redis::start();
    let mut direct = redis.direct();
    direct.command(&["FUNCTION", "LOAD", KEPT]);
    let password = support::secret();
    let secret = format!(">{password}");
    let user = ["ACL", "SETUSER", "proxy", "on", &secret, "~*", "&*", "+@all", "-function|list"];
    assert_eq!(direct.command(&user), b"+OK\r\n");
    let redoubt = Redoubt::setup_for(&redis, &password)
        .set_text("upstream.user", "proxy")
        .set_text("policy.scripts", "pinned")
        .set("policy.pinned_libraries", "[\"kept\"]")
        .start();
    let said = |line: &str| {
        let message = lines::field(line, "message");
        message.is_some_and(|text| text.starts_with("functions of pinned libraries are unknown"))
    };
    redoubt.log().wait(said).expect("a warning");
    assert_refused(&mut redoubt.session(), &["FCALL", "kept_seven", "0"]);
}
