//! `config/identities.toml` is taken by every server, and its rules do what its comments say.

use support::servers::on_each;
use support::{Redis, Redoubt, secret};

use crate::{SERVERS, texts};

const EXAMPLE: &str = include_str!("../../config/identities.toml");

#[test]
fn the_example_serves_what_its_comments_say_and_nothing_else() {
    on_each(&SERVERS, |server| {
        let example: toml::Table = EXAMPLE.parse().unwrap();
        let redis = Redis::setup().server(server).start();
        let (password, mut setup) = (secret(), Redoubt::setup(&redis));
        for (name, keys) in example["identities"].as_table().unwrap() {
            for (key, value) in keys.as_table().unwrap() {
                setup = match key.as_str() {
                    "password_file" => {
                        setup.set_text(&format!("identities.{name}.password"), &password)
                    }
                    key => setup.set(&format!("identities.{name}.{key}"), value),
                };
            }
        }
        let redoubt = setup.start();
        redoubt.wait_until_it_knows_its_server();
        let run = |name: &str, command: &[&str]| {
            let mut session = redoubt.connect();
            assert_eq!(session.command(&["AUTH", name, &password]), b"+OK\r\n");
            texts(&session.command(command))
        };
        for (name, command, is_served) in [
            ("ai-service", &["SET", "cache:1", "x"][..], true),
            ("ai-service", &["EVAL", "return redis.call('GET', KEYS[1])", "1", "cache:1"], true),
            ("ai-service", &["PUBLISH", "events:1", "x"], true),
            ("ai-service", &["SET", "celery", "x"], false),
            ("ai-service", &["KEYS", "*"], false),
            ("ai-service", &["SELECT", "1"], false),
            ("worker", &["LPUSH", "celery", "x"], true),
            ("worker", &["BRPOP", "celery", "1"], true),
            ("worker", &["SELECT", "1"], true),
            ("worker", &["GET", "cache:1"], false),
            ("dashboard", &["GET", "cache:1"], true),
            ("dashboard", &["INFO", "memory"], true),
            ("dashboard", &["SCAN", "0"], true),
            ("dashboard", &["SET", "cache:1", "y"], false),
            ("dashboard", &["DEL", "cache:1"], false),
            ("dashboard", &["EVAL", "return 1", "0"], false),
        ] {
            let reply = run(name, command);
            assert_eq!(!reply.starts_with('-'), is_served, "{name} {command:?}: {reply}");
        }
    });
}
