//! Failovers by Sentinels.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};

use support::servers::on_each;
use support::{Redoubt, Wire, signal};

use crate::group::{Group, NAME};

/// How the primary is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Command,
    Killed,
    Stopped,
}

/// Returns sessions with nothing due, some of which have done something before.
fn idle(redoubt: &Redoubt) -> Vec<Wire> {
    (0..20)
        .map(|number| {
            let mut wire = redoubt.session();
            if number % 2 == 0 {
                assert_eq!(wire.command(&["SET", &format!("k:{number}"), "before"]), b"+OK\r\n");
            }
            wire
        })
        .collect()
}

/// Waits until links go to the server at `index`.
fn wait_until_it_goes_to(redoubt: &Redoubt, group: &Group, index: usize) {
    let shown = group.servers[index].address();
    let found = format!("\"message\":\"the primary is here\",\"node\":\"{shown}\"");
    let log = redoubt.log();
    assert!(log.wait(|line| line.contains(&found)).is_some(), "{:?}", log.all());
}

fn loses(loss: Loss) {
    on_each(&support::servers::MAIN, |server| {
        let mut group = Group::with_sentinels(server);
        let redoubt = group.behind_sentinels().set_text("upstream.failover_timeout", "60s").start();
        redoubt.wait_until_it_serves();
        let mut sessions = idle(&redoubt);
        let before = group.named().expect("a primary");
        assert_eq!(sessions[0].command(&["WAIT", "2", "0"]).first(), Some(&b':'));
        match loss {
            Loss::Command => group.sentinels[0].fail_over(),
            Loss::Killed => group.servers[before].kill(),
            Loss::Stopped => signal(group.servers[before].pid(), "STOP"),
        }
        let after = group.wait_for_another(before);
        // What is sent until Redoubt has seen that too is owed by the former primary.
        wait_until_it_goes_to(&redoubt, &group, after);
        for (number, wire) in sessions.iter_mut().enumerate() {
            let key = format!("k:{number}");
            assert_eq!(wire.command(&["SET", &key, "after"]), b"+OK\r\n", "{loss:?}");
        }
        let count = group.servers[after].direct().command(&["DBSIZE"]);
        assert_eq!(count, b":20\r\n", "all writes are at the new primary");
        if loss == Loss::Stopped {
            signal(group.servers[before].pid(), "CONT");
        }
    });
}

#[test]
fn sessions_with_nothing_due_survive_a_failover_by_command() {
    loses(Loss::Command);
}

#[test]
fn sessions_with_nothing_due_survive_the_death_of_the_primary() {
    loses(Loss::Killed);
}

#[test]
fn sessions_with_nothing_due_survive_a_primary_that_hangs() {
    loses(Loss::Stopped);
}

#[test]
fn sessions_whose_state_the_server_held_are_closed_and_never_silently_without_it() {
    let group = Group::with_sentinels(support::servers::REDIS_7_0);
    let redoubt = group.behind_sentinels().set_text("upstream.failover_timeout", "60s").start();
    redoubt.wait_until_it_serves();
    let mut stateful: Vec<_> = [
        &["WATCH", "k"][..],
        &["MULTI"],
        &["SUBSCRIBE", "news"],
        &["CLIENT", "TRACKING", "ON", "BCAST"],
    ]
    .iter()
    .map(|command| {
        let mut wire = redoubt.session();
        if command[0] == "CLIENT" {
            wire.offer(&support::frame::request(&["HELLO", "3"]));
        }
        wire.offer(&support::frame::request(command));
        wire
    })
    .collect();
    let mut blocked = redoubt.session();
    blocked.offer(&support::frame::request(&["BLPOP", "none", "0"]));
    stateful.push(blocked);
    let mut settled = redoubt.session();
    assert_eq!(settled.command(&["SET", "k", "1"]), b"+OK\r\n");
    let before = group.named().expect("a primary");
    group.sentinels[0].fail_over();
    let after = group.wait_for_another(before);
    wait_until_it_goes_to(&redoubt, &group, after);
    assert_eq!(settled.command(&["SET", "k", "2"]), b"+OK\r\n");
    for mut wire in stateful {
        // This fails if it stays open.
        wire.read_to_close();
    }
}

#[test]
fn a_former_primary_that_comes_back_as_one_gets_no_writes() {
    let mut group = Group::with_sentinels(support::servers::REDIS_7_0);
    let redoubt = group.behind_sentinels().set_text("upstream.failover_timeout", "60s").start();
    redoubt.wait_until_it_serves();
    let mut session = redoubt.session();
    let before = group.named().expect("a primary");
    group.servers[before].kill();
    let after = group.wait_for_another(before);
    wait_until_it_goes_to(&redoubt, &group, after);
    assert_eq!(session.command(&["SET", "k", "after"]), b"+OK\r\n");
    // Its configuration says that it is a primary, until the Sentinels make it a replica.
    group.servers[before].restart();
    for number in 0..200 {
        let mut other = redoubt.session();
        assert_eq!(other.command(&["SET", &format!("n:{number}"), "x"]), b"+OK\r\n");
    }
    let count = group.servers[after].direct().command(&["DBSIZE"]);
    assert_eq!(count, b":201\r\n");
}

