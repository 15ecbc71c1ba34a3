//! Clients know each other by the numbers of their sessions, on each server, whatever links they use.

use support::{Deadline, Redis, Redoubt, Wire, frame, servers, shown};

/// Returns the number in a reply like `:7`.
fn number(reply: &[u8]) -> String {
    let text = shown(reply);
    let number = text.strip_prefix(':').and_then(|rest| rest.strip_suffix("\\r\\n"));
    number.unwrap_or_else(|| panic!("no number: {text}")).to_owned()
}

fn id(wire: &mut Wire) -> String {
    number(&wire.command(&["CLIENT", "ID"]))
}

/// Returns the number that `HELLO` shows.
fn greeted(wire: &mut Wire, protocol: &str) -> String {
    let text = shown(&wire.command(&["HELLO", protocol]));
    let (_, after) = text.split_once("id\\r\\n:").unwrap_or_else(|| panic!("no id: {text}"));
    after.split("\\r\\n").next().unwrap().to_owned()
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_client_keeps_its_number_whatever_link_it_uses() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let mut wire = redoubt.session();
        let own = id(&mut wire);
        for protocol in ["3", "2"] {
            assert_eq!(greeted(&mut wire, protocol), own, "{server}");
            assert_eq!(wire.command(&["WATCH", "k"]), b"+OK\r\n");
            assert_eq!(id(&mut wire), own, "{server}: with a lease");
            assert_eq!(greeted(&mut wire, protocol), own, "{server}: with a lease");
            assert_eq!(wire.command(&["UNWATCH"]), b"+OK\r\n");
            assert_eq!(id(&mut wire), own, "{server}");
        }
        wire.send(b"CLIENT ID\r\nWATCH k\r\nCLIENT ID\r\nUNWATCH\r\nCLIENT ID\r\n");
        wire.expect(format!(":{own}\r\n+OK\r\n:{own}\r\n+OK\r\n:{own}\r\n").as_bytes());
        assert_ne!(id(&mut redoubt.session()), own, "{server}");
        // The log calls the session by the last digits.
        assert!(own.len() == 16 && own.ends_with("0000000001"), "{own}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn asking_for_the_number_costs_no_connection() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wires: Vec<_> = (0..200).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        id(wire);
        assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n");
    }
    assert!(redis.clients() < 10, "{} connections", redis.clients());
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invalidations_go_to_a_session_that_subscribes_before_or_after() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 2).start();
        for (round, subscribes_first) in [true, false, true, false].into_iter().enumerate() {
            // Some of these pairs are served by two workers.
            let mut listener = redoubt.session();
            let mut reader = redoubt.session();
            let target = id(&mut listener);
            let subscribe = ["SUBSCRIBE", "__redis__:invalidate"];
            if subscribes_first {
                listener.command(&subscribe);
            }
            let track = ["CLIENT", "TRACKING", "ON", "REDIRECT", &target];
            assert_eq!(shown(&reader.command(&track)), shown(b"+OK\r\n"), "{server}");
            if !subscribes_first {
                assert_eq!(listener.command(&["GET", "k"]), b"$-1\r\n");
                listener.command(&subscribe);
            }
            let key = format!("key-{round}");
            assert_eq!(number(&reader.command(&["CLIENT", "GETREDIR"])), target, "{server}");
            let info = shown(&reader.command(&["CLIENT", "TRACKINGINFO"]));
            assert!(info.contains(&format!("redirect\\r\\n:{target}\\r\\n")), "{server}: {info}");
            reader.command(&["GET", &key]);
            redis.direct().command(&["SET", &key, "1"]);
            let message = format!(
                "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$5\r\n{key}\r\n"
            );
            listener.expect(message.as_bytes());
            assert_eq!(reader.command(&["CLIENT", "TRACKING", "OFF"]), b"+OK\r\n");
            assert_eq!(number(&reader.command(&["CLIENT", "GETREDIR"])), "-1", "{server}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn only_sessions_that_know_their_number_can_be_unblocked() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let (mut waiting, mut other) = (redoubt.session(), redoubt.session());
    waiting.send(b"BLPOP none 0\r\n");
    let blocked = || shown(&redis.direct().command(&["INFO", "clients"]));
    assert!(Deadline::standard().poll(|| blocked().contains("blocked_clients:1")));
    // These are all numbers that Redis has assigned.
    for id in 0..40 {
        assert_eq!(other.command(&["CLIENT", "UNBLOCK", &id.to_string()]), b":0\r\n");
    }
    assert!(blocked().contains("blocked_clients:1"));
    let mut named = redoubt.session();
    let target = id(&mut named);
    named.send(b"BLPOP none 0\r\n");
    let unblock = ["CLIENT", "UNBLOCK", &target, "ERROR"];
    assert!(Deadline::standard().poll(|| other.command(&unblock) == b":1\r\n"));
    named.expect(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    assert_eq!(other.command(&unblock), b":0\r\n");
    for wrong in [&["CLIENT", "UNBLOCK", "x"][..], &["CLIENT", "UNBLOCK", &target, "SOON"]] {
        assert_eq!(shown(&other.command(wrong)), shown(&redis.direct().command(wrong)));
    }
    redis.direct().command(&["RPUSH", "none", "1"]);
    waiting.expect(b"*2\r\n$4\r\nnone\r\n$1\r\n1\r\n");
}

/// Returns the lines of a reply to `CLIENT LIST` or `INFO`, each as its fields.
fn lines(reply: &[u8]) -> Vec<Vec<(String, String)>> {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let (head, text) = text.split_once("\r\n").unwrap();
    assert!(head.starts_with('$') || head.starts_with('='), "{head} {text}");
    let text = text.strip_prefix("txt:").unwrap_or(text).trim_end_matches("\r\n");
    let field = |field: &str| {
        let (name, value) = field.split_once('=').unwrap_or_else(|| panic!("no field: {field}"));
        (name.to_owned(), value.to_owned())
    };
    text.lines().map(|line| line.split(' ').map(field).collect()).collect()
}

fn value<'a>(line: &'a [(String, String)], field: &str) -> &'a str {
    &line.iter().find(|(name, _)| name == field).unwrap_or_else(|| panic!("no {field}")).1
}

