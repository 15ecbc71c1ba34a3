//! The table of Redis commands: name, arity, flags, keys and effect on a connection.
//!
//! Owns: the properties of each command of Redis 7.0 to 8.0 and Valkey 8.1 and 9.1, with Redis's modules.
//! Leaves to [`crate::policy`]: what may run; to [`crate::session`]: what an effect means for a session.
//!
//! Invariants: the tables are constants that the compiler checks; a look-up allocates nothing and takes
//! a time that does not depend on the client.

mod class;
mod effect;
mod generated;
mod generated_keys;
mod id_set;
mod index;
mod keys;
mod plain;
mod row;
mod scripting;
mod server;
mod spec;
mod table;
mod version;

pub use class::Class;
pub use effect::{ChannelKind, Effect};
pub(crate) use id_set::IdSet;
pub use index::{lookup, lookup_whole};
pub use keys::{Access, KeySpec, KeysOf};
pub(crate) use keys::{Begin, Find};
pub use scripting::Scripting;
pub use server::{ServerCommand, ServerCommands, ServerKind};
pub use spec::{Flag, Flags, Keys, Spec};
pub use table::COUNT;
pub use version::Version;

/// Returns all commands, then all subcommands: [`COUNT`] of them, in the order of their ids.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    table::COMMANDS.iter().chain(&table::SUBCOMMANDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spec_ids_are_dense_and_every_command_is_found_by_name() {
        assert_eq!(specs().count(), COUNT);
        for (place, spec) in specs().enumerate() {
            assert_eq!(usize::from(spec.id), place, "{}", spec.name);
            assert!(spec.command() == spec.name || spec.subcommands.is_empty(), "{}", spec.name);
            let found = lookup_whole(spec.name.as_bytes());
            assert_eq!(found.map(|found| found.id), Some(spec.id), "{}", spec.name);
        }
    }

    #[test]
    fn lookup_ignores_case_and_needs_the_whole_name() {
        for spec in specs().filter(|spec| spec.command() == spec.name) {
            let upper = spec.name.to_ascii_uppercase();
            assert_eq!(lookup(upper.as_bytes()).map(|found| found.id), Some(spec.id));
            let mut mixed = spec.name.as_bytes().to_vec();
            mixed[0].make_ascii_uppercase();
            assert_eq!(lookup(&mixed).map(|found| found.id), Some(spec.id));
            for last in [b' ', 0, b'\r', b'~', 0xff] {
                let longer = [spec.name.as_bytes(), &[last]].concat();
                assert!(lookup(&longer).is_none(), "{}", longer.escape_ascii());
            }
            // The hash folds more bytes than letters, so these names have the same hash as the command
            // but another byte.
            let folded: Vec<u8> = spec.name.bytes().map(|byte| byte & !0x20).collect();
            assert_eq!(
                lookup(&folded).is_some(),
                folded.eq_ignore_ascii_case(spec.name.as_bytes())
            );
        }
    }

    #[test]
    fn lookup_does_not_find_unknown_names() {
        let long = [b'g'; 1 << 16];
        let not_utf8 = b"g\xe9t";
        for name in [&b""[..], b"config|get", b" get", b"get ", b"get\0", not_utf8, &long] {
            assert!(lookup(name).is_none(), "{}", name.escape_ascii());
        }
        let get = lookup(b"get").unwrap();
        assert!(get.subcommand(b"get").is_none());
        let config = lookup(b"CONFIG").unwrap();
        for word in [&b""[..], b"config|get", b"get\0", b"gets"] {
            assert!(config.subcommand(word).is_none(), "{}", word.escape_ascii());
        }
    }

    #[test]
    fn command_and_word_are_the_parts_of_a_name() {
        let config = lookup(b"config").unwrap();
        let get = config.subcommand(b"GeT").unwrap();
        assert_eq!((get.name, get.command(), get.word()), ("config|get", "config", "get"));
        assert_eq!((config.command(), config.word()), ("config", "config"));
        assert!(config.is_container() && !get.is_container());
        assert!(!lookup(b"debug").unwrap().is_container());
    }

    #[test]
    fn arity_counts_the_name() {
        let get = lookup(b"get").unwrap();
        assert!(get.arity_holds(2) && !get.arity_holds(1) && !get.arity_holds(3));
        let set = lookup(b"set").unwrap();
        assert!(set.arity_holds(3) && set.arity_holds(1000) && !set.arity_holds(2));
        assert!(!set.arity_holds(0) && !get.arity_holds(0));
    }

    #[test]
    fn every_script_command_has_its_scripting_kind() {
        let known = specs().filter(|spec| spec.scripting.is_some()).map(|spec| spec.name);
        assert_eq!(
            known.collect::<Vec<_>>().join(" "),
            "eval eval_ro evalsha evalsha_ro fcall fcall_ro function|delete function|flush \
             function|load function|restore script|debug script|load"
        );
        let mut scripts = specs().filter(|spec| spec.effect == Effect::Script);
        assert!(scripts.all(|spec| spec.scripting.is_some()));
    }

    #[test]
    fn commands_have_the_right_effects() {
        let having = |effect: Effect| {
            let with = specs().filter(|spec| spec.effect == effect);
            with.map(|spec| spec.name).collect::<Vec<_>>().join(" ")
        };
        let expected = [
            (Effect::Auth, "auth"),
            (Effect::Hello, "hello"),
            (Effect::Quit, "quit"),
            (Effect::Reset, "reset"),
            (Effect::Select, "select"),
            (Effect::Multi, "multi"),
            (Effect::Exec, "exec"),
            (Effect::Discard, "discard"),
            (Effect::Watch, "watch"),
            (Effect::Unwatch, "unwatch"),
            (Effect::Subscribe(ChannelKind::Channel), "subscribe"),
            (Effect::Subscribe(ChannelKind::Pattern), "psubscribe"),
            (Effect::Subscribe(ChannelKind::Shard), "ssubscribe"),
            (Effect::Unsubscribe(ChannelKind::Channel), "unsubscribe"),
            (Effect::Unsubscribe(ChannelKind::Pattern), "punsubscribe"),
            (Effect::Unsubscribe(ChannelKind::Shard), "sunsubscribe"),
            (Effect::Blocks, "blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin"),
            (Effect::BlocksOnOption, "xread xreadgroup"),
            (Effect::Wait, "wait waitaof"),
            (Effect::Script, "eval eval_ro evalsha evalsha_ro fcall fcall_ro"),
            (Effect::Late, "ft.aggregate ft.cursor ft.profile ft.search vsim"),
            (Effect::LateOnOption, "vadd"),
            (Effect::FencedOptions, "expire expireat pexpire pexpireat"),
            (Effect::ClientReply, "client|reply"),
            (Effect::ClientName, "client|getname client|setinfo client|setname"),
            (
                Effect::Pins,
                "asking readonly readwrite client|caching client|capa client|import-source \
                 client|no-evict client|no-touch script|debug",
            ),
            (Effect::WhoAmI, "acl|whoami"),
            (Effect::ClientId, "client|id"),
            (Effect::ClientInfo, "client|info"),
            (Effect::ClientList, "client|list"),
            (Effect::ClientKill, "client|kill"),
            (Effect::Tracking, "client|tracking"),
            (Effect::Redirection, "client|getredir client|trackinginfo"),
            (Effect::Unblock, "client|unblock"),
            (Effect::Streams, "monitor psync replconf sync"),
        ];
        for (effect, names) in expected {
            assert_eq!(having(effect), names, "{effect:?}");
        }
        let counted: usize = expected.iter().map(|(_, names)| names.split(' ').count()).sum();
        let having = |effect| specs().filter(|spec| spec.effect == effect).count();
        let (plain, fenced) = (having(Effect::None), having(Effect::Fenced));
        assert_eq!(counted + plain + fenced, COUNT);
    }

    #[test]
    fn commands_whose_replies_repeat_client_text_are_not_plain() {
        let plain: Vec<_> = specs().filter(|spec| spec.effect == Effect::None).collect();
        // Each name in the list is the name of a command that is not a container.
        assert_eq!(plain.len(), 160);
        assert!(
            plain.iter().all(|spec| spec.subcommands.is_empty() && spec.command() == spec.name)
        );
        for name in
            ["scan", "function", "script", "xread", "xgroup", "xinfo", "object", "sort", "info"]
        {
            assert!(plain.iter().all(|spec| spec.name != name), "{name}");
        }
    }
}
