//! The rights of the session's identity, where Redoubt answers in Redis's place or Redis has no rule.

use bytes::Bytes;

use super::known::refused;
use super::{Action, Deciding, Need, in_place_of, texts};
use crate::auth::DEFAULT_USER;
use crate::command::{self, Effect, Spec};
use crate::policy;
use crate::resp::reply::{self, Value};
use crate::session::replies::expect::{Expect, Learn, Show};
use crate::session::rights::{NO_DATABASE, may_not_run};
use crate::session::stand_in::encode;

/// Commands that Redoubt answers, or sends others in the place of.
///
/// `AUTH`, `HELLO`, `QUIT` and `RESET` are not among them, as Redis asks for no right to run these; nor is
/// `SELECT`, which is answered only for a database that the server has let the identity select before.
const ANSWERED: [&str; 17] = [
    "acl|whoami",
    "client|getname",
    "client|id",
    "client|info",
    "client|kill",
    "client|list",
    "client|reply",
    "client|setinfo",
    "client|setname",
    "client|tracking",
    "command",
    "command|count",
    "command|list",
    "config|get",
    "config|set",
    "flushall",
    "flushdb",
];

/// Returns the commands and subcommands that Redoubt answers in Redis's place, or sends others in the place of,
/// in some state of a session and with some configuration.
///
/// Of these, [`Rights::without`](crate::session::Rights::without) has to be told which an identity may not run: by
/// the identity's own rules, before what the policy refuses is taken away from them.
pub fn answered() -> impl Iterator<Item = &'static Spec> {
    ANSWERED.into_iter().filter_map(|name| command::lookup_whole(name.as_bytes()))
}

/// Decides on a request for `spec` that the identity has no right to; `None` if it has the right, as far as
/// Redoubt has to know. As in Redis, a wrong number of arguments is reported first.
pub(super) fn decide(this: &Deciding<'_>, spec: &'static Spec) -> Option<Action> {
    let rules = this.context.rules;
    let fits = spec.arity_holds(this.request.declared());
    if fits && rules.exists(spec) && !rules.rights.may_run(spec) {
        return Some(refused(this, may_not(this, spec)));
    }
    if rules.rights.may_use(this.state.database) || needs_no_database(spec) {
        return None;
    }
    // A `SELECT` may be pending.
    if this.context.due.remote() > 0 {
        return Some(Action::AwaitReplies);
    }
    let error = if fits { NO_DATABASE.clone() } else { policy::wrong_arity(spec.name) };
    Some(refused(this, in_place_of(spec, error)))
}

/// Decides on a request for a command that the table does not have, in a database that the identity may not use;
/// `None` if it may use that.
pub(super) fn decide_unknown(this: &Deciding<'_>) -> Option<Action> {
    if this.context.rules.rights.may_use(this.state.database) {
        return None;
    }
    if this.context.due.remote() > 0 {
        return Some(Action::AwaitReplies);
    }
    Some(refused(this, NO_DATABASE.clone()))
}

/// Returns the error for a `SELECT` of a database that the identity may not use, in the server's words.
pub(super) fn may_not_select(this: &Deciding<'_>, spec: &'static Spec) -> Bytes {
    match this.context.rules.dialect.has_database_rights {
        true => NO_DATABASE.clone(),
        false => may_not(this, spec),
    }
}

/// Decides on `ACL WHOAMI`: clients know themselves by the names of their identities, and not by the user that
/// links are logged in as. Inside a transaction, `ECHO` takes its place.
pub(super) fn who_am_i(this: &Deciding<'_>, spec: &'static Spec) -> Action {
    let name = user(this).as_bytes();
    if this.state.opaque || this.in_transaction() {
        let show = match this.state.shows_replies() {
            true => Show::Unless(may_not(this, spec)),
            false => Show::Nothing,
        };
        return Action::Substitute {
            request: encode(&[b"ECHO", name]),
            expect: Expect { show, learn: Learn::Nothing },
            need: Need::Lease,
        };
    }
    if this.state.restriction_may_change(this.context.due) {
        return Action::AwaitReplies;
    }
    if this.state.restricted() {
        return this.local(texts::not_while_subscribed(spec));
    }
    this.local(reply::compose(&Value::Bulk(name), this.state.protocol))
}

fn may_not(this: &Deciding<'_>, spec: &'static Spec) -> Bytes {
    may_not_run(spec, user(this), this.context.rules.dialect)
}

/// Returns the name that the client has logged in with.
fn user<'a>(this: &Deciding<'a>) -> &'a str {
    this.state.user().map_or(DEFAULT_USER, |user| user)
}