#[test]
fn any_sentinel_may_be_gone_and_others_are_learned() {
    let mut group = Group::with_sentinels(support::servers::REDIS_7_0);
    let port = group.sentinels[0].port;
    let url = format!("redis-sentinel://127.0.0.1:{port}/{NAME}");
    let redoubt = group
        .behind_sentinels()
        .set_text("upstream.url", &url)
        .set_text("upstream.failover_timeout", "60s")
        .start();
    redoubt.wait_until_it_serves();
    let learned = |line: &str| line.contains("the Sentinels name another Sentinel");
    assert!(redoubt.log().wait(learned).is_some());
    group.sentinels[0].kill();
    let mut session = redoubt.session();
    let before = group.named().expect("a primary");
    group.sentinels[1].fail_over();
    let after = group.wait_for_another(before);
    wait_until_it_goes_to(&redoubt, &group, after);
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    // Without any Sentinel, it goes on with the primary that it has.
    group.sentinels.iter_mut().for_each(super::group::Sentinel::kill);
    assert_eq!(session.command(&["SET", "k", "v"]), b"+OK\r\n");
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
}

/// A Sentinel that answers every question about the primary with this port; or never, if it is 0.
fn false_sentinel(named: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..len]).to_uppercase();
                    if named == 0 {
                        continue;
                    }
                    let host = "$9\r\n127.0.0.1\r\n";
                    let named = named.to_string();
                    let name = format!("*2\r\n{host}${}\r\n{named}\r\n", named.len());
                    for (word, reply) in [
                        ("AUTH", "+OK\r\n"),
                        ("PING", "+PONG\r\n"),
                        ("HELLO", "*0\r\n"),
                        ("GET-MASTER-ADDR-BY-NAME", &name),
                        ("SENTINELS", "*0\r\n"),
                        ("SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"),
                    ] {
                        if text.contains(&format!("\r\n{word}\r\n")) {
                            drop(stream.write_all(reply.as_bytes()));
                        }
                    }
                }
            });
        }
    });
    port
}

#[test]
fn sentinels_that_lie_or_hang_are_outvoted() {
    let group = Group::with_sentinels(support::servers::REDIS_7_0);
    let liar = false_sentinel(group.servers[1].port());
    let silent = false_sentinel(0);
    let [one, two] = [&group.sentinels[0], &group.sentinels[1]].map(|sentinel| sentinel.port);
    let url = format!(
        "redis-sentinel://127.0.0.1:{liar},127.0.0.1:{silent},127.0.0.1:{one},127.0.0.1:{two}/{NAME}"
    );
    let redoubt = group.behind_sentinels().set_text("upstream.url", &url).start();
    redoubt.wait_until_it_serves();
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
}

#[test]
fn a_sentinel_that_names_no_primary_is_refused_and_the_log_says_so() {
    let group = Group::start(support::servers::REDIS_7_0, 1);
    let gone = support::redis::free_port();
    for (named, said) in [
        (group.servers[1].port(), "which is a replica"),
        (gone, "cannot connect to"),
        (0, "no Sentinel answers"),
    ] {
        let port = false_sentinel(named);
        let redoubt = Redoubt::setup_for(0, &group.password)
            .set_text("upstream.url", &format!("redis-sentinel://127.0.0.1:{port}/{NAME}"))
            .set_text("upstream.failover_timeout", "0s")
            .start();
        let is_said = |line: &str| line.contains("\"no primary\"") && line.contains(said);
        assert!(redoubt.log().wait(is_said).is_some(), "{said}");
        let (status, _, body) = support::http::http_get(redoubt.admin(), "/readyz");
        assert_eq!(status, 503);
        assert!(body.contains("upstream: no primary"), "{body}");
        let mut wire = redoubt.connect();
        wire.offer(&support::frame::request(&["AUTH", redoubt.password()]));
        wire.offer(&support::frame::request(&["SET", "k", "v"]));
        wire.read_to_close();
        for server in &group.servers {
            assert_eq!(server.direct().command(&["EXISTS", "k"]), b":0\r\n");
        }
    }
}

#[test]
fn redoubt_waits_for_sentinels_that_start_later() {
    let mut group = Group::with_sentinels(support::servers::REDIS_7_0);
    group.sentinels.iter_mut().for_each(super::group::Sentinel::kill);
    let redoubt = group.behind_sentinels().start();
    assert!(redoubt.log().wait(|line| line.contains("no Sentinel answers")).is_some());
    group.sentinels.iter_mut().for_each(super::group::Sentinel::restart);
    redoubt.wait_until_it_serves();
    assert_eq!(redoubt.session().command(&["SET", "k", "v"]), b"+OK\r\n");
}
