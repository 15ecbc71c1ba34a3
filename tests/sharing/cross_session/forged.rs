//! Replies that read as several, missing replies, and their effect on other sessions, on each server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::heir;
use support::{Deadline, Redis, Redoubt, Wire, frame, servers, shown};

/// Requests whose error repeats line ends on at least one server. The text after the first line reads
/// as a complete reply, as a reply that never ends, as a barrier that the server refused, or as no
/// reply at all.
pub(crate) fn forging() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in [
        "a\\r\\n$6\\r\\nFORGED",
        "a\\r\\n$600000\\r\\nFORGED",
        "a\\r\\n*100000\\r\\n+FORGED",
        "a\\r\\n-BUSY FORGED",
        "a\\r\\n-NOPERM FORGED\\r\\n-BUSY FORGED\\r\\n:1\\r\\n:2",
        "a\\r\\nFORGED",
        "a\\r\\n>2\\r\\n+message\\r\\n$100000\\r\\nFORGED",
    ] {
        let library = format!("#!lua name=x \"{text}\"\n");
        let script = format!("#!lua \"{text}\"\nreturn 1");
        let raw = text.replace("\\r\\n", "\r\n");
        all.push(frame::request(&["FUNCTION", "LOAD", &library]));
        all.push(frame::request(&["EVAL", &script, "0"]));
        all.push(frame::request(&["SCRIPT", "LOAD", &script]));
        all.push(frame::request(&["FUNCTION", "LIST", &raw]));
    }
    all
}

fn patient(redoubt: &Redoubt) -> Wire {
    let mut wire = redoubt.session();
    wire.set_time_limit(Duration::from_secs(20));
    wire
}

/// Sends requests over each kind of shared link, again and again, and checks every byte.
fn honest(redoubt: &Redoubt, number: usize, done: &AtomicBool) {
    let mut wire = patient(redoubt);
    if number % 2 == 1 {
        assert!(wire.command(&["HELLO", "3"]).starts_with(b"%"));
    }
    let key = format!("honest:{number}");
    let mut count = 0_u64;
    while !done.load(Ordering::Relaxed) || count < 20 {
        count += 1;
        let value = format!("{key}:{count}");
        let sent = [
            frame::request(&["SET", &key, &value]),
            frame::request(&["GET", &key]),
            frame::request(&["EVAL", "return ARGV[1]", "0", &value]),
            frame::request(&["OBJECT", "ENCODING", &key]),
            frame::request(&["ECHO", &value]),
        ];
        let bulk = frame::bulk(value.as_bytes());
        wire.send(&sent.concat());
        let encoding = frame::bulk(b"embstr");
        wire.expect(&[b"+OK\r\n", &bulk[..], &bulk, &encoding, &bulk].concat());
    }
}

/// Stops the honest sessions, also when the test fails.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_reply_that_reads_as_several_reaches_no_other_session() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let ends = Ends(&done);
            let honest: Vec<_> = (0..20)
                .map(|number| {
                    let (redoubt, done) = (&redoubt, &done);
                    scope.spawn(move || honest(redoubt, number, done))
                })
                .collect();
            for request in forging() {
                for protocol in ["2", "3"] {
                    let mut attacker = patient(&redoubt);
                    attacker.command(&["HELLO", protocol]);
                    // Further requests follow, whose replies it would push to others.
                    let behind = frame::request(&["EVAL", "return 'FORGED'", "0"]).repeat(3);
                    attacker.offer(&[&request[..], &behind, &request].concat());
                    attacker.finish();
                    attacker.read_to_close();
                }
            }
            drop(ends);
            let wrong: Vec<_> = honest.into_iter().filter_map(|one| one.join().err()).collect();
            let text = |cause: &Box<dyn std::any::Any + Send>| {
                cause.downcast_ref::<String>().cloned().unwrap_or_default()
            };
            assert!(wrong.is_empty(), "{server}: {}", text(&wrong[0]));
        });
        let name = "redoubt_sessions_closed_total{reason=\"reply_mismatch\"}";
        let noticed = Deadline::standard().poll(|| redoubt.metric(name) > 0.0);
        assert!(noticed, "{server}: no forged reply was noticed");
        heir::inspect(&redoubt);
    });
}

