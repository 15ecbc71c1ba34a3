//! The requests of a client.

use super::{CLIENT_PASSWORD, COMMON, Client};
use support::rng::Rng;

/// Names of which some or all servers reject some.
const NAMES: [&str; 4] = ["", "two words", "nul\0behind", "\0"];

impl Client {
    fn id(&mut self) -> String {
        self.next += 1;
        let lead = if self.redis.conns[&0].authenticated { "id" } else { "u" };
        format!("{lead}:{}:{}", self.number, self.next)
    }

    /// Chooses a request that is possible now.
    pub(super) fn compose(&mut self, rng: &mut Rng) -> Vec<Vec<u8>> {
        let (authenticated, queueing, visible, restricted) = {
            let conn = &self.redis.conns[&0];
            (conn.authenticated, conn.queue.is_some(), conn.visible(), conn.restricted())
        };
        let (session, id) = (self.number, self.id());
        let key = |kind: &str, rng: &mut Rng| format!("{kind}:{session}:{}", rng.below(3));
        let line = |text: String| text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let login = |rng: &mut Rng| -> Vec<Vec<u8>> {
            let password: &str = if rng.one_in(4) { "wrong" } else { CLIENT_PASSWORD };
            let mut args: Vec<&str> = match rng.below(4) {
                0 => vec!["AUTH", password],
                1 => vec!["auth", "default", password],
                2 => vec!["HELLO", "3", "AUTH", "default", password],
                _ => vec!["hello", "2", "SETNAME", "first", "AUTH", "default", password],
            };
            if args.len() == 5 && rng.one_in(2) {
                args.extend(["SETNAME", "later"]);
            }
            if args[0].eq_ignore_ascii_case("hello") && rng.one_in(4) {
                let more: &[&str] = match rng.below(4) {
                    0 => &["AUTH", "default", CLIENT_PASSWORD],
                    1 => &["AUTH", "default", "wrong"],
                    2 => &["SETNAME", *rng.pick(&NAMES)],
                    _ => &["NOSUCH"],
                };
                args.extend(more);
            }
            args.into_iter().map(|arg| arg.as_bytes().to_vec()).collect()
        };
        if !authenticated {
            return match rng.below(12) {
                0 => line(format!("PING {id}")),
                1 => line(format!("SET {id} {id}")),
                2 => line(format!("SUBSCRIBE {id}")),
                3 => line("MULTI".into()),
                4 => line(format!("FLUSHALL {id}")),
                5 => line(format!("NOSUCH {id}")),
                6 => line((*rng.pick(&["HELLO", "HELLO 3", "HELLO 4", "RESET", "AUTH"])).into()),
                7 => line("CLIENT REPLY OFF".into()),
                _ => login(rng),
            };
        }
        if restricted && !rng.one_in(3) {
            return self.subscription(rng, &id);
        }
        if rng.one_in(12) {
            let script = match rng.one_in(8) {
                false => "one",
                true => *rng.pick(&["none", "two", "three", "busy", "open", "after", "mad"]),
            };
            self.sent_scripts = true;
            return line(format!("EVAL {script} 0 {id}"));
        }
        match rng.below(61) {
            0..=3 => line(format!("ECHO {id}")),
            4 => line(format!("PING {id}")),
            5 => line("ping".into()),
            6..=8 => {
                let size = match rng.below(if self.heavy { 4 } else { 60 }) {
                    0 => 70_000 + rng.below(if self.heavy { 400_000 } else { 10 }),
                    1 => rng.below(9_000),
                    _ => rng.below(20),
                };
                let mut value = format!("{id}:").into_bytes();
                value.resize(value.len() + size, b'x');
                let mut args: Vec<Vec<u8>> = line(format!("SET {}", key("k", rng)));
                args.push(value);
                args
            }
            9..=13 => line(format!("GET {}", key("k", rng))),
            14..=16 => line(format!("MGET {} {id}", key("k", rng))),
            17..=19 => line(format!("INCR {}", key("c", rng))),
            20 => line(format!("DEL {}", key("l", rng))),
            21 | 22 => {
                let word = *rng.pick(&["message", "subscribe", "x", "invalidate"]);
                line(format!("LPUSH {} {id} all:0 {word}", key("l", rng)))
            }
            23 | 24 => line(format!("LRANGE {} 0 -1", key("l", rng))),
            25 if visible => line(format!("BLPOP {} 0", key("l", rng))),
            26 if visible => line(format!("BLPOP b:{session}:{} 0", self.next)),
            27 | 28 => line(format!("SELECT {}", rng.below(3))),
            29..=31 => line("MULTI".into()),
            32..=35 => line("EXEC".into()),
            36 => line("DISCARD".into()),
            37 => line(format!("WATCH {}", key("k", rng))),
            38 => line("UNWATCH".into()),
            39..=41 if !queueing => self.subscription(rng, &id),
            42 if !queueing && visible => line(format!("PUBLISH {} {id}", rng.pick(&COMMON))),
            43 if !queueing => line(format!("PUBLISH own:{session}:0 {id}")),
            44 => line((*rng.pick(&["HELLO 2", "HELLO 3", "HELLO", "HELLO 7"])).into()),
            45 => login(rng),
            46 if rng.one_in(3) => {
                let name = *rng.pick(&NAMES);
                ["CLIENT", "SETNAME", name].map(|word| word.as_bytes().to_vec()).into()
            }
            46 => line(format!("CLIENT SETNAME name-{session}")),
            47 | 48 => line("CLIENT GETNAME".into()),
            // Inside a transaction it breaks the protocol at EXEC, and Redoubt stops tracking the
            // replies.
            49 if !queueing => {
                let word = *rng.pick(&["ON", "OFF", "SKIP", "SKIP", "MAYBE"]);
                line(format!("CLIENT REPLY {word}"))
            }
            50 | 51 => {
                let name = *rng.pick(&["FLUSHALL", "flushdb", "CONFIG", "Debug"]);
                line(format!("{name} GET {id}"))
            }
            52 => line(format!("NOSUCH {id}")),
            53 => {
                let short = ["EXEC x", "GET", "MULTI x", "AUTH", "SUBSCRIBE", "DISCARD x"];
                line((*rng.pick(&short)).into())
            }
            54 if rng.one_in(3) => line("RESET".into()),
            55 if rng.one_in(8) => line("QUIT".into()),
            56 if !visible && !queueing => line("CLIENT REPLY ON".into()),
            57..=60 if !queueing => self.subscription(rng, &id),
            _ => line(format!("ECHO {id}")),
        }
    }

    /// Chooses a request that is permitted in subscribed state.
    fn subscription(&mut self, rng: &mut Rng, id: &str) -> Vec<Vec<u8>> {
        let own = format!("own:{}:{}", self.number, rng.below(2));
        let channel = if rng.one_in(2) { own } else { (*rng.pick(&COMMON)).to_owned() };
        let text = match rng.below(12) {
            0..=2 => format!("SUBSCRIBE {channel}"),
            3 => format!("SUBSCRIBE {channel} all:1 own:{}:9", self.number),
            4 | 5 => format!("UNSUBSCRIBE {channel}"),
            6 => "UNSUBSCRIBE".to_owned(),
            7 => (*rng.pick(&["PSUBSCRIBE all:*", "PSUBSCRIBE own:*"])).to_owned(),
            8 => (*rng.pick(&["PUNSUBSCRIBE", "PUNSUBSCRIBE all:*"])).to_owned(),
            9 => (*rng.pick(&["UNSUBSCRIBE", "PUNSUBSCRIBE"])).to_owned(),
            _ => format!("PING {id}"),
        };
        // A pattern for the own channels of all sessions would receive other sessions' messages too.
        let text = text.replace("own:*", &format!("own:{}:*", self.number));
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }
}
