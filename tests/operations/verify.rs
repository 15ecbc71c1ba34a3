//! `redoubt verify` against Redoubt in several configurations, Redis, and other servers.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;

use redoubt_core::policy::{Escapes, Policy};
use serde_json::Value;
use support::servers::{ALL, CHECKS_PAYLOADS, on_each, tested};
use support::{Deadline, Redis, Redoubt, Wire};

/// Returns the exit code and the two outputs, which never contain the password.
fn run(url: &str, password: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
    command.args(["verify", url]).args(args).env_clear().env("REDOUBT_PASSWORD", password);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    let shown = |text: &str| !password.is_empty() && text.contains(password);
    assert!(!shown(&out) && !shown(&err), "{out}{err}");
    (output.status.code(), out, err)
}

fn verify(address: SocketAddr, password: &str, args: &[&str]) -> (Option<i32>, String, String) {
    run(&format!("redis://{address}"), password, args)
}

/// Returns the exit code and the report.
fn json(address: SocketAddr, password: &str, args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = verify(address, password, &[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// Returns the ids of the checks with this outcome.
fn ids(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["outcome"] == outcome);
    checks.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns the text of the check with this id.
fn found<'a>(report: &'a Value, id: &str) -> &'a str {
    let mut checks = report["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["id"] == id);
    check.and_then(|check| check["found"].as_str()).unwrap_or_else(|| panic!("{id}: {report}"))
}

/// Returns how many escapes the server has, by its own list of commands; without `RESTORE`.
fn escapes(wire: &mut Wire) -> usize {
    let list = String::from_utf8(wire.command(&["COMMAND", "LIST"])).unwrap().to_uppercase();
    // Subcommands are written as `CLIENT|KILL`.
    Escapes::rules()
        .filter(|rule| *rule != "RESTORE" && list.lines().any(|name| name == *rule))
        .count()
}

/// Returns a port on which nobody listens: connections are refused.
fn closed() -> String {
    support::redis::free_port().to_string()
}

/// Accepts connections and passes each with its number to `serve`.
fn scripted(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(number, stream.unwrap());
        }
    });
    address
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_passes_all_checks_for_redoubt() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("policy.scripts", "pinned").start();
    let (address, password) = (redoubt.address(), redoubt.password());
    let (code, report) = json(address, password, &[]);
    assert_eq!(ids(&report, "fails"), Vec::<String>::new(), "{report}");
    assert_eq!(ids(&report, "not_checked"), ["public", "direct"]);
    assert_eq!((code, &report["holds"]), (Some(0), &Value::Bool(true)));

    let (direct, public, admin) = (redis.address().to_string(), closed(), closed());
    let public = format!("127.0.0.1:{public}");
    let args =
        ["--public", &public, "--direct", &direct, "--direct", &public, "--admin-port", &admin];
    let (code, report) = json(address, password, &args);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(ids(&report, "not_checked"), Vec::<String>::new());
    assert_eq!((found(&report, "public"), found(&report, "admin")), ("refused", "refused"));
    let text = verify(address, password, &args).1;
    assert!(text.contains("requires a password of its own"), "{text}");
    assert!(!text.contains('\x1b') && text.ends_with("0 fail, 0 warnings, 0 skipped\n"), "{text}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_warns_of_client_scripts_and_names_the_server() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        for (scripts, warns) in
            [("guarded", true), ("read-only", true), ("pinned", false), ("deny", false)]
        {
            let redoubt = Redoubt::setup(&redis).set_text("policy.scripts", scripts).start();
            let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
            assert_eq!(code, Some(0), "{report}");
            let warned = ids(&report, "warns").contains(&"script-engine".to_owned());
            assert_eq!(warned, warns, "{scripts}: {report}");
            if warns {
                let (name, _) = server.split_once('-').unwrap();
                let found = found(&report, "script-engine");
                assert!(found.contains(name) && found.contains("policy.scripts"), "{found}");
            }
        }
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_finds_no_config_where_harmless_forms_are_answered() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let setup = Redoubt::setup(&redis)
            .set("policy.compat.config_get", true)
            .set("policy.compat.notify_keyspace_events", true)
            .set_text("policy.scripts", "pinned");
        let redoubt = setup.start();
        let mut wire = redoubt.session();
        let is_answered = || wire.command(&["CONFIG", "GET", "timeout"]).starts_with(b"*2\r\n");
        assert!(Deadline::standard().poll(is_answered));
        let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
        assert_eq!((code, ids(&report, "fails")), (Some(0), Vec::new()), "{report}");
        assert!(ids(&report, "holds").contains(&"blocked-config".to_owned()), "{report}");
        // A policy that lets CONFIG through is found all the same.
        let redoubt = Redoubt::setup(&redis)
            .set("policy.compat.config_get", true)
            .set("policy.blocked", "[\"FLUSHDB\", \"FLUSHALL\", \"DEBUG\"]")
            .start();
        let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
        assert_eq!(code, Some(1), "{report}");
        assert!(ids(&report, "fails").contains(&"blocked-config".to_owned()), "{report}");
    });
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_takes_a_flush_below_a_prefix_for_no_hole_and_deletes_nothing() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let setup = |guard: &str| {
            Redoubt::setup(&redis)
                .set("policy.compat.flush", "{ prefix = \"cache:\" }")
                .set_text("policy.guard", guard)
        };
        let redoubt = setup("auto").start();
        redoubt.wait_until_it_serves();
        let mut direct = redis.direct();
        direct.command(&["MSET", "cache:1", "1", "other", "1"]);
        let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
        assert_eq!((code, ids(&report, "fails")), (Some(0), Vec::new()), "{report}");
        for id in
            ["blocked-flushdb", "blocked-flushall", "case", "inline", "quoted", "pipeline", "multi"]
        {
            assert!(ids(&report, "holds").contains(&id.to_owned()), "{report}");
            assert!(found(&report, id).contains("policy.compat.flush"), "{report}");
        }
        assert_eq!(direct.command(&["EXISTS", "cache:1", "other"]), b":2\r\n");
        // Scripts that may run it are found all the same.
        let redoubt = setup("off").start();
        let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
        assert_eq!(code, Some(1), "{report}");
        assert!(ids(&report, "fails").contains(&"script".to_owned()), "{report}");
        assert_eq!(direct.command(&["EXISTS", "cache:1", "other"]), b":2\r\n");
    });
}