#[test]
fn a_session_that_forges_replies_is_closed_alone_and_gets_only_its_own() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let mut other = patient(&redoubt);
        assert_eq!(other.command(&["EVAL", "return 1", "0"]), b":1\r\n");
        let mut attacker = patient(&redoubt);
        attacker.send(&forging()[1]);
        other.send(&frame::request(&["EVAL", "return 'other'", "0"]));
        other.expect(b"$5\r\nother\r\n");
        let heard = attacker.read_to_close();
        assert!(!shown(&heard).contains("other"), "{}", shown(&heard));
        assert_eq!(other.command(&["EVAL", "return 2", "0"]), b":2\r\n");
        let name = "redoubt_sessions_closed_total{reason=\"reply_mismatch\"}";
        redoubt.metric_becomes(name, 1.0);
    });
}

/// From Redis 7.2 to 8.x a wrong `AUTH` gets no reply while other replies are pending.
#[test]
fn a_missing_reply_does_not_shift_the_replies_of_others() {
    let published = frame::request(&["PUBLISH", "c", "x"]);
    let multi: Vec<u8> = [
        &["MULTI"][..],
        &["SELECT", "5"],
        &["AUTH", "nobody", "x"],
        &["EXEC"],
        &["SELECT", "5"],
        &["PING"],
        &["PING"],
    ]
    .iter()
    .flat_map(|words| frame::request(words))
    .collect();
    let subscribed: Vec<u8> = [
        &["HELLO", "3"][..],
        &["SUBSCRIBE", "c"],
        &["PING"],
        &["AUTH", "nobody", "x"],
        &["SELECT", "5"],
        &["UNSUBSCRIBE", "c"],
        &["HELLO", "2"],
        &["PING"],
    ]
    .iter()
    .flat_map(|words| frame::request(words))
    .collect();
    let greeted: Vec<u8> = [
        &["WATCH", "k"][..],
        &["PING"],
        &["HELLO", "3", "AUTH", "nobody", "x"],
        &["SELECT", "5"],
        &["UNWATCH"],
        &["PING"],
    ]
    .iter()
    .flat_map(|words| frame::request(words))
    .collect();
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let mut direct = redis.direct();
        direct.command(&["SELECT", "5"]);
        for (name, said) in [("MULTI", &multi), ("SUBSCRIBE", &subscribed), ("HELLO", &greeted)] {
            let mut attackers: Vec<_> = (0..3).map(|_| patient(&redoubt)).collect();
            for attacker in &mut attackers {
                attacker.send(said);
            }
            // The content and the time of the replies do not matter.
            for attacker in &mut attackers {
                attacker.set_time_limit(Duration::from_millis(100));
                while attacker.try_receive().is_some_and(|len| len > 0) {}
                direct.send(&published);
                direct.frame();
                while attacker.try_receive().is_some_and(|len| len > 0) {}
            }
            for _ in 0..4 {
                heir::inspect(&redoubt);
                let mut victim = patient(&redoubt);
                for (words, reply) in [
                    (&["MULTI"][..], &b"+OK\r\n"[..]),
                    (&["SET", "victim", "1"], b"+QUEUED\r\n"),
                    (&["EXEC"], b"*1\r\n+OK\r\n"),
                    (&["BLPOP", "nothing", "0.001"], b"*-1\r\n"),
                ] {
                    assert_eq!(shown(&victim.command(words)), shown(reply), "{server}, {name}");
                }
            }
            assert_eq!(direct.command(&["EXISTS", "victim"]), b":0\r\n", "{server}, {name}");
        }
    });
}

