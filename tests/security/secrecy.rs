//! The log at trace level contains no password and no argument's value.

use support::{Redis, Redoubt, Wire, frame, lines, secret, signal};

/// Returns the forms in which bytes may appear in a log: unchanged, as Rust's Debug prints a slice, in
/// hexadecimal.
fn forms(canary: &str) -> [String; 4] {
    let hex = |separator: &str| {
        let digits: Vec<String> = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        digits.join(separator)
    };
    let listed = format!("{:?}", canary.as_bytes());
    [canary.into(), listed.trim_matches(['[', ']']).into(), hex(""), hex(" ")]
}

/// Sends every kind of text that may contain a secret, in every place where a client may put it.
fn speak(redoubt: &Redoubt, password: &str, canary: &dyn Fn(&str) -> String) {
    let mut wire = redoubt.connect();
    wire.command(&["AUTH", &canary("wrong-password")]);
    wire.command(&["AUTH", "someone", &canary("wrong-password-of-user")]);
    wire.command(&["HELLO", "3", "AUTH", "default", &canary("wrong-password-in-hello")]);
    wire.command(&["HELLO", &canary("version")]);
    wire.command(&["AUTH", "default", &canary("extra"), &canary("extra-2")]);
    wire.command(&["GET", &canary("before-auth")]);
    // A client's name is in the lines about commands that it is refused.
    wire.command(&["HELLO", "2", "AUTH", "default", password, "SETNAME", "name"]);
    wire.command(&[
        "HELLO",
        "2",
        "AUTH",
        "default",
        &canary("another-password"),
        "SETNAME",
        "name",
    ]);
    wire.command(&["SET", &canary("key"), &canary("value")]);
    wire.command(&["GET", &canary("key")]);
    wire.command(&["CONFIG", "SET", "requirepass", &canary("refused-argument")]);
    wire.command(&["FLUSHALL", &canary("refused-argument-2")]);
    wire.command(&["AUTH", &canary("later-wrong-password")]);
    wire.command(&[canary("unknown-command").as_str(), &canary("unknown-argument")]);
    wire.command(&["CLIENT", &canary("subcommand")]);
    wire.command(&["EVAL", &format!("return '{}'", canary("script")), "0"]);
    wire.command(&["LPUSH", &canary("key"), &canary("wrong-type")]);
    wire.command(&["SUBSCRIBE", &canary("channel")]);
    wire.command(&["RESET"]);
    wire.command(&["AUTH", password]);
    wire.command(&["SET", &canary("large-key"), &canary("large-value").repeat(5000)]);
    wire.send(
        format!("SET {} \"{}\"\r\n", canary("inline-key"), canary("inline-value")).as_bytes(),
    );
    wire.expect(b"+OK\r\n");
    wire.send(format!("ECHO \"{}\r\n", canary("unbalanced")).as_bytes());
    wire.read_to_close();
    for broken in [format!("*1\r\n{}\r\n", canary("broken")), format!("*{}\r\n", canary("length"))]
    {
        let mut wire = Wire::authenticated(redoubt.address(), password);
        wire.send(broken.as_bytes());
        wire.read_to_close();
    }
    let mut cut = Wire::authenticated(redoubt.address(), password);
    let whole = frame::request(&["SET", "k", &canary("cut")]);
    cut.send(&whole[..whole.len() - 1]);
    cut.finish();
    cut.read_to_close();
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_trace_log_contains_no_secret() {
    let mut redis = Redis::start();
    let mut redoubt = Redoubt::setup(&redis).set_text("log.level", "trace").start();
    let password = redoubt.password().to_owned();
    let (mark, names) = (secret(), std::cell::RefCell::new(Vec::new()));
    let canary = |place: &str| {
        let canary = format!("{}-{place}", &mark[..16]);
        names.borrow_mut().push(canary.clone());
        canary
    };
    speak(&redoubt, &password, &canary);
    redis.kill();
    let mut late = redoubt.connect();
    late.offer(&frame::request(&["AUTH", &password]));
    late.offer(&frame::request(&["SET", "k", &canary("while-down")]));
    late.read_to_close();
    signal(redoubt.pid(), "TERM");
    assert_eq!(redoubt.wait().code(), Some(0));
    redoubt.log().wait_for_end();

    let all = redoubt.log().all();
    let messages: Vec<_> = all.iter().filter_map(|line| lines::field(line, "message")).collect();
    for message in ["authenticated", "AUTH failed", "command refused", "session closed"] {
        assert!(messages.contains(&message), "no line {message:?} in {} lines", all.len());
    }
    let mut canaries = names.into_inner();
    assert!(canaries.len() > 25);
    // The common beginning finds values that were truncated as well.
    canaries.push(mark[..16].into());
    canaries.extend([password, redis.password().to_owned()]);
    for canary in canaries {
        for form in forms(&canary) {
            let line = all.iter().find(|line| line.contains(&form));
            assert!(line.is_none(), "{form} is in the log: {line:?}");
        }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_wrong_auth_is_logged_with_its_source_and_user() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.connect();
    let peer = wire.stream().local_addr().unwrap().to_string();
    wire.command(&["AUTH", "mallory", "a wrong password"]);
    let failed = |line: &str| lines::field(line, "message") == Some("AUTH failed");
    let line = redoubt.log().wait(failed).expect("a line");
    assert_eq!(lines::field(&line, "user"), Some("mallory"));
    assert_eq!(lines::field(&line, "peer"), Some(peer.as_str()));
    assert_eq!(lines::field(&line, "level"), Some("WARN"));
}
