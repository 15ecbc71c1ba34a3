//! The guard: Redis itself refuses what the policy refuses, in scripts and functions too.

mod gone;
mod made;
mod modes;
mod old;
mod renamed;

use support::servers::refusals;
use support::{Redis, Redoubt, Wire, frame, lines, shown};

/// The value that must survive.
const KEPT: &[u8] = b"$4\r\nkept\r\n";

/// Returns the guards that Redis has.
fn guards(redis: &Redis) -> Vec<String> {
    let users = text(&redis.direct().command(&["ACL", "USERS"]));
    users.lines().filter(|line| line.starts_with("redoubt-")).map(str::to_owned).collect()
}

/// Returns the users that Redis's connections are logged in as, without the test's own connection.
fn users(redis: &Redis) -> Vec<String> {
    let list = text(&redis.direct().command(&["CLIENT", "LIST"]));
    let lines =
        list.lines().filter(|line| line.starts_with("id=") && !line.contains("client|list"));
    let user = |line: &str| {
        line.split(' ').find_map(|field| field.strip_prefix("user=")).map(str::to_owned)
    };
    let mut users: Vec<_> = lines.filter_map(user).collect();
    users.sort();
    users.dedup();
    users
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for a line of the log with this message.
fn logged(redoubt: &Redoubt, from: usize, message: &str) -> String {
    let line = redoubt.log().wait_from(from, |line| {
        lines::field(line, "message").is_some_and(|text| text.starts_with(message))
    });
    line.unwrap_or_else(|| panic!("no {message:?} in\n{}", redoubt.log().all().join("\n")))
}

/// Sets `app:kept`, which no script may delete.
fn keep(redis: &Redis) {
    assert_eq!(redis.direct().command(&["SET", "app:kept", "kept"]), b"+OK\r\n");
}

/// Returns what the server sends inside `EXEC` for an `AUTH` with a wrong password: an error, or nothing,
/// although the length of the array counts it.
fn wrong_auth_in_exec(redis: &Redis) -> Vec<u8> {
    let mut direct = redis.direct();
    for request in [&["MULTI"][..], &["AUTH", "wrong"], &["PING"], &["EXEC"]] {
        direct.send(&frame::request(request));
    }
    direct.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
    let mut reply = direct.frame();
    assert!(reply.starts_with(b"-WRONGPASS") || reply == b"+PONG\r\n", "{}", shown(&reply));
    if reply == b"+PONG\r\n" {
        reply.clear();
    }
    reply
}

/// A library with a function that flushes everything, and a function that reads.
const LIBRARY: &str = "#!lua name=evil\n\
    redis.register_function('wipe', function() return redis.call('FLUSHALL') end)\n\
    redis.register_function{function_name='look', callback=function() return 7 end, \
    flags={'no-writes'}}";

/// Tries to flush in every way that gets round the name, over `session`, and checks that it is refused.
fn assert_flush_is_refused(redis: &Redis, session: &mut Wire) {
    let mut direct = redis.direct();
    direct.command(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
    let sha = direct.command(&["SCRIPT", "LOAD", "return redis.call('FlushDB')"]);
    let sha = text(&sha).lines().nth(1).unwrap().to_owned();
    let ways: [&[&str]; 8] = [
        &["EVAL", "return redis.call('FLUSHALL')", "0"],
        &["EVAL", "return redis.pcall('flushdb', 'async')", "0"],
        &["EVAL", "return redis.call(string.reverse('LLAHSULF'))", "0"],
        &["EVAL_RO", "return redis.call('FLUSHALL')", "0"],
        &["EVALSHA", &sha, "0"],
        &["EVALSHA_RO", &sha, "0"],
        &["FCALL", "wipe", "0"],
        &["EVAL", "redis.setresp(3); return redis.call('flushAll', 'SYNC')", "0"],
    ];
    for way in ways {
        let reply = session.command(way);
        assert!(reply.starts_with(b"-"), "{way:?}: {}", shown(&reply));
        let reply = text(&reply);
        assert!(refusals(&reply) > 0, "{way:?}: {reply}");
    }
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    assert_eq!(session.command(ways[0]), b"+QUEUED\r\n");
    assert_eq!(session.command(ways[6]), b"+QUEUED\r\n");
    let replies = text(&session.command(&["EXEC"]));
    assert_eq!(refusals(&replies), 2, "{replies}");
    assert_eq!(direct.command(&["GET", "app:kept"]), KEPT);
}