#[test]
fn a_wrong_password_gets_its_reply_while_replies_are_pending() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        let mut wire = patient(&redoubt);
        for words in [&["HELLO", "3"][..], &["SUBSCRIBE", "c"]] {
            wire.command(words);
        }
        for claim in [&["AUTH", "nobody", "x"][..], &["HELLO", "3", "AUTH", "nobody", "x"]] {
            let ping = frame::request(&["PING"]);
            wire.send(&[&ping[..], &frame::request(claim), &ping].concat());
            wire.expect(&[b"+PONG\r\n", &wrong[..], b"+PONG\r\n"].concat());
        }
    });
}

/// The replies to requests that prepare a link come before the stream, and reach no client.
#[test]
fn replies_to_redoubt_itself_do_not_reach_a_stream() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set_text("policy.escapes", "allow").start();
        for said in [&["MONITOR"][..], &["REPLCONF", "listening-port", "1"]] {
            let mut before = patient(&redoubt);
            for words in
                [&["SELECT", "9"][..], &["CLIENT", "SETNAME", "before"], &["MULTI"], &["EXEC"]]
            {
                before.command(words);
            }
            let mut wire = patient(&redoubt);
            wire.command(&["CLIENT", "SETNAME", "streams"]);
            wire.send(&frame::request(said));
            wire.expect(b"+OK\r\n");
            match said[0] {
                "MONITOR" => {
                    assert_eq!(redis.direct().command(&["ECHO", "seen"]), frame::bulk(b"seen"));
                    let line = wire.frame();
                    assert!(line.starts_with(b"+1"), "{server}: {}", shown(&line));
                }
                _ => {
                    wire.send(&frame::request(&["GET", "k"]));
                    let mut direct = redis.direct();
                    direct.command(said);
                    assert_eq!(shown(&wire.frame()), shown(&direct.command(&["GET", "k"])));
                }
            }
        }
    });
}

#[test]
fn library_info_of_a_client_is_not_passed_on_to_the_next_session() {
    servers::on_each(&["redis-8.0", "valkey-8.1", "valkey-9.1", "redict-7.3"], |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let mut wire = patient(&redoubt);
        for words in [&["WATCH", "k"][..], &["CLIENT", "SETINFO", "LIB-NAME", "evil"], &["UNWATCH"]]
        {
            assert_eq!(wire.command(words), b"+OK\r\n", "{server}: {words:?}");
        }
        let mut next = patient(&redoubt);
        let info = shown(&next.command(&["CLIENT", "INFO"]));
        assert!(info.contains("lib-name= ") && !info.contains("evil"), "{server}: {info}");
    });
}

#[test]
fn tracking_redirects_only_to_a_clients_own_connection() {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let mut shares = patient(&redoubt);
        let greeting = shown(&shares.command(&["HELLO", "3"]));
        let another = shown(&patient(&redoubt).command(&["HELLO", "3"]));
        assert_ne!(greeting, another, "two sessions have the same connection id");
        // The numbers are all that the server has assigned, including those of links.
        let mut wire = patient(&redoubt);
        let absent = b"-ERR The client ID you want redirect to does not exist\r\n";
        for id in 1..40 {
            let reply = wire.command(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id.to_string()]);
            assert_eq!(shown(&reply), shown(absent), "{server}: {id}");
        }
        let mut listener = patient(&redoubt);
        let id = shown(&listener.command(&["CLIENT", "ID"]));
        let id = id.trim_start_matches(':').trim_end_matches("\\r\\n");
        listener.command(&["SUBSCRIBE", "__redis__:invalidate"]);
        let reply = wire.command(&["CLIENT", "TRACKING", "ON", "REDIRECT", id]);
        assert_eq!(shown(&reply), shown(b"+OK\r\n"), "{server}");
        wire.command(&["GET", "tracked"]);
        assert_eq!(shares.command(&["SET", "tracked", "1"]), b"+OK\r\n");
        listener.expect(
            b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$7\r\ntracked\r\n",
        );
        // The number belongs to no client when the client has gone.
        drop(listener);
        let mut late = patient(&redoubt);
        assert!(
            Deadline::standard()
                .poll(|| { late.command(&["CLIENT", "TRACKING", "ON", "REDIRECT", id]) == absent })
        );
    });
}

