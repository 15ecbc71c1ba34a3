//! Commands without keys show what they show to a user of Redis with the same rights.

use support::servers::on_each;

use crate::{Identities, SERVERS, direct_user, fill, list, texts};

const RULES: [&str; 4] = ["~mine:*", "&mine:*", "+@all", "-client|tracking"];

#[test]
fn commands_without_keys_show_what_redis_shows_to_the_same_rights() {
    on_each(&SERVERS, |server| {
        let acl = list(&RULES);
        let identities = Identities::start(server, &[("mine", &[("acl", acl.as_str())])]);
        fill(&identities.redis, &[&["SET", "other:s", "x"], &["PUBSUB", "CHANNELS"]]);
        let mut other = identities.redis.direct();
        other.command(&["SUBSCRIBE", "other:c"]);
        let mut direct = direct_user(&identities.redis, "mine", &RULES);
        let mut through = identities.session("mine");
        for command in [
            &["DBSIZE"][..],
            &["KEYS", "*"],
            &["KEYS", "mine:*"],
            &["SCAN", "0"],
            &["SCAN", "0", "MATCH", "other:*"],
            &["RANDOMKEY"],
            &["PUBSUB", "CHANNELS"],
            &["PUBSUB", "NUMSUB", "other:c"],
            &["PUBSUB", "NUMPAT"],
            &["SCRIPT", "EXISTS", "0000000000000000000000000000000000000000"],
            &["FUNCTION", "LIST"],
            &["COMMAND", "GETKEYS", "GET", "other:s"],
            &["EVAL", "return redis.call('DBSIZE')", "0"],
            &["EVAL", "return redis.call('RANDOMKEY')", "0"],
            &["LASTSAVE"],
            &["WAIT", "0", "1"],
        ] {
            let [seen, shown] =
                [&mut direct, &mut through].map(|wire| texts(&wire.command(command)));
            assert_eq!(shown, seen, "{command:?} on {server}");
        }
    });
}

#[test]
fn commands_without_keys_can_be_taken_away() {
    let acl = list(&["~*", "+@all", "-keys", "-scan", "-randomkey", "-dbsize", "-pubsub|channels"]);
    let rules = [("acl", acl.as_str())];
    let identities = Identities::start(SERVERS[0], &[("mine", &rules)]);
    let mut session = identities.session("mine");
    for command in
        [&["KEYS", "*"][..], &["SCAN", "0"], &["RANDOMKEY"], &["DBSIZE"], &["PUBSUB", "CHANNELS"]]
    {
        let reply = texts(&session.command(command));
        assert!(reply.starts_with("-NOPERM "), "{command:?}: {reply}");
        let script = format!("return redis.call('{}')", command.join("','"));
        let reply = texts(&session.command(&["EVAL", &script, "0"]));
        assert!(reply.starts_with("-ERR The user executing the script"), "{command:?}: {reply}");
    }
}
