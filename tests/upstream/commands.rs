//! The server's own list of its commands: what it has, what it lacks, and what only it knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use support::frame::request;
use support::redoubt::Setup;
use support::servers::{MAIN, on_each};
use support::wire::Wire;
use support::{Deadline, Redis, Redoubt, root, shown};

/// Compiles the module of these tests into `dir`.
fn module(dir: &Path) -> PathBuf {
    let (source, library) = (root().join("tests/upstream/commands/module.c"), dir.join("zz.so"));
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .status();
    assert!(made.is_ok_and(|status| status.success()), "cc is missing: apt-get install -y gcc");
    library
}

/// Starts a Redoubt, and waits until it knows the server's commands.
fn informed(setup: Setup) -> Redoubt {
    let redoubt = setup.start();
    redoubt.wait_until_it_knows_its_server();
    redoubt
}

/// Sends the same command to both, and returns the reply if it is the same.
fn same(redoubt: &mut Wire, redis: &mut Wire, command: &[&str]) -> String {
    let (through, direct) = (redoubt.command(command), redis.command(command));
    assert_eq!(shown(&through), shown(&direct), "{command:?}");
    shown(&through)
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn commands_of_a_module_loaded_at_run_time_are_served_and_administrative_ones_refused() {
    on_each(&MAIN, |server| {
        let dir = tempfile::tempdir().unwrap();
        let library = module(dir.path());
        let redis = Redis::setup().server(server).config("enable-module-command local").start();
        let refusing = informed(Redoubt::setup(&redis));
        let allowing = informed(Redoubt::setup(&redis).set("policy.allow", r#"["ZZ.Admin"]"#));
        let mut direct = redis.direct();
        let mut session = refusing.session();
        let unknown = same(&mut session, &mut direct, &["zz.read", "key"]);
        assert!(unknown.starts_with("-ERR unknown command"), "{unknown}");

        let loaded = direct.command(&["MODULE", "LOAD", library.to_str().unwrap()]);
        assert_eq!(loaded, b"+OK\r\n", "{}", shown(&loaded));
        for redoubt in [&refusing, &allowing] {
            let noticed = |line: &str| line.contains("the upstream has other commands");
            assert!(redoubt.log().wait(noticed).is_some());
            let mut session = redoubt.session();
            let is_known =
                Deadline::standard().poll(|| session.command(&["zz.read", "key"]) == b":2\r\n");
            assert!(is_known, "the module's command is not served");
        }
        same(&mut session, &mut direct, &["zz.read", "key"]);
        same(&mut session, &mut direct, &["zz.read"]);
        // Reads lend a link for their reply only, which is then used by the next session.
        let before = redis.clients();
        for _ in 0..20 {
            assert_eq!(refusing.session().command(&["ZZ.READ", "key"]), b":2\r\n");
        }
        assert!(redis.clients() <= before + 2, "sessions have kept leases");

        for request in [
            &["zz.admin"][..],
            &["ZZ.ADMIN", "x"],
            &["EVAL", "return redis.call('zz.admin')", "0"],
            &["MULTI"],
            &["zz.admin"],
            &["EXEC"],
        ] {
            let reply = session.command(request);
            let is_refused = reply.starts_with(b"-") || request == ["MULTI"];
            assert!(is_refused, "{request:?}: {}", shown(&reply));
        }
        assert_eq!(direct.command(&["GET", "zz:ran"]), b"$-1\r\n");
        assert_eq!(allowing.session().command(&["zz.admin"]), b":1\r\n");
        assert_eq!(direct.command(&["GET", "zz:ran"]), b"$1\r\n1\r\n");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_command_that_the_server_lacks_costs_no_lease_and_no_round_trip() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = informed(Redoubt::setup(&redis));
        let mut direct = redis.direct();
        let mut session = redoubt.session();
        // Each list has something that one of the servers has.
        let long = "x".repeat(300);
        let lacking: [&[&str]; 8] = [
            &["NOSUCHCOMMAND", "a", "b"],
            &["nosuch\r\nGET", "a"],
            &[&long, &long],
            &["CLIENT", "NOSUCH", "a"],
            &["CLIENT", &long],
            &["OBJECT", "no\r\nsuch"],
            &["FT.NOSUCH", "a"],
            &["config|get", "a"],
        ];
        let errors = |redis: &Redis| {
            let info = redis.direct().command(&["INFO", "errorstats"]);
            String::from_utf8_lossy(&info).into_owned()
        };
        for command in lacking {
            same(&mut session, &mut direct, command);
        }
        let before = (redis.clients(), errors(&redis));
        for command in lacking {
            for _ in 0..5 {
                assert!(session.command(command).starts_with(b"-ERR unknown "), "{command:?}");
            }
        }
        assert_eq!((redis.clients(), errors(&redis)), before, "the server was asked");
        // In a transaction, the server must know that the command failed.
        for command in lacking {
            assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
            assert!(session.command(command).starts_with(b"-ERR unknown "), "{command:?}");
            assert!(session.command(&["EXEC"]).starts_with(b"-EXECABORT "), "{command:?}");
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn eleven_hundred_connections_that_try_new_commands_leave_few_links() {
    on_each(&["redis-8.0", "valkey-9.1"], |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = informed(Redoubt::setup(&redis));
        let commands: [&[&str]; 6] = [
            &["MSETEX", "1", "key", "value"],
            &["DELIFEQ", "key", "value"],
            &["VCARD", "vectors"],
            &["FT.SEARCH", "index", "*"],
            &["JSON.GET", "key"],
            &["NOSUCHCOMMAND"],
        ];
        let mut sessions: Vec<Wire> = (0..1_100).map(|_| redoubt.connect()).collect();
        for (session, command) in sessions.iter_mut().zip(commands.iter().cycle()) {
            session.send(
                &[
                    request(&["HELLO", "3", "AUTH", "default", redoubt.password()]),
                    request(&["CLIENT", "MAINT_NOTIFICATIONS", "ON"]),
                    request(command),
                    request(&["PING"]),
                ]
                .concat(),
            );
        }
        for session in &mut sessions {
            while !session.frame().ends_with(b"+PONG\r\n") {}
        }
        let few = Deadline::standard().poll(|| redis.clients() < 20);
        assert!(few, "{} connections are left", redis.clients());
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn command_lists_and_describes_only_commands_that_exist_for_clients() {
    on_each(&MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = informed(Redoubt::setup(&redis));
        let (mut session, mut direct) = (redoubt.session(), redis.direct());
        let names = |reply: &[u8]| -> Vec<String> {
            let text = String::from_utf8(reply.to_vec()).unwrap();
            let lines = text.split("\r\n").skip(1).filter(|line| !line.starts_with('$'));
            lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let all = names(&direct.command(&["COMMAND", "LIST"]));
        let shown_names = names(&session.command(&["COMMAND", "LIST"]));
        let hidden: Vec<_> = all.iter().filter(|name| !shown_names.contains(name)).collect();
        for refused in ["flushall", "flushdb", "config", "config|get", "client|kill", "debug"] {
            assert!(hidden.iter().any(|name| *name == refused), "{refused} is listed");
        }
        for name in &hidden {
            let words: Vec<&str> = name.split('|').collect();
            let reply = session.command(&words);
            assert!(reply.starts_with(b"-ERR unknown "), "{name}: {}", shown(&reply));
        }
        // A server lists its commands in the order of a hash table.
        assert!(shown_names.iter().all(|name| all.contains(name)), "a name is new");
        assert_eq!(shown_names.len() + hidden.len(), all.len());

        let count = shown_names.iter().filter(|name| !name.contains('|')).count();
        assert_eq!(session.command(&["COMMAND", "COUNT"]), format!(":{count}\r\n").as_bytes());
        let start = format!("*{count}\r\n*10\r\n");
        for request in [&["COMMAND"][..], &["COMMAND", "INFO"]] {
            assert!(session.command(request).starts_with(start.as_bytes()), "{request:?}");
        }
        same(&mut session, &mut direct, &["COMMAND", "INFO", "get", "nosuch"]);
        same(&mut session, &mut direct, &["COMMAND", "DOCS", "get", "client|id"]);
        let none = direct.command(&["COMMAND", "INFO", "nosuch", "nosuch"]);
        assert_eq!(session.command(&["COMMAND", "INFO", "FLUSHALL", "config|get"]), none);
        assert_eq!(session.command(&["COMMAND", "DOCS", "flushall"]), b"*0\r\n");
        for (wire, name) in [(&mut session, "flushall"), (&mut direct, "nosuch")] {
            assert_eq!(wire.command(&["MULTI"]), b"+OK\r\n");
            assert_eq!(wire.command(&["COMMAND", "INFO", name]), b"+QUEUED\r\n");
        }
        same(&mut session, &mut direct, &["EXEC"]);
    });
}
