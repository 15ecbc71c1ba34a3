//! Escapes (commands that get round the block list or take the server over) do not exist, however they
//! are sent, and Redis itself never gets them.
//!
//! Replies are compared, to the byte, with those of a Redis that lacks the command; for a subcommand,
//! with those to a word that no Redis knows, in its place.

use std::collections::{BTreeMap, BTreeSet};

use redoubt_core::command::{self, Version};
use redoubt_core::policy::{Escapes, Reviewed};
use support::servers::{self, CHECKS_PAYLOADS};
use support::{Redis, Redoubt, Wire, frame, lines, secret, shown};

/// The version of the servers that most of these tests start.
const REDIS: Version = Version::new(7, 0, u16::MAX);

/// One escape: its words, and the words that Redis gets instead.
struct Escape {
    rule: &'static str,
    words: Vec<String>,
    asked: Vec<String>,
}

impl Escape {
    fn new(rule: &'static str) -> Self {
        // These are enough arguments for each escape, and none of them does damage if it runs.
        let arguments = ["no", "one", "0", "canary", "0", "0"].map(str::to_owned);
        let (name, word) = rule.split_once('|').unwrap_or((rule, ""));
        let request = |name: &str, word: &str| {
            let own = [name, word].into_iter().filter(|own| !own.is_empty());
            own.map(str::to_owned).chain(arguments.clone()).collect()
        };
        // A container that this Redis lacks is answered like a container that it has.
        let spec = command::lookup(name.as_bytes());
        let is_lacking = !word.is_empty() && !spec.is_some_and(|spec| spec.is_in(REDIS));
        // A command of a module cannot be renamed, so another name stands for it.
        let no_command = unknown(name);
        let asked = match word {
            "" if name.contains('.') => &no_command,
            _ if is_lacking => "CLIENT",
            _ => name,
        };
        Self { rule, words: request(name, word), asked: request(asked, &unknown(word)) }
    }

    /// Returns the reply that Redis would give to the escape itself.
    fn translate(&self, reply: &[u8], written: fn(&str) -> String) -> Vec<u8> {
        let text = String::from_utf8(reply.to_vec()).expect("text");
        let own = |words: &[String]| self.rule.contains('|').then(|| written(&words[1]));
        let (asked_name, name) = (&self.asked[0], &self.words[0]);
        match (own(&self.asked), own(&self.words)) {
            (Some(asked), Some(word)) => {
                text.replace(&asked, &word).replace(asked_name, name).into_bytes()
            }
            _ => text.replace(&written(asked_name), &written(name)).into_bytes(),
        }
    }
}

/// Returns an unknown word of the length of `word`.
fn unknown(word: &str) -> String {
    word.char_indices().map(|(at, letter)| if at == 1 { 'X' } else { letter }).collect()
}

fn upper(word: &str) -> String {
    word.to_ascii_uppercase()
}

fn lower(word: &str) -> String {
    word.to_ascii_lowercase()
}