/// While a script overruns, the server refuses barriers, and every client gets the server's `BUSY`.
#[test]
fn sessions_behind_barriers_get_busy_from_the_server() {
    servers::on_each_or_chosen(&servers::ALL, |server| {
        let redis = Redis::setup().server(server).config("lua-time-limit 50").start();
        let redoubt = Redoubt::setup(&redis).set("workers", 1).start();
        let mut direct = redis.direct();
        let mut sessions: Vec<_> = (0..8).map(|_| patient(&redoubt)).collect();
        let script = "return ARGV[1]";
        for wire in &mut sessions {
            assert_eq!(wire.command(&["OBJECT", "HELP"]).first(), Some(&b'*'));
            assert_eq!(wire.command(&["EVAL", script, "0", "a"]), frame::bulk(b"a"));
        }
        let mut looping = redis.direct();
        looping.send(&frame::request(&["EVAL", "while true do end", "0"]));
        assert!(Deadline::standard().poll(|| { direct.command(&["PING"]).starts_with(b"-BUSY") }));
        for round in 0..5 {
            for wire in &mut sessions {
                wire.send(&frame::request(&["OBJECT", "ENCODING", "k"]));
                wire.send(&frame::request(&["EVAL", script, "0", "b"]).repeat(round));
            }
            for wire in &mut sessions {
                for _ in 0..=round {
                    let reply = wire.frame();
                    assert!(reply.starts_with(b"-BUSY"), "{server}: {}", shown(&reply));
                }
            }
        }
        assert_eq!(direct.command(&["SCRIPT", "KILL"]), b"+OK\r\n");
        for wire in &mut sessions {
            // The server may take a moment to end the script.
            assert!(
                Deadline::standard()
                    .poll(|| { wire.command(&["EVAL", script, "0", "c"]) == frame::bulk(b"c") })
            );
        }
        let ended = redoubt.metric("redoubt_sessions_closed_total{reason=\"reply_mismatch\"}");
        assert_eq!(ended, 0.0, "{server}: an honest session was ended");
    });
}

/// Where `ECHO` may not be run, or has another name, sessions are still kept apart.
#[test]
fn barriers_need_no_right_to_echo() {
    without_echo("user app on >a-password-of-32-characters-or-so ~* &* +@all -echo");
}

#[test]
fn barriers_need_no_command_called_echo() {
    without_echo(
        "user app on >a-password-of-32-characters-or-so ~* &* +@all\nrename-command ECHO other-echo",
    );
}

fn without_echo(config: &str) {
    servers::on_each_or_chosen(&servers::MAIN, |server| {
        let redis = Redis::setup().server(server).config(config).start();
        let redoubt = Redoubt::setup(&redis)
            .set("workers", 1)
            .set_text("upstream.user", "app")
            .set_text("upstream.password", "a-password-of-32-characters-or-so")
            .start();
        let mut sessions: Vec<_> = (0..8).map(|_| patient(&redoubt)).collect();
        for round in 0..20 {
            for wire in &mut sessions {
                wire.send(&frame::request(&["EVAL", "return ARGV[1]", "0", &round.to_string()]));
                wire.send(&frame::request(&["MULTI"]));
                wire.send(&frame::request(&["EXEC"]));
            }
            for wire in &mut sessions {
                wire.expect(&frame::bulk(round.to_string().as_bytes()));
                wire.expect(b"+OK\r\n*0\r\n");
            }
        }
        // Leases are reused once Redoubt knows how to prove them.
        assert!(redis.clients() < 40, "{server}: {} connections", redis.clients());
    });
}