#[test]
fn verify_warns_if_restore_exists_unless_the_server_always_checks_payloads() {
    let redis = Redis::setup().config("sanitize-dump-payload yes").start();
    let (_, report) = json(redis.address(), redis.password(), &[]);
    let outcome = if CHECKS_PAYLOADS.contains(&tested()) { "holds" } else { "warns" };
    assert!(ids(&report, outcome).contains(&"restore".to_owned()), "{report}");
    assert!(found(&report, "restore").starts_with("exists"), "{report}");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_says_what_it_can_not_test_without_multi() {
    let redis = Redis::start();
    let blocked = "[\"FLUSHDB\", \"FLUSHALL\", \"CONFIG\", \"DEBUG\", \"MULTI\"]";
    let redoubt = Redoubt::setup(&redis).set("policy.blocked", blocked).start();
    let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
    assert_eq!(code, Some(0), "{report}");
    let text = "none of 73 exists; 9 can be tested only in MULTI, which does not work";
    assert_eq!(found(&report, "escapes"), text);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_fails_for_commands_that_the_configuration_allows() {
    let redis = Redis::start();
    let cases: [(&str, &str, &[&str]); 8] = [
        ("policy.guard", "off", &["script", "function"]),
        ("policy.guard", "require", &[]),
        // Redis's own user may run everything, so scripts are refused.
        ("policy.guard", "audit", &[]),
        ("policy.escapes", "allow", &["escapes"]),
        ("policy.scripts", "deny", &[]),
        ("policy.scripts", "read-only", &[]),
        ("policy.scripts", "pinned", &[]),
        ("upstream.sharing", "off", &[]),
    ];
    for (key, value, failing) in cases {
        let redoubt = Redoubt::setup(&redis).set_text(key, value).start();
        let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
        assert_eq!(ids(&report, "fails"), failing, "{key} = {value}: {report}");
        assert_eq!(code, Some(i32::from(!failing.is_empty())), "{key} = {value}");
    }
    let weak = "correct-horse-battery";
    let redoubt =
        Redoubt::setup(&redis).client_password(weak).set("allow_weak_passwords", true).start();
    let (code, report) = json(redoubt.address(), weak, &[]);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["password-length".to_owned()]));
}