fn mixed(word: &str) -> String {
    let odd = |at| at % 2 == 1;
    word.char_indices()
        .map(|(at, c)| if odd(at) { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
        .collect()
}

fn escapes() -> Vec<Escape> {
    // RESTORE exists where every payload is checked.
    let checks = CHECKS_PAYLOADS.contains(&servers::tested());
    let rules = Escapes::rules().filter(|rule| !(checks && *rule == "RESTORE"));
    rules.map(Escape::new).collect()
}

fn multibulk(words: &[String]) -> Vec<u8> {
    frame::request(words)
}

fn inline(words: &[String]) -> Vec<u8> {
    format!("{}\r\n", words.join(" ")).into_bytes()
}

/// How `form` sends the words of a request, with other requests around it; returns the number of
/// replies too.
type Form = fn(Vec<u8>) -> (Vec<u8>, usize);

fn alone(request: Vec<u8>) -> (Vec<u8>, usize) {
    (request, 1)
}

fn in_a_pipeline(request: Vec<u8>) -> (Vec<u8>, usize) {
    let (set, get) = (frame::request(&["SET", "k", "1"]), frame::request(&["GET", "k"]));
    ([set, request.clone(), get.clone(), request, get].concat(), 5)
}

fn in_a_transaction(request: Vec<u8>) -> (Vec<u8>, usize) {
    let set = frame::request(&["SET", "canary", "lost"]);
    ([b"MULTI\r\n".to_vec(), set, request, b"EXEC\r\nGET canary\r\n".to_vec()].concat(), 5)
}

/// Sends it at once and reads the replies.
fn ask(wire: &mut Wire, form: Form, request: Vec<u8>) -> Vec<u8> {
    let (bytes, replies) = form(request);
    wire.send(&bytes);
    (0..replies).flat_map(|_| wire.frame()).collect()
}

struct Stage {
    oracle: Redis,
    upstream: Redis,
    redoubt: Redoubt,
}

impl Stage {
    fn new(sharing: &str) -> Self {
        let password = secret();
        let oracle = Redis::setup().password(&password).hide_refused().start();
        let upstream = Redis::start();
        let redoubt = Redoubt::setup(&upstream)
            .client_password(&password)
            .set_text("upstream.sharing", sharing)
            .start();
        redoubt.wait_until_it_knows_its_server();
        let stage = Self { oracle, upstream, redoubt };
        for mut wire in [stage.oracle.direct(), stage.behind().direct()] {
            assert_eq!(wire.command(&["SET", "canary", "sings"]), b"+OK\r\n");
        }
        stage
    }

    /// Returns the Redis that has the data.
    fn behind(&self) -> &Redis {
        self.redoubt.stand_in().unwrap_or(&self.upstream)
    }

    /// Checks that nothing has changed.
    fn assert_unharmed(&self, mut witness: Wire) {
        assert_eq!(witness.command(&["GET", "canary"]), frame::bulk(b"sings"));
        let role = witness.command(&["ROLE"]);
        assert!(role.starts_with(b"*3\r\n$6\r\nmaster\r\n"), "{}", shown(&role));
        let functions = witness.command(&["FUNCTION", "STATS"]);
        assert!(
            shown(&functions).contains("libraries_count\\r\\n:1\\r\\n"),
            "{}",
            shown(&functions)
        );
    }
}

const LIBRARY: &str = "#!lua name=kept\nredis.register_function('kept', function() return 7 end)";

#[test]
fn escapes_do_not_exist_in_any_form() {
    for sharing in ["auto", "off"] {
        let stage = Stage::new(sharing);
        // A client that was connected before is still connected after.
        let mut witness = stage.behind().direct();
        witness.command(&["FUNCTION", "LOAD", LIBRARY]);
        let mut wire = stage.redoubt.session();
        let mut oracle = stage.oracle.direct();
        for escape in escapes() {
            for written in [upper, lower, mixed] {
                let spelled = |words: &[String]| -> Vec<String> {
                    let own = 1 + usize::from(escape.rule.contains('|'));
                    let (own, rest) = words.split_at(own);
                    own.iter().map(|word| written(word)).chain(rest.to_vec()).collect()
                };
                let (words, asked) = (spelled(&escape.words), spelled(&escape.asked));
                for encode in [multibulk, inline] {
                    for form in [alone, in_a_pipeline, in_a_transaction] as [Form; 3] {
                        let wanted = ask(&mut oracle, form, encode(&asked));
                        let wanted = escape.translate(&wanted, written);
                        let got = ask(&mut wire, form, encode(&words));
                        assert_eq!(shown(&got), shown(&wanted), "{words:?}, sharing {sharing}");
                        assert!(shown(&got).contains("-ERR unknown "), "{}", shown(&got));
                    }
                }
            }
        }
        stage.assert_unharmed(witness);
    }
}

#[test]
fn escapes_do_not_exist_for_unauthenticated_clients() {
    let stage = Stage::new("auto");
    for escape in escapes() {
        let mut oracle = Wire::connect(stage.oracle.address());
        let wanted = escape.translate(&oracle.command(&escape.asked), str::to_owned);
        let got = stage.redoubt.connect().command(&escape.words);
        assert_eq!(shown(&got), shown(&wanted));
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn the_log_names_a_refused_escape() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let mut wire = redoubt.session();
    for escape in escapes() {
        let from = redoubt.log().count();
        wire.command(&escape.words);
        let rule = escape.rule.to_ascii_lowercase();
        let named = |line: &str| lines::field(line, "rule") == Some(&rule);
        let line = redoubt.log().wait_from(from, named).expect("a line about it");
        assert!(!line.contains("canary"), "{line}");
    }
}

#[test]
fn other_subcommands_of_containers_with_escapes_still_run() {
    let stage = Stage::new("auto");
    let mut wire = stage.redoubt.session();
    for words in [
        &["CLIENT", "LIST"][..],
        &["CLIENT", "INFO"],
        &["CLIENT", "ID"],
        &["CLIENT", "NO-EVICT", "ON"],
        &["CLUSTER", "INFO"],
        &["CLUSTER", "SLOTS"],
        &["MODULE", "LIST"],
        &["SLOWLOG", "LEN"],
        &["LATENCY", "LATEST"],
        &["FUNCTION", "LOAD", "REPLACE", LIBRARY],
        &["FUNCTION", "LIST"],
        &["FUNCTION", "DUMP"],
        &["SCRIPT", "LOAD", "return 7"],
        &["SCRIPT", "EXISTS", "00"],
        &["COMMAND", "COUNT"],
        &["LASTSAVE"],
        &["ROLE"],
    ] {
        let reply = wire.command(words);
        assert!(!reply.starts_with(b"-ERR unknown"), "{words:?}: {}", shown(&reply));
    }
}

#[test]
fn the_documentation_lists_all_escapes() {
    let page = include_str!("../../docs/differences.md");
    let (_, list) = page.split_once("- **Escapes do not exist**").expect("the paragraph");
    let (list, _) = list.split_once("\n- **").expect("its end");
    for rule in Escapes::rules() {
        let (name, word) = rule.split_once('|').unwrap_or((rule, rule));
        let (_, after) = list.split_once(&format!("`{name}`")).expect(rule);
        let own = after.split(';').next().unwrap_or_default();
        assert!(name == word || own.contains(&format!("`{word}`")), "{rule}");
    }
}

/// A reply as far as these tests read it.
#[derive(Debug)]
enum Reply {
    Text(String),
    List(Vec<Self>),
}

impl Reply {
    /// Reads a reply in RESP2.
    fn read(bytes: &mut &[u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line");
        let (line, rest) = bytes.split_at(end);
        *bytes = &rest[2..];
        let text = String::from_utf8(line[1..].to_vec()).expect("text");
        match line[0] {
            b'*' => {
                let count = text.parse::<i32>().expect("a number").max(0);
                Self::List((0..count).map(|_| Self::read(bytes)).collect())
            }
            b'$' => {
                let len = text.parse::<usize>().expect("a length");
                let (body, rest) = bytes.split_at(len);
                *bytes = &rest[2..];
                Self::Text(String::from_utf8_lossy(body).into_owned())
            }
            _ => Self::Text(text),
        }
    }

    fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(text) => panic!("not a list: {text}"),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::List(items) => panic!("not a text: {items:?}"),
        }
    }
}

/// Returns the arity of every command and subcommand of `redis`, and whether it flags the command as
/// administrative or has it in the category `@dangerous`.
fn described(redis: &Redis) -> BTreeMap<String, (i64, bool)> {
    fn collect(commands: &[Reply], found: &mut BTreeMap<String, (i64, bool)>) {
        for command in commands {
            let fields = command.list();
            let has = |field: &Reply, word: &str| field.list().iter().any(|own| own.text() == word);
            let is_dangerous = has(&fields[2], "admin") || has(&fields[6], "@dangerous");
            let arity = fields[1].text().parse().expect("a number");
            found.insert(fields[0].text().to_ascii_lowercase(), (arity, is_dangerous));
            collect(fields[9].list(), found);
        }
    }
    let reply = redis.direct().command(&["COMMAND"]);
    let mut found = BTreeMap::new();
    collect(Reply::read(&mut &*reply).list(), &mut found);
    found
}

/// Returns the words of a request for `name` that no server can run: it has a subcommand or option that
/// no server knows, and as many arguments as the server wants.
fn harmless(name: &str, arity: i64) -> Vec<String> {
    let mut words: Vec<_> = name.split('|').map(str::to_owned).collect();
    let least = usize::try_from(arity.unsigned_abs()).expect("a small number");
    words.resize(least.max(words.len()), "nonsense".to_owned());
    words
}

const CALLER: &str = "#!lua name=caller\nredis.register_function('caller', \
                      function(keys, args) return redis.call(unpack(args)) end)";

/// Returns true if `reply` says that a script's call of a command was refused.
fn is_refused_in_a_script(reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    let refused = [
        "can't run this command",
        "has no permissions",
        "not allowed from script",
        // The server does not have it.
        "Unknown ",
        "unknown ",
    ];
    refused.iter().any(|part| text.contains(part))
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn every_dangerous_command_of_every_server_has_a_verdict_that_holds() {
    servers::on_each(&servers::WITH_MODULES, |server| {
        let redis = Redis::setup().server(server).start();
        let redoubt = Redoubt::start(&redis);
        let mut wire = redoubt.session();
        let loaded = wire.command(&["FUNCTION", "LOAD", CALLER]);
        assert!(!loaded.starts_with(b"-"), "{}", shown(&loaded));
        let described = described(&redis);
        let dangerous = described.iter().filter(|(_, (_, is_dangerous))| *is_dangerous);
        let mut asked: BTreeSet<_> = dangerous.map(|(name, _)| name.clone()).collect();
        assert!(asked.len() > 60, "only {} commands", asked.len());
        asked.extend(Escapes::rules().map(str::to_ascii_lowercase));
        for name in asked {
            let verdict = Escapes::reviewed(&name);
            let verdict = verdict.unwrap_or_else(|| panic!("{name} of {server} has no verdict"));
            if let Reviewed::Allowed(_) = verdict {
                continue;
            }
            if name == "restore" && server == "valkey-9.1" {
                // This server checks payloads.
                continue;
            }
            let arity = described.get(&name).map_or(1, |(arity, _)| *arity);
            let words = harmless(&name, arity);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let reply = wire.command(&words);
            assert!(reply.starts_with(b"-ERR unknown "), "{words:?}: {}", shown(&reply));
            assert_eq!(wire.command(&["MULTI"]), b"+OK\r\n");
            let reply = wire.command(&words);
            assert!(reply.starts_with(b"-ERR unknown "), "{words:?} in MULTI: {}", shown(&reply));
            let reply = wire.command(&["EXEC"]);
            assert!(reply.starts_with(b"-EXECABORT "), "{words:?}: {}", shown(&reply));
            let script = "return redis.call(unpack(ARGV))";
            let reply = wire.command(&[&["EVAL", script, "0"], &words[..]].concat());
            assert!(is_refused_in_a_script(&reply), "{words:?} in EVAL: {}", shown(&reply));
            let reply = wire.command(&[&["FCALL", "caller", "0"], &words[..]].concat());
            assert!(is_refused_in_a_script(&reply), "{words:?} in FCALL: {}", shown(&reply));
        }
    });
}

#[test]
fn administrative_commands_of_the_table_have_a_verdict() {
    let administrative = command::specs().filter(|spec| spec.flags.contains(command::Flag::Admin));
    let open: Vec<_> = administrative
        .filter(|spec| Escapes::reviewed(spec.name).is_none())
        .map(|s| s.name)
        .collect();
    assert_eq!(open, Vec::<&str>::new());
}