/// Returns true if the command reads and changes no key, also not by a script or in a transaction. Valkey 9.1
/// runs all of these in a database that the user may not use.
fn needs_no_database(spec: &Spec) -> bool {
    match spec.effect {
        Effect::Auth
        | Effect::Hello
        | Effect::Quit
        | Effect::Reset
        | Effect::Select
        | Effect::Discard
        | Effect::Unwatch
        | Effect::Subscribe(_)
        | Effect::Unsubscribe(_)
        | Effect::ClientReply
        | Effect::ClientName
        | Effect::ClientId
        | Effect::ClientInfo
        | Effect::ClientList
        | Effect::ClientKill
        | Effect::WhoAmI
        | Effect::Tracking
        | Effect::Redirection
        | Effect::Unblock => true,
        Effect::None
        | Effect::Fenced
        | Effect::FencedOptions
        | Effect::Pins
        | Effect::Multi
        | Effect::Exec
        | Effect::Watch
        | Effect::Blocks
        | Effect::BlocksOnOption
        | Effect::Wait
        | Effect::Script
        | Effect::Late
        | Effect::LateOnOption
        | Effect::Streams => {
            matches!(spec.command(), "client" | "command" | "pubsub")
                || matches!(spec.name, "echo" | "info" | "ping" | "publish" | "spublish" | "time")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::tests::{known, rules, state};
    use super::super::{Decision, classify, decide};
    use super::*;
    use crate::command::{ServerCommands, Version};
    use crate::policy::{Escapes, Policy, Scripts};
    use crate::resp::{Parsed, Reply, RequestLimits, RequestParser, encode_command};
    use crate::session::compat::Compat;
    use crate::session::decision::Special;
    use crate::session::{CloseReason, Parameters, PendingReplies, Rights, Rules};
    use crate::upstream::guard::Answer;
    use bytes::BytesMut;

    /// Returns requests for `spec` with different arguments, as many as it accepts.
    fn requests(spec: &Spec) -> Vec<Vec<&str>> {
        let names = spec.name.split('|').collect::<Vec<_>>();
        let with: &[&[&str]] = match spec.name {
            "client|reply" => &[&["ON"], &["SKIP"]],
            "client|tracking" => &[&["ON", "REDIRECT", "1"]],
            "config|get" => &[&["maxmemory"]],
            "config|set" => &[&["notify-keyspace-events", ""]],
            _ if spec.is_container() => &[&[]],
            _ => &[&[], &["1"], &["1"; 2], &["1"; 3], &["1"; 4]],
        };
        let all = with.iter().map(|more| [&names[..], more].concat());
        all.filter(|words| spec.arity_holds(words.len())).collect()
    }

    /// Returns what is decided about a request that fits `spec`; `None` if it is plain.
    fn special(words: &[&str], number: u32, rules: &Rules) -> Option<Special> {
        let mut wire = BytesMut::new();
        encode_command(words.iter().map(|word| word.as_bytes()), &mut wire);
        let mut parser = RequestParser::new();
        let parsed = parser.parse(&wire, &RequestLimits::AUTHENTICATED).unwrap();
        assert_eq!(parsed, Parsed::Request { len: wire.len() });
        let request = parser.request(&wire);
        let (spec, due) = (classify(&request), PendingReplies::default());
        let verdict = rules.authorize(&request, spec, true);
        match decide(&state(number), &request, spec, verdict, (rules, &due), known()) {
            Decision::Plain => None,
            Decision::Special(special) => Some(special),
        }
    }

    /// Returns true if Redoubt answers, or sends another command.
    fn is_answered(special: &Special, spec: &Spec) -> bool {
        match &special.action {
            _ if special.refused.is_some() => false,
            Action::Finish { reason: CloseReason::Unorderable, .. } => false,
            Action::Forward { .. } | Action::AwaitReplies => false,
            Action::Substitute { request, .. } => {
                let mut parser = RequestParser::new();
                parser.parse(request, &RequestLimits::AUTHENTICATED).unwrap();
                classify(&parser.request(request)).is_none_or(|sent| sent.name != spec.name)
            }
            _ => true,
        }
    }

    /// States of sessions that have authenticated and carry no stream: see [`state`].
    fn states() -> impl Iterator<Item = u32> {
        (0..64).filter(|number| number & 0b110 == 0)
    }

    /// Returns the commands of the table as a server's.
    fn commands() -> Arc<ServerCommands> {
        let bulk = |text: &str| Reply::BulkString(text.into());
        let row = |spec: &Spec, subcommands: Vec<Reply>| {
            let none = || Reply::Array(Vec::new());
            let number = || Reply::Integer(1);
            let (name, arity) = (bulk(spec.name), Reply::Integer(i64::from(spec.arity)));
            let [flags, categories, tips, keys] = [none(), none(), none(), none()];
            let [first, last, step] = [number(), number(), number()];
            let subcommands = Reply::Array(subcommands);
            Reply::Array(vec![
                name,
                arity,
                flags,
                first,
                last,
                step,
                categories,
                tips,
                keys,
                subcommands,
            ])
        };
        let rows = command::specs().filter(|spec| spec.command() == spec.name).map(|spec| {
            row(spec, spec.subcommands.iter().map(|sub| row(sub, Vec::new())).collect())
        });
        Arc::new(ServerCommands::of(&Reply::Array(rows.collect())).unwrap())
    }

    /// Rules of which the first refuse little, and the others answer what they refuse.
    fn all_rules() -> [Rules; 2] {
        let bulk = |text: &str| Answer::BulkString(text.into());
        let pair = |name: &'static str| Answer::Array(vec![bulk(name), bulk("1")]);
        let parameters = Parameters::of(&Parameters::names().map(pair).collect::<Vec<_>>());
        let compat = Compat {
            config_get: true,
            notify_keyspace_events: true,
            flush: true,
            parameters: Some(Arc::new(parameters.unwrap())),
        };
        let policy = |blocked: &[&str]| Policy::compile(blocked, Escapes::Allow).unwrap();
        let open = Rules {
            policy: policy(&["OBJECT|FREQ"]),
            commands: Some(commands()),
            upstream_version: Some(Version::new(8, 0, 0)),
            ..rules(Scripts::All)
        };
        let blocked = policy(&["CONFIG", "FLUSHALL", "FLUSHDB"]);
        [open.clone(), Rules { policy: blocked, compat, ..open }]
    }

    #[test]
    fn commands_that_are_answered_in_some_state_are_listed() {
        let mut found = BTreeSet::new();
        for rules in all_rules() {
            for spec in command::specs() {
                for (words, number) in
                    requests(spec).iter().flat_map(|words| states().map(move |n| (words, n)))
                {
                    if special(words, number, &rules).is_some_and(|s| is_answered(&s, spec)) {
                        found.insert(spec.name);
                    }
                }
            }
        }
        for needs_no_right in ["auth", "hello", "quit", "reset"] {
            assert!(found.remove(needs_no_right), "{needs_no_right}");
        }
        assert_eq!(found, ANSWERED.into_iter().collect());
        assert_eq!(answered().count(), ANSWERED.len());
    }

    #[test]
    fn commands_that_are_answered_are_refused_to_an_identity_that_may_not_run_them() {
        for rules in all_rules() {
            let rules = Rules { rights: Rights::default().without(answered()), ..rules };
            for spec in answered() {
                for (words, number) in
                    requests(spec).iter().flat_map(|words| states().map(move |n| (words, n)))
                {
                    let Special { action, refused, .. } =
                        special(words, number, &rules).expect("no plain command");
                    if refused.is_some() {
                        continue;
                    }
                    let no_such_command = rules.stand_in.no_such_command();
                    match action {
                        Action::Reply(reply) => {
                            assert!(reply.starts_with(b"-NOPERM "), "{words:?}")
                        }
                        Action::Substitute { request, .. } => assert_eq!(request, no_such_command),
                        Action::Silence => {}
                        _ => panic!("{words:?} in state {number}"),
                    }
                }
            }
        }
    }

    #[test]
    fn only_what_reaches_no_key_runs_in_a_database_without_the_right_to_it() {
        let [rules, _] = all_rules();
        let rights = Rights::default().only_in(Some([1, 2].into()));
        let rules = Rules { rights, ..rules };
        let mut free = Vec::new();
        for spec in command::specs() {
            let refused = requests(spec).iter().all(|words| match special(words, 0, &rules) {
                Some(Special { refused: Some(_), .. }) => true,
                Some(Special { action: Action::Reply(reply), .. }) => {
                    reply == in_place_of(spec, NO_DATABASE.clone())
                }
                _ => false,
            });
            if !refused {
                free.push(spec);
            }
        }
        let has_keys = |spec: &&&Spec| spec.keys.first > 0 && !spec.name.starts_with("client|");
        let with_keys: Vec<_> = free.iter().filter(has_keys).map(|spec| spec.name).collect();
        assert_eq!(with_keys, ["spublish", "ssubscribe", "sunsubscribe"], "these are channels");
        for refused in ["get", "eval", "fcall", "multi", "exec", "scan", "keys", "randomkey"] {
            assert!(free.iter().all(|spec| spec.name != refused), "{refused}");
        }
        assert!(free.len() < 110, "{}", free.len());
    }
}