#[test]
fn verify_fails_for_a_redis_with_only_a_password() {
    let redis = Redis::start();
    let (code, report) = json(redis.address(), redis.password(), &[]);
    assert_eq!(code, Some(1), "{report}");
    let failing = [
        "blocked-flushdb",
        "blocked-flushall",
        "blocked-config",
        "blocked-debug",
        "escapes",
        "case",
        "inline",
        "quoted",
        "pipeline",
        "multi",
        "script",
        "function",
    ];
    assert_eq!(ids(&report, "fails"), failing, "{report}");
    let words = format!("{} of 82 exist: ACL, MODULE", escapes(&mut redis.direct()));
    assert!(found(&report, "escapes").starts_with(&words), "{words}: {report}");
    assert_eq!(report["wide_open"], false);
}

#[test]
fn verify_reports_a_redis_without_a_password() {
    let redis = Redis::setup().password("\"\"").start();
    // The result does not depend on a password.
    for password in ["", &support::secret()] {
        let (code, report) = json(redis.address(), password, &[]);
        assert_eq!((code, &report["wide_open"]), (Some(1), &Value::Bool(true)), "{report}");
        assert_eq!(found(&report, "no-password"), "+PONG: no password is required");
        let words = format!("{} of 82 exist", escapes(&mut Wire::connect(redis.address())));
        assert!(found(&report, "escapes").starts_with(&words), "{words}: {report}");
    }
    let text = verify(redis.address(), "", &[]).1;
    assert!(text.contains("Wide open: every client"), "{text}");
}

#[test]
fn verify_passes_checks_for_renamed_commands() {
    let redis = Redis::setup().hide_refused().start();
    let (code, report) = json(redis.address(), redis.password(), &[]);
    // Subcommands cannot be renamed.
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["escapes".to_owned()]), "{report}");
    assert!(found(&report, "escapes").contains("CLUSTER ADDSLOTS"), "{report}");
    assert_eq!(found(&report, "script"), "does not exist there either");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_fails_if_redis_is_directly_reachable_and_reports_its_exposure() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).client_password(redis.password()).start();
    let (address, password) = (redoubt.address(), redoubt.password());
    let direct = redis.address().to_string();
    let admin = redis.port().to_string();
    let public = format!("127.0.0.1:{}", closed());
    let args = ["--direct", &direct, "--public", &public, "--admin-port", &admin];
    let (code, report) = json(address, password, &args);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["admin".into(), "direct".into()]));
    assert_eq!(found(&report, "direct"), "accepts the clients' password");
    let (code, report) = json(address, password, &["--public", &direct, "--admin-port", &admin]);
    assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["public".to_owned()]), "{report}");

    let hidden = Redis::setup().password("\"\"").hide_blocked().start();
    let open = Redis::setup().password("\"\"").start();
    let limited = Redis::setup().password("\"\"").config("user default on nopass ~* &* +get");
    let limited = limited.start();
    let count = escapes(&mut Wire::connect(open.address()));
    let wide_open =
        |count: usize| format!("wide open: no password, and {count} dangerous commands");
    for (redis, words) in [
        (&open, wide_open(count + Policy::DEFAULT_BLOCKED.len())),
        (&hidden, wide_open(count)),
        (&limited, "-NOPERM".to_owned()),
    ] {
        let direct = redis.address().to_string();
        let (code, report) = json(address, password, &["--direct", &direct]);
        assert_eq!((code, ids(&report, "fails")), (Some(1), vec!["direct".to_owned()]));
        assert!(found(&report, "direct").starts_with(&words), "{words}: {report}");
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_accepts_ipv6_addresses_and_user_names() {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("listen", "[::1]:0").start();
    let (code, out, err) = run(&format!("redis://{}", redoubt.address()), redoubt.password(), &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("[::1]:"), "{out}");

    let redoubt = Redoubt::setup(&redis).set_text("client.user", "app").start();
    let (address, password) = (redoubt.address(), redoubt.password());
    let (code, out, err) = run(&format!("redis://app@{address}"), password, &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) =
        run(&format!("redis://app:{password}@localhost:{}", address.port()), "", &[]);
    assert!(!out.contains(password) && !err.contains(password));
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, report) = json(address, password, &[]);
    assert_eq!(code, Some(1), "the password is not that of the user without a name");
    assert_eq!(found(&report, "ping"), "AUTH is answered -WRONGPASS");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_verify_page_lists_every_check() {
    let page = include_str!("../../docs/verify.md");
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let public = format!("127.0.0.1:{}", closed());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, redoubt.password()).unwrap();
    let [one, two] = ["default", "other"].map(|name| format!("{name}={}", file.display()));
    let args = ["--public", &public, "--identity", &one, "--identity", &two];
    let report = json(redoubt.address(), redoubt.password(), &args).1;
    for check in report["checks"].as_array().unwrap() {
        let id = format!("`{}`", check["id"].as_str().unwrap());
        assert!(page.contains(&id), "{id} is not in docs/verify.md");
    }
}