fn values(lines: &[Vec<(String, String)>], field: &str) -> Vec<String> {
    let mut values: Vec<_> = lines.iter().map(|line| value(line, field).to_owned()).collect();
    values.sort();
    values
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_list_each_other_and_none_of_the_links() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        for guard in ["auto", "audit"] {
            let redis = Redis::setup().server(server).start();
            let setup = Redoubt::setup(&redis).set("workers", 2).set_text("policy.guard", guard);
            let redoubt = setup.start();
            redoubt.wait_until_it_knows_its_server();
            let mut direct = redis.direct();
            direct.command(&["CLIENT", "SETNAME", "direct"]);
            let (mut one, mut two) = (redoubt.session(), redoubt.session());
            one.command(&["CLIENT", "SETNAME", "one"]);
            two.command(&["HELLO", "3", "SETNAME", "two"]);
            two.command(&["SELECT", "3"]);
            two.command(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]);
            two.command(&["SUBSCRIBE", "channel"]);
            two.command(&["MULTI"]);
            let fields = |line: &[(String, String)]| -> Vec<String> {
                line.iter().map(|(name, _)| name.clone()).collect()
            };
            let own = lines(&direct.command(&["CLIENT", "INFO"])).remove(0);
            let list = lines(&one.command(&["CLIENT", "LIST"]));
            assert_eq!(values(&list, "name"), ["direct", "one", "two"], "{server}, {guard}");
            for line in &list {
                assert_eq!(fields(line), fields(&own), "{server}, {guard}");
            }
            let ids = [id(&mut one), value(&own, "id").to_owned()];
            let all = values(&list, "id");
            assert!(ids.iter().all(|id| all.contains(id)), "{server}: {ids:?} in {all:?}");
            let two = list.iter().find(|line| value(line, "name") == "two").unwrap();
            for (field, expected) in
                [("db", "3"), ("flags", "Px"), ("sub", "1"), ("resp", "3"), ("user", "default")]
            {
                assert_eq!(value(two, field), expected, "{server}: {field}");
            }
            if server != "redis-7.0" {
                assert_eq!(value(two, "lib-name"), "lib", "{server}");
            }
            let named =
                |wire: &mut Wire, words: &[&str]| values(&lines(&wire.command(words)), "name");
            let id_of_two = value(two, "id").to_owned();
            assert_eq!(named(&mut one, &["CLIENT", "LIST", "TYPE", "pubsub"]), ["two"]);
            assert_eq!(named(&mut one, &["CLIENT", "LIST", "TYPE", "NORMAL"]), ["direct", "one"]);
            assert_eq!(named(&mut one, &["CLIENT", "LIST", "TYPE", "replica"]), [""; 0]);
            assert_eq!(
                named(&mut one, &["CLIENT", "LIST", "ID", &ids[1], &id_of_two]),
                ["direct", "two"]
            );
            assert_eq!(named(&mut one, &["CLIENT", "INFO"]), ["one"]);
            for wrong in
                [&["CLIENT", "LIST", "x"][..], &["CLIENT", "LIST", "ID"], &["CLIENT", "INFO", "x"]]
            {
                assert_eq!(shown(&one.command(wrong)), shown(&direct.command(wrong)), "{server}");
            }
            // Each of several in one piece, between other requests.
            one.send(
                b"ECHO 1\r\nCLIENT LIST\r\nCLIENT INFO\r\nECHO 2\r\nCLIENT LIST\r\nECHO 3\r\n",
            );
            one.expect(b"$1\r\n1\r\n");
            assert_eq!(values(&lines(&one.frame()), "name"), ["direct", "one", "two"]);
            assert_eq!(values(&lines(&one.frame()), "name"), ["one"]);
            one.expect(b"$1\r\n2\r\n");
            assert_eq!(values(&lines(&one.frame()), "name"), ["direct", "one", "two"]);
            one.expect(b"$1\r\n3\r\n");
            assert!(one.command(&["HELLO", "3"]).starts_with(b"%"));
            let list = one.command(&["CLIENT", "LIST"]);
            assert!(list.starts_with(b"="), "{server}: {}", shown(&list));
            assert_eq!(values(&lines(&list), "name"), ["direct", "one", "two"]);
            assert_eq!(values(&lines(&one.command(&["CLIENT", "INFO"])), "name"), ["one"]);
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_worker_is_listed_at_every_moment() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut worker = redoubt.session();
    worker.command(&["CLIENT", "SETNAME", "bull:work"]);
    let mut watching = redoubt.session();
    for round in 0..50 {
        let listed = |watching: &mut Wire| {
            let list = lines(&watching.command(&["CLIENT", "LIST"]));
            let worker = list.iter().find(|line| value(line, "name") == "bull:work").cloned();
            worker.unwrap_or_else(|| panic!("round {round}: no worker in {list:?}"))
        };
        worker.send(b"BRPOP jobs 0\r\n");
        let waits = || value(&listed(&mut watching), "flags") == "b";
        assert!(Deadline::standard().poll(waits));
        watching.command(&["LPUSH", "jobs", "1"]);
        worker.expect(b"*2\r\n$4\r\njobs\r\n$1\r\n1\r\n");
        assert_eq!(value(&listed(&mut watching), "flags"), "N");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_list_shows_the_last_command_unless_it_was_plain_and_what_is_tracked() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 2).start();
        redoubt.wait_until_it_knows_its_server();
        let (mut one, mut listener) = (redoubt.session(), redoubt.session());
        one.command(&["CLIENT", "SETNAME", "one"]);
        let target = id(&mut listener);
        let mut watching = redoubt.session();
        let mut shows = |field: &str| {
            let list = lines(&watching.command(&["CLIENT", "LIST"]));
            let line = list.iter().find(|line| value(line, "name") == "one");
            value(line.unwrap_or_else(|| panic!("{server}: {list:?}")), field).to_owned()
        };
        for (words, name, flags, redirected) in [
            (&["INFO"][..], "info", "N", "-1"),
            (&["GET", "k"], "NULL", "N", "-1"),
            (&["WATCH", "k"], "watch", "N", "-1"),
            (&["NO-COMMAND"], "NULL", "N", "-1"),
            (&["CLIENT", "TRACKING", "ON", "REDIRECT", &target], "client|tracking", "t", &target),
            (&["CLIENT", "TRACKING", "ON", "BCAST"], "client|tracking", "t", &target),
            (&["CLIENT", "TRACKING", "OFF"], "client|tracking", "N", "-1"),
            (
                &["CLIENT", "TRACKING", "ON", "PREFIX", "BCAST", "BCAST"],
                "client|tracking",
                "tB",
                "0",
            ),
            (&["MULTI"], "multi", "xtB", "0"),
            (&["CLIENT", "TRACKING", "OFF"], "client|tracking", "xtB", "0"),
        ] {
            one.command(words);
            let shown = (shows("cmd"), shows("flags"), shows("redir"));
            let expected = (name.into(), flags.into(), redirected.into());
            assert_eq!(shown, expected, "{server}: {words:?}");
        }
        let mut blocked = redoubt.session();
        blocked.command(&["CLIENT", "SETNAME", "blocked"]);
        blocked.send(b"BLPOP none 0\r\n");
        let waits = || {
            let list = lines(&listener.command(&["CLIENT", "LIST"]));
            list.iter()
                .any(|line| value(line, "name") == "blocked" && value(line, "cmd") == "blpop")
        };
        assert!(Deadline::standard().poll(waits), "{server}");
        for (words, name) in
            [(["CLIENT", "LIST"], "client|list"), (["CLIENT", "INFO"], "client|info")]
        {
            let list = lines(&redoubt.session().command(&words));
            assert!(values(&list, "cmd").contains(&name.to_owned()), "{server}: {list:?}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn client_kill_ends_sessions_and_none_of_the_links() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let setup = Redoubt::setup(&redis).set("workers", 2).set_text("policy.escapes", "allow");
        let redoubt = setup.start();
        redoubt.wait_until_it_knows_its_server();
        let mut direct = redis.direct();
        let (mut asking, mut other) = (redoubt.session(), redoubt.session());
        let links = |asking: &mut Wire, other: &mut Wire| {
            for wire in [asking, other] {
                assert_eq!(wire.command(&["SET", "k", "v"]), b"+OK\r\n");
            }
        };
        links(&mut asking, &mut other);
        let address = |wire: &Wire| wire.stream().local_addr().unwrap().to_string();
        for round in 0..4 {
            let mut victim = redoubt.session();
            let (number, from) = (id(&mut victim), address(&victim));
            if round % 2 == 1 {
                victim.send(b"BLPOP none 0\r\n");
            }
            let (words, reply): (Vec<&str>, &[u8]) = match round {
                0 => (vec!["ID", &number], b":1\r\n"),
                1 => (vec![&from], b"+OK\r\n"),
                2 => (vec!["addr", &from, "TYPE", "normal", "SKIPME", "no"], b":1\r\n"),
                _ => (vec!["USER", "default", "ID", &number], b":1\r\n"),
            };
            let request = [&["CLIENT", "KILL"], &*words].concat();
            assert_eq!(shown(&asking.command(&request)), shown(reply), "{server}: {words:?}");
            assert_eq!(victim.read_to_close(), b"", "{server}: {words:?}");
            let again = shown(&asking.command(&request));
            let none = if round == 1 { "-ERR No such client\\r\\n" } else { ":0\\r\\n" };
            assert_eq!(again, none, "{server}: {words:?}");
            links(&mut asking, &mut other);
        }
        let mut listening = redoubt.session();
        listening.command(&["SUBSCRIBE", "channel"]);
        assert_eq!(asking.command(&["CLIENT", "KILL", "TYPE", "PubSub"]), b":1\r\n");
        assert_eq!(listening.read_to_close(), b"", "{server}");
        // Another client of the server's, by its own number.
        let own = id(&mut redis.direct());
        let mut victim = redis.direct();
        let number = id(&mut victim);
        assert_ne!(own, number);
        assert_eq!(asking.command(&["CLIENT", "KILL", "ID", &number]), b":1\r\n", "{server}");
        assert_eq!(victim.read_to_close(), b"", "{server}");
        for wrong in [
            &["CLIENT", "KILL"][..],
            &["CLIENT", "KILL", "ID", "x"],
            &["CLIENT", "KILL", "ID", "0"],
            &["CLIENT", "KILL", "TYPE", "x"],
            &["CLIENT", "KILL", "USER", "nobody"],
            &["CLIENT", "KILL", "SKIPME", "x"],
            &["CLIENT", "KILL", "ADDR", "1.2.3.4:5"],
            &["CLIENT", "KILL", "1.2.3.4:5"],
            &["CLIENT", "KILL", "TYPE", "replica"],
            &["CLIENT", "KILL", "FOO", "x"],
        ] {
            let replies = [asking.command(wrong), direct.command(wrong)];
            assert_eq!(shown(&replies[0]), shown(&replies[1]), "{server}: {wrong:?}");
            links(&mut asking, &mut other);
        }
        // It reads a form of newer servers as one that names nobody.
        asking.command(&["CLIENT", "KILL", "MAXAGE", "0"]);
        links(&mut asking, &mut other);
        assert_eq!(asking.command(&["CLIENT", "KILL", "SKIPME", "yes"]), b":1\r\n", "{server}");
        assert_eq!(other.read_to_close(), b"", "{server}");
        let mut other = redoubt.session();
        asking.send(b"CLIENT KILL SKIPME no\r\nSET k w\r\n");
        assert_eq!(asking.read_to_close(), b":2\r\n", "{server}");
        assert_eq!(other.read_to_close(), b"", "{server}");
        assert_eq!(direct.command(&["GET", "k"]), b"$1\r\nv\r\n", "{server}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn many_clients_that_list_each_other_at_once_are_all_answered() {
    const CLIENTS: usize = 60;
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set("workers", 2).start();
    redoubt.wait_until_it_knows_its_server();
    let mut wires: Vec<_> = (0..CLIENTS).map(|_| redoubt.session()).collect();
    for wire in &mut wires {
        wire.send(&b"CLIENT LIST\r\nECHO between\r\nCLIENT INFO\r\n".repeat(5));
    }
    // Some go before their lists have come.
    wires.truncate(CLIENTS - 10);
    for wire in &mut wires {
        for _ in 0..5 {
            let list = lines(&wire.frame());
            assert!((CLIENTS - 10..=CLIENTS).contains(&list.len()), "{} clients", list.len());
            wire.expect(b"$7\r\nbetween\r\n");
            assert_eq!(lines(&wire.frame()).len(), 1);
        }
        assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n");
    }
}

/// What StackExchange.Redis sends when it connects, over the connection for commands.
const CONNECT: [&[&str]; 12] = [
    &["CLIENT", "SETNAME", "web-1"],
    &["CLIENT", "SETINFO", "lib-name", "SE.Redis"],
    &["CLIENT", "SETINFO", "lib-ver", "2.8.0"],
    &["CLIENT", "ID"],
    &["CONFIG", "GET", "slave-read-only"],
    &["CONFIG", "GET", "databases"],
    &["SENTINEL", "MASTERS"],
    &["INFO", "replication"],
    &["INFO", "server"],
    &["CLUSTER", "NODES"],
    &["GET", "__Booksleeve_TieBreak"],
    &["ECHO", "\u{1}\u{2}\u{3}"],
];

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_thousand_clients_that_connect_as_those_of_dotnet_need_few_links() {
    const CLIENTS: usize = 1_100;
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    redoubt.wait_until_it_knows_its_server();
    let mut wires = Vec::new();
    for _ in 0..CLIENTS {
        let (mut commands, mut messages) = (redoubt.session(), redoubt.session());
        let requests = CONNECT.map(frame::request).concat();
        commands.send(&requests);
        for words in CONNECT {
            let reply = commands.frame();
            let is_refused = reply.starts_with(b"-ERR unknown command");
            let must_be = ["CONFIG", "SENTINEL"].contains(&words[0]);
            assert_eq!(is_refused, must_be, "{words:?}: {}", shown(&reply));
        }
        // Redis 7.0 does not know SETINFO, and these clients ignore that.
        let own = [CONNECT[0], CONNECT[1], CONNECT[3]].map(|words| messages.command(words));
        assert!(own[0] == b"+OK\r\n" && own[2].starts_with(b":"), "{own:?}");
        let message = messages.command(&["SUBSCRIBE", "__Booksleeve_MasterChanged"]);
        assert!(message.starts_with(b"*3\r\n$9\r\nsubscribe\r\n"), "{}", shown(&message));
        wires.push((commands, messages));
    }
    let clients = redis.clients();
    assert!((CLIENTS..CLIENTS + 20).contains(&clients), "{clients} connections");
    for (commands, _) in &mut wires {
        assert_eq!(commands.command(&["GET", "k"]), b"$-1\r\n");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn four_hundred_workers_of_a_job_queue_wait_and_are_all_woken() {
    const WORKERS: usize = 400;
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    // Each takes jobs from a list, and hears of commands to all workers and to itself.
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let mut wires = [redoubt.session(), redoubt.session(), redoubt.session()];
            wires[0].send(&frame::request(&["BRPOP", &format!("queue:{number}"), "0"]));
            let own = format!("worker:{number}");
            for (wire, channel) in wires[1..].iter_mut().zip(["workers", &own]) {
                let reply = wire.command(&["SUBSCRIBE", channel]);
                let confirmed = [
                    &b"*3\r\n$9\r\nsubscribe\r\n"[..],
                    &frame::bulk(channel.as_bytes()),
                    b":1\r\n",
                ];
                assert_eq!(shown(&reply), shown(&confirmed.concat()));
            }
            wires
        })
        .collect();
    let mut boss = redoubt.session();
    let told = format!(":{WORKERS}\r\n");
    assert_eq!(shown(&boss.command(&["PUBLISH", "workers", "all"])), shown(told.as_bytes()));
    for (number, [jobs, all, own]) in workers.iter_mut().enumerate() {
        let (queue, channel) = (format!("queue:{number}"), format!("worker:{number}"));
        assert_eq!(boss.command(&["PUBLISH", &channel, "one"]), b":1\r\n");
        assert_eq!(boss.command(&["LPUSH", &queue, "job"]), b":1\r\n");
        assert_eq!(jobs.frame(), frame::request(&[&queue, "job"]));
        assert_eq!(all.frame(), frame::request(&["message", "workers", "all"]));
        assert_eq!(own.frame(), frame::request(&["message", &channel, "one"]));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn clients_of_another_redoubt_are_listed_while_they_have_a_connection_of_their_own() {
    let redis = Redis::start();
    let (redoubt, other) = (Redoubt::start(&redis), Redoubt::start(&redis));
    let (mut waits, mut shares) = (other.session(), other.session());
    for (wire, name) in [(&mut waits, "waits"), (&mut shares, "shares")] {
        assert_eq!(wire.command(&["CLIENT", "SETNAME", name]), b"+OK\r\n");
        assert_eq!(wire.command(&["GET", "k"]), b"$-1\r\n");
    }
    waits.send(b"BRPOP jobs 0\r\n");
    let mut asks = redoubt.session();
    assert_eq!(asks.command(&["CLIENT", "SETNAME", "asks"]), b"+OK\r\n");
    if support::is_over_unix() {
        // Redoubt cannot tell another's connections from its own there.
        let blocked = || shown(&redis.direct().command(&["INFO", "clients"]));
        assert!(Deadline::standard().poll(|| blocked().contains("blocked_clients:1")));
        assert_eq!(values(&lines(&asks.command(&["CLIENT", "LIST"])), "name"), ["asks"]);
        return;
    }
    let mut names = Vec::new();
    let is_listed = || {
        names = values(&lines(&asks.command(&["CLIENT", "LIST"])), "name");
        names.iter().any(|name| name == "waits")
    };
    assert!(Deadline::standard().poll(is_listed), "{names:?}");
    assert!(names.iter().any(|name| name == "asks"), "{names:?}");
    // Redis knows nothing of a session that shares a connection with others.
    assert!(!names.iter().any(|name| name == "shares"), "{names:?}");
    let own = values(&lines(&shares.command(&["CLIENT", "LIST"])), "name");
    assert!(own.iter().any(|name| name == "shares"), "{own:?}");
}
