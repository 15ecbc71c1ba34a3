//! Redis runs and cannot do what a client asks. Clients get Redis's own errors.

use crate::{GET_ERRORS, SET_ERRORS, lines_with, says};
use support::{Redis, Redoubt, Wire};

const LOADING: &[u8] = b"-LOADING Redis is loading the dataset in memory\r\n";

/// Starts a Redis that needs some seconds to load its data.
fn loading() -> Redis {
    let mut redis = Redis::start();
    let fill = "for i = 1, 20000 do redis.call('SET', 'key:' .. i, 'value') end";
    assert_eq!(redis.direct().command(&["EVAL", fill, "0"]), b"$-1\r\n");
    let library = "#!lua name=kept\nredis.register_function('seven', function() return 7 end)";
    assert_eq!(redis.direct().command(&["FUNCTION", "LOAD", library]), b"$4\r\nkept\r\n");
    assert_eq!(redis.direct().command(&["SAVE"]), b"+OK\r\n");
    redis.kill();
    redis.configure("key-load-delay 300");
    redis.configure("loading-process-events-interval-bytes 1024");
    redis.restart_until("Loading RDB");
    redis
}

fn is_loading(redis: &mut Wire) -> bool {
    let info = redis.command(&["INFO", "persistence"]);
    String::from_utf8_lossy(&info).contains("\r\nloading:1\r\n")
}

fn loading_is_shown(guard: &str) {
    let redis = loading();
    let mut direct = redis.direct();
    let redoubt = Redoubt::setup(&redis)
        .set_text("policy.guard", guard)
        .set_text("policy.scripts", "pinned")
        .set("policy.pinned_libraries", "[\"kept\"]")
        .start();
    let mut session = redoubt.session();
    let replies = [
        session.command(&["GET", "key:1"]),
        session.command(&["BLPOP", "nothing", "0"]),
        session.command(&["PING"]),
    ];
    assert!(is_loading(&mut direct), "loading ended before the test began");
    for reply in replies {
        assert_eq!(reply, LOADING);
    }
    redoubt.wait_for_metric(GET_ERRORS, 1.0);
    redoubt.wait_until_ready();
    let ready = support::Deadline::standard()
        .poll(|| session.command(&["GET", "key:1"]) == b"$5\r\nvalue\r\n");
    assert!(ready, "the session sees the data when it is there");
    redoubt.wait_until_it_serves();
    if guard != "audit" && !support::target_is_redis() {
        // The functions could not be listed before, and Redoubt asked again without a log line.
        says(&redoubt, "functions of pinned libraries");
        let runs = || session.command(&["FCALL", "seven", "0"]) == b":7\r\n";
        assert!(support::Deadline::standard().poll(runs));
        assert_eq!(lines_with(&redoubt, "functions of pinned libraries"), 1);
    }
    assert_eq!(lines_with(&redoubt, "\"ERROR\""), 0);
}

#[test]
fn clients_get_the_loading_error_of_redis() {
    loading_is_shown("off");
}

#[test]
fn a_guard_is_provisioned_while_redis_loads_its_data() {
    loading_is_shown("require");
}

#[test]
fn a_user_is_checked_while_redis_loads_its_data() {
    loading_is_shown("audit");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_get_the_oom_error_of_redis_in_transactions_and_scripts_too() {
    const OOM: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    let mut direct = redoubt.stand_in().map_or_else(|| redis.direct(), Redis::direct);
    assert_eq!(direct.command(&["CONFIG", "SET", "maxmemory", "1"]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "k", "w"]), OOM);
    assert_eq!(session.command(&["GET", "k"]), b"$1\r\nv\r\n");
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "k", "w"]), OOM);
    assert_eq!(
        session.command(&["EXEC"]),
        b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    );
    let script = session.command(&["EVAL", "return redis.call('SET', 'k', 'w')", "0"]);
    assert!(script.starts_with(b"-OOM "), "{}", support::shown(&script));
    redoubt.wait_for_metric(SET_ERRORS, 2.0);
    redoubt.wait_until_ready();
    assert_eq!(direct.command(&["CONFIG", "SET", "maxmemory", "0"]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "k", "w"]), b"+OK\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_replica_rejects_writes_itself_and_accepts_a_guard() {
    // Otherwise Redis waits for further replicas.
    let redis = Redis::setup().config("repl-diskless-sync-delay 0").start();
    let port = redis.port().to_string();
    let mut replica = Redis::start();
    replica.kill();
    replica.configure(&format!("replicaof 127.0.0.1 {port}"));
    replica.configure(&format!("masterauth {}", redis.password()));
    replica.restart();
    assert_eq!(redis.direct().command(&["SET", "k", "v"]), b"+OK\r\n");
    let redoubt = Redoubt::setup(&replica).set_text("policy.guard", "require").start();
    let mut session = redoubt.session();
    assert_eq!(
        session.command(&["SET", "k", "w"]),
        b"-READONLY You can't write against a read only replica.\r\n"
    );
    let synced =
        support::Deadline::standard().poll(|| session.command(&["GET", "k"]) == b"$1\r\nv\r\n");
    assert!(synced, "reads work");
    redoubt.wait_for_metric(SET_ERRORS, 1.0);
    redoubt.wait_until_ready();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_redis_that_cannot_save_rejects_writes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = Redis::start();
    redis.kill();
    redis.configure(&format!("dir {}", folder.path().display()));
    redis.configure("save 3600 1");
    redis.configure("dbfilename taken.rdb");
    redis.restart();
    // A directory has the name of the file, so that Redis cannot write it.
    std::fs::create_dir(folder.path().join("taken.rdb")).unwrap();
    let mut direct = redis.direct();
    direct.command(&["BGSAVE"]);
    let failed = support::Deadline::standard().poll(|| {
        let info = direct.command(&["INFO", "persistence"]);
        String::from_utf8_lossy(&info).contains("rdb_last_bgsave_status:err")
    });
    assert!(failed, "the file was saved");
    let redoubt = Redoubt::setup(&redis).set_text("policy.guard", "require").start();
    let mut session = redoubt.session();
    let wanted = direct.command(&["SET", "k", "v"]);
    assert!(wanted.starts_with(b"-MISCONF "), "{}", support::shown(&wanted));
    assert_eq!(session.command(&["SET", "k", "v"]), wanted);
    assert_eq!(session.command(&["GET", "k"]), b"$-1\r\n");
    redoubt.wait_for_metric(SET_ERRORS, 1.0);
    redoubt.wait_until_ready();
    assert_eq!(direct.command(&["CONFIG", "SET", "save", ""]), b"+OK\r\n");
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
}