/// The address is not loopback, although it belongs to this machine.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn verify_warns_of_plain_text_to_another_address() {
    // Nothing is sent: the system only selects the local address that it would use.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let Ok(own) = own else {
        return support::note("this machine has no network: not tested");
    };
    let redis = Redis::start();
    let listen = format!("{}:0", own.ip());
    let redoubt = Redoubt::setup(&redis).set_text("listen", &listen).start();
    let (code, report) = json(redoubt.address(), redoubt.password(), &[]);
    assert_eq!((code, &ids(&report, "warns")[0]), (Some(0), &"transport".to_owned()), "{report}");
    assert!(found(&report, "transport").starts_with("plain text: "));
}

#[test]
fn verify_describes_servers_that_are_not_redis() {
    let password = support::secret();
    let ended = |address: SocketAddr, words: &str| {
        let (code, out, err) = verify(address, &password, &["--timeout", "200ms"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.starts_with(&format!("redoubt: {address} {words}")), "{err}");
    };
    ended(format!("127.0.0.1:{}", closed()).parse().unwrap(), "cannot be reached: ");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    ended(silent.local_addr().unwrap(), "accepts connections but does not answer in time");
    ended(scripted(|_, stream| drop(stream)), "closes connections without a reply");
    let web = scripted(|_, mut stream| {
        let mut request = [0; 14];
        let _ = stream.read_exact(&mut request);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    ended(web, "does not speak Redis's protocol; it sent HTTP/1.1 400 Bad Request");
    let (code, out, err) = run("redis://name.invalid", &password, &["--timeout", "1s"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("redoubt: name.invalid:6379 cannot be reached: "), "{err}");
}

/// The server requests a password and then sends nothing more: all steps together have a time limit.
#[test]
fn verify_times_out_if_the_server_falls_silent() {
    let held = std::sync::Mutex::new(Vec::new());
    let address = scripted(move |number, mut stream| {
        if number == 0 {
            stream.write_all(b"-NOAUTH Authentication required.\r\n").unwrap();
        }
        held.lock().unwrap().push(stream);
    });
    let start = support::now();
    let direct = address.to_string();
    let mut args = vec!["--timeout", "20ms"];
    args.extend(["--direct", &direct].repeat(40));
    let (code, report) = json(address, &support::secret(), &args);
    assert_eq!(code, Some(1));
    // After thirty times the limit of a step, the remaining checks are not run.
    let last = report["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(last["found"], "not done: the checks together have taken too long", "{report}");
    assert_eq!(ids(&report, "holds"), ["password-length", "transport"], "{report}");
    assert!(support::since(start) < 10.0);
}

#[test]
fn wrong_use_of_verify_exits_with_2_and_prints_no_password() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        let output = command.arg("verify").args(args).env_clear().output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("canary"), "{err}");
        output.status.code()
    };
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let from_file = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        command.args(["verify", &format!("redis://{}", redis.address())]).env_clear();
        let output = command.env("REDOUBT_PASSWORD_FILE", &file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = from_file();
    assert_eq!(
        (code, err.starts_with("redoubt: REDOUBT_PASSWORD_FILE: ")),
        (Some(2), true),
        "{err}"
    );
    std::fs::write(&file, format!("{}\n", redis.password())).unwrap();
    assert_eq!(from_file(), (Some(1), String::new()), "the password from the file is used");
    assert_eq!(run(&[]), Some(2));
    assert_eq!(run(&[&format!("redis://{}", redis.address())]), Some(2), "no password");
    assert_eq!(run(&["http://:canary@127.0.0.1:1"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:0"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:1", "--direct", "x:canary@host:1"]), Some(2));
    assert_eq!(run(&["redis://:canary@127.0.0.1:1", "--timeout", "soon"]), Some(2));
}
