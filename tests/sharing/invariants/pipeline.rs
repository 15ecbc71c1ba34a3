//! Every request gets the replies that Redis would give it, in order, wherever they come from.

use super::{requests, shared};
use support::{Redoubt, frame, note, random, shown};

/// A generator whose seed is printed when a test fails.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }
}

/// Requests of one session and their expected replies: no other session uses its data.
struct Script {
    dice: Dice,
    me: u64,
    count: u64,
    database: u64,
    name: String,
    said: Vec<u8>,
    heard: Vec<u8>,
}

impl Script {
    fn ask(&mut self, words: &[&str], reply: &[u8]) {
        self.said.extend(frame::request(words));
        self.heard.extend_from_slice(reply);
    }

    /// Adds one step: remote, local, on a lease, on another link, or large.
    fn step(&mut self) {
        self.count += 1;
        let (me, count) = (self.me, self.count);
        let word = format!("{me}:{count}");
        let key = format!("key:{me}");
        let bulk = frame::bulk(word.as_bytes());
        match self.dice.below(16) {
            0..=2 => self.ask(&["ECHO", &word], &bulk),
            3 => {
                self.ask(&["SET", &key, &word], b"+OK\r\n");
                self.ask(&["GET", &key], &bulk);
            }
            4 => {
                let error = format!(
                    "-ERR unknown command 'CONFIG', with args beginning with: '{word}' \r\n"
                );
                self.ask(&["CONFIG", &word], error.as_bytes());
            }
            5 => {
                self.ask(&["CLIENT", "SETNAME", &word], b"+OK\r\n");
                self.name = word;
            }
            6 => {
                let name = match self.name.as_str() {
                    "" => b"$-1\r\n".to_vec(),
                    name => frame::bulk(name.as_bytes()),
                };
                self.ask(&["CLIENT", "GETNAME"], &name);
            }
            7 => {
                self.database = self.dice.below(4);
                self.ask(&["SELECT", &self.database.to_string()], b"+OK\r\n");
                let here = format!("here:{me}");
                self.ask(&["SET", &here, &self.database.to_string()], b"+OK\r\n");
                self.ask(&["GET", &here], &frame::bulk(self.database.to_string().as_bytes()));
            }
            8 => {
                self.ask(&["MULTI"], b"+OK\r\n");
                self.ask(&["ECHO", &word], b"+QUEUED\r\n");
                self.ask(&["EXEC"], &[b"*1\r\n", &bulk[..]].concat());
            }
            9 => {
                self.ask(&["WATCH", &key], b"+OK\r\n");
                self.ask(&["SET", &key, "x"], b"+OK\r\n");
                self.ask(&["MULTI"], b"+OK\r\n");
                self.ask(&["EXEC"], b"*-1\r\n");
            }
            10 => self.ask(&["EVAL", "return ARGV[1]", "0", &word], &bulk),
            11 => {
                let list = format!("list:{me}");
                self.ask(&["RPUSH", &list, &word], b":1\r\n");
                let popped = [b"*2\r\n", &frame::bulk(list.as_bytes())[..], &bulk[..]].concat();
                self.ask(&["BLPOP", &list, "0"], &popped);
            }
            12 => self.ask(&["BLPOP", "nothing", "0.001"], b"*-1\r\n"),
            13 => {
                let large = word.repeat(30_000);
                self.ask(&["SET", &key, &large], b"+OK\r\n");
                self.ask(&["STRLEN", &key], format!(":{}\r\n", large.len()).as_bytes());
            }
            14 => {
                let channel = frame::bulk(word.as_bytes());
                let subscribed = [b"*3\r\n$9\r\nsubscribe\r\n", &channel[..], b":1\r\n"].concat();
                let over = [b"*3\r\n$11\r\nunsubscribe\r\n", &channel[..], b":0\r\n"].concat();
                self.ask(&["SUBSCRIBE", &word], &subscribed);
                self.ask(&["UNSUBSCRIBE"], &over);
            }
            _ => {
                self.said.extend(format!("wait 0 0\r\nPING {word}\r\n\r\n").bytes());
                self.heard.extend([b":0\r\n", &bulk[..]].concat());
            }
        }
    }
}

fn run(redoubt: &Redoubt, seed: u64, me: u64) {
    let mut script = Script {
        dice: Dice(seed.wrapping_add(me)),
        me,
        count: 0,
        database: 0,
        name: String::new(),
        said: Vec::new(),
        heard: Vec::new(),
    };
    let mut session = redoubt.session();
    for _ in 0..12 {
        for _ in 0..=script.dice.below(30) {
            script.step();
        }
        let step =
            [5, 77, 1400, 100_000][script.dice.below(4) as usize].max(script.said.len() / 200);
        let wanted = std::mem::take(&mut script.heard);
        let said = std::mem::take(&mut script.said);
        let came = session.exchange(&said, step, false, |got| got.len() >= wanted.len());
        if !came || session.received() != wanted {
            let same = session.received().iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            let rest = |bytes: &[u8]| shown(&bytes[same.min(bytes.len())..]);
            note(&format!(
                "session {me}, wanted {}, got {}",
                rest(&wanted),
                rest(session.received())
            ));
            panic!("a wrong reply; the seed is {seed}");
        }
        session.expect(&wanted);
    }
}

#[test]
fn invariant_2_every_request_gets_its_replies_in_order() {
    let (_redis, redoubt) = shared();
    let seed = std::env::var("REDOUBT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed =
        seed.unwrap_or_else(|| random(4).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..12)
            .map(|me| {
                scope.spawn({
                    let redoubt = &redoubt;
                    move || run(redoubt, seed, me)
                })
            })
            .collect();
        for one in all {
            one.join().expect("its own replies");
        }
    });
}

#[test]
fn invariant_9_moving_between_links_keeps_order() {
    let (_redis, redoubt) = shared();
    let mut other = redoubt.session();
    let mut session = redoubt.session();
    assert_eq!(session.command(&["SELECT", "1"]), b"+OK\r\n");
    assert_eq!(session.command(&["SELECT", "0"]), b"+OK\r\n");
    let said = requests(&[
        "INCR n",
        "SELECT 1",
        "INCR n",
        "EVAL return{redis.call('INCR','n')} 0",
        "INCR n",
        "SELECT 0",
        "MULTI",
        "INCR n",
        "EXEC",
        "INCR n",
        "BLPOP none 0.01",
        "INCR n",
        "WAIT 0 0",
        "INCR n",
    ]);
    for round in 0..50 {
        let first = 5 * round;
        let inner = 3 * round;
        session.send(&said);
        assert_eq!(other.command(&["ECHO", "x"]), b"$1\r\nx\r\n");
        session.expect(
            format!(
                ":{}\r\n+OK\r\n:{}\r\n*1\r\n:{}\r\n:{}\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:{}\r\n:{}\r\n*-1\r\n:{}\r\n:0\r\n:{}\r\n",
                first + 1, inner + 1, inner + 2, inner + 3, first + 2, first + 3, first + 4, first + 5
            )
            .as_bytes(),
        );
    }
}
