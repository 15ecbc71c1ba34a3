//! Clients are shown the names of identities, and never those of guards.

use support::servers::on_each;

use crate::{Identities, SERVERS, direct_user, list, texts};

const RULES: [&str; 6] = ["~mine:*", "&mine:*", "+@all", "-get", "-client|setname", "-echo"];

#[test]
fn refusals_name_the_identity_as_redis_names_its_user() {
    on_each(&SERVERS, |server| {
        let acl = list(&RULES);
        let identities = Identities::start(server, &[("mine", &[("acl", acl.as_str())])]);
        let mut direct = direct_user(&identities.redis, "mine", &RULES);
        let mut through = identities.session("mine");
        for command in [
            &["GET", "mine:a"][..],
            &["SET", "other:a", "x"],
            &["MGET", "mine:a", "other:a"],
            &["SUBSCRIBE", "other:c"],
            &["PUBLISH", "other:c", "x"],
            &["CLIENT", "SETNAME", "x"],
            &["ECHO", "x"],
            &["ACL", "WHOAMI"],
            &["MULTI"],
            &["GET", "mine:a"],
            &["EXEC"],
            &["MULTI"],
            &["SET", "other:a", "x"],
            &["EXEC"],
            &["EVAL", "return redis.call('GET', KEYS[1])", "1", "mine:a"],
            &["EVAL", "return redis.call('SET', 'other:a', 'x')", "0"],
            &["EVAL", "return redis.call('PUBLISH', 'other:c', 'x')", "0"],
            &["NONE"],
            &["SET", "mine:a"],
        ] {
            let [seen, shown] =
                [&mut direct, &mut through].map(|wire| texts(&wire.command(command)));
            assert_eq!(shown, seen, "{command:?} on {server}");
        }
    });
}

#[test]
fn lists_of_clients_show_identities() {
    on_each(&SERVERS, |server| {
        let all: &[(&str, &str)] = &[("acl", "[\"~*\", \"&*\", \"+@all\"]")];
        let identities = Identities::start(server, &[("one", all), ("two", all)]);
        let mut one = identities.session("one");
        let mut two = identities.session("two");
        two.command(&["GET", "k"]);
        for command in [&["CLIENT", "LIST"][..], &["CLIENT", "INFO"]] {
            let shown = texts(&one.command(command));
            assert!(shown.contains("user=one "), "{shown}");
            assert!(!shown.contains("redoubt-"), "{shown}");
        }
        assert!(texts(&one.command(&["CLIENT", "LIST"])).contains("user=two "));
        for wire in [&mut one, &mut two] {
            wire.command(&["MULTI"]);
            wire.command(&["ACL", "WHOAMI"]);
            wire.command(&["PING"]);
            let shown = texts(&wire.command(&["EXEC"]));
            assert!(!shown.contains("redoubt-"), "{shown}");
        }
    });
}
