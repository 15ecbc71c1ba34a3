//! One connection to a small model of Redis, which sends a reply for each request; the content of
//! replies is simplified.

use redoubt_core::resp::{Parsed, RequestLimits, RequestParser};

/// The content of a large value.
const VALUE: [u8; 1000] = [b'v'; 1000];

/// The mode of `CLIENT REPLY`.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    On,
    Off,
    /// The next reply is skipped.
    SkipNext,
    Skip,
}

/// The state of the connection in Redis.
#[derive(Default)]
pub(super) struct Model {
    input: Vec<u8>,
    output: Vec<u8>,
    logged_in: bool,
    resp3: bool,
    /// Requests queued since `MULTI`.
    queued: Option<Queue>,
    channels: Vec<Vec<u8>>,
    mode: Mode,
    hung_up: bool,
}

#[derive(Default)]
struct Queue {
    len: usize,
    dirty: bool,
}

impl Model {
    /// Receives bytes and answers the requests in them.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let whole = RequestLimits { stream_at: usize::MAX, ..RequestLimits::AUTHENTICATED };
        let mut start = 0;
        while !self.hung_up && start < self.input.len() {
            let mut parser = RequestParser::new();
            match parser.parse(&self.input[start..], &whole) {
                Ok(Parsed::Request { len }) => {
                    let request = parser.request(&self.input[start..]);
                    let args: Vec<_> = request.args().map(<[u8]>::to_vec).collect();
                    start += len;
                    self.answer(&args);
                }
                Ok(Parsed::Empty { .. } | Parsed::Large) => panic!("no request was sent on"),
                Ok(Parsed::Incomplete) => break,
                // A large request that was found to be broken had been passed on by then.
                Err(_) => self.hung_up = true,
            }
        }
        self.input.drain(..start);
    }

    /// Returns up to `most` bytes of its replies.
    pub(super) fn speak(&mut self, most: usize) -> Vec<u8> {
        let len = self.output.len().min(most);
        self.output.drain(..len).collect()
    }

    /// Returns true if the model has closed the connection.
    pub(super) fn has_hung_up(&self) -> bool {
        self.hung_up && self.output.is_empty()
    }

    fn answer(&mut self, args: &[Vec<u8>]) {
        let name = args[0].to_ascii_lowercase();
        let text = |place: usize| args.get(place).map(|arg| arg.to_ascii_lowercase());
        if !self.logged_in {
            let login = [b"AUTH", super::UPSTREAM_PASSWORD.as_bytes()];
            assert!(args.iter().map(Vec::as_slice).eq(login), "the first request is no login");
            self.logged_in = true;
            return self.say(b"+OK\r\n");
        }
        assert!(
            name != b"reset" || args.len() > 1,
            "RESET without arguments would log the link out"
        );
        if name == b"quit" {
            // The model closes here, as the number of replies in a stream is unknown.
            self.hung_up = true;
            return self.say(b"+OK\r\n");
        }
        let (before, word) = (self.mode, text(1).unwrap_or_default());
        if name == b"client" && word == b"reply" && self.queued.is_none() {
            self.mode = match text(2).as_deref() {
                Some(b"off") => Mode::Off,
                Some(b"skip") if before != Mode::Off => Mode::SkipNext,
                Some(b"on") => Mode::On,
                _ => before,
            };
            match text(2).as_deref() {
                Some(b"on") => self.say(b"+OK\r\n"),
                Some(b"off" | b"skip") => {}
                _ => self.say(b"-ERR syntax error\r\n"),
            }
        } else {
            self.run(&name, args);
        }
        self.mode = match self.mode {
            Mode::SkipNext => Mode::Skip,
            Mode::Skip => Mode::On,
            other => other,
        };
    }

    fn run(&mut self, name: &[u8], args: &[Vec<u8>]) {
        let word = args.get(1);
        if let Some(queue) = &mut self.queued {
            let known = !name.starts_with(b"redoubt-refused");
            match name {
                b"exec" if queue.dirty => {
                    self.queued = None;
                    self.say(b"-EXECABORT Transaction discarded because of previous errors.\r\n");
                }
                b"exec" => {
                    let len = std::mem::take(&mut self.queued).map_or(0, |queue| queue.len);
                    let reply = [format!("*{len}\r\n").into_bytes(), b"+OK\r\n".repeat(len)];
                    self.say(&reply.concat());
                }
                b"discard" => {
                    self.queued = None;
                    self.say(b"+OK\r\n");
                }
                b"multi" | b"watch" => self.say(b"-ERR not inside MULTI\r\n"),
                _ if known => {
                    queue.len += 1;
                    self.say(b"+QUEUED\r\n");
                }
                _ => {
                    queue.dirty = true;
                    self.say(b"-ERR unknown command\r\n");
                }
            }
            return;
        }
        match (name, word) {
            (b"echo", Some(word)) if args.len() == 2 => self.bulk(&word.clone()),
            (b"ping", Some(word)) if args.len() == 2 => self.bulk(&word.clone()),
            (b"ping", None) => self.say(b"+PONG\r\n"),
            (b"get", Some(_)) => self.bulk(&VALUE),
            (b"multi", None) => {
                self.queued = Some(Queue::default());
                self.say(b"+OK\r\n");
            }
            (b"exec" | b"discard", None) => self.say(b"-ERR without MULTI\r\n"),
            (b"hello", Some(version)) => {
                self.resp3 = version == b"3";
                let reply: &[u8] = match self.resp3 {
                    true => b"%1\r\n$5\r\nproto\r\n:3\r\n",
                    false => b"*2\r\n$5\r\nproto\r\n:2\r\n",
                };
                self.say(reply);
            }
            (b"subscribe" | b"psubscribe" | b"ssubscribe", Some(_)) => {
                for channel in &args[1..] {
                    if !self.channels.contains(channel) {
                        self.channels.push(channel.clone());
                    }
                    self.notice(name, channel);
                }
            }
            (b"unsubscribe" | b"punsubscribe" | b"sunsubscribe", Some(_)) => {
                for channel in &args[1..] {
                    self.channels.retain(|held| held != channel);
                    self.notice(name, channel);
                }
            }
            (b"blpop" | b"brpop", Some(_)) => self.say(b"*-1\r\n"),
            (b"wait", Some(_)) => self.say(b":0\r\n"),
            _ => self.say(b"+OK\r\n"),
        }
    }

    fn notice(&mut self, kind: &[u8], channel: &[u8]) {
        let lead = if self.resp3 { '>' } else { '*' };
        let count = self.channels.len();
        self.output.extend(format!("{lead}3\r\n${}\r\n", kind.len()).bytes());
        self.output.extend_from_slice(kind);
        self.output.extend(format!("\r\n${}\r\n", channel.len()).bytes());
        self.output.extend_from_slice(channel);
        self.output.extend(format!("\r\n:{count}\r\n").bytes());
    }

    fn bulk(&mut self, value: &[u8]) {
        let head = format!("${}\r\n", value.len()).into_bytes();
        self.say(&[&head, value, b"\r\n"].concat());
    }

    fn say(&mut self, reply: &[u8]) {
        if matches!(self.mode, Mode::On | Mode::SkipNext) {
            self.output.extend_from_slice(reply);
        }
    }
}
