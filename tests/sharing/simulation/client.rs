//! A client: what it sends, and what it must receive.
//!
//! It sends each request to a model of Redis of its own first, so it knows each reply and the order. It
//! cannot know three things: messages on common channels, which come between any two frames while it is
//! subscribed; how many other clients received a message that it published there; and the value of a
//! blocking pop.

use std::collections::VecDeque;

use super::model::{Redis, Side};
use super::server::Server;
use super::wire::{bulk, frame, multibulk};
use support::rng::Rng;

mod talk;

pub(crate) const CLIENT_PASSWORD: &str = "the clients' own password";
pub(crate) const COMMON: [&str; 3] = ["all:0", "all:1", "all:2"];

/// The expected content of a frame.
#[derive(Debug)]
enum Expected {
    Frame(Vec<u8>),
    AnyInteger,
    /// The reply to a blocking pop of this key.
    Popped(Vec<u8>),
    /// A message that follows the reply to the client's own `PUBLISH`. Replies of Redoubt's own may
    /// come before it, and it is lost if the session gives up its link first.
    Late(Vec<u8>),
}

/// The subscriptions on common channels, and the protocol of their messages.
#[derive(Debug, Clone, Copy, Default)]
struct View {
    resp3: bool,
    /// One bit for each channel, and a bit for the pattern.
    listens: u8,
}

const PATTERN_BIT: u8 = 1 << 7;

#[derive(Debug)]
struct Due {
    expected: Expected,
    /// The view from this frame on.
    view: View,
    /// True if it answers a command that may block.
    blocking: bool,
}

pub(crate) struct Client {
    pub(crate) number: u32,
    /// The model of the server that the client expects.
    redis: Redis,
    due: VecDeque<Due>,
    view: View,
    pub(crate) to_send: Vec<u8>,
    received: Vec<u8>,
    next: u32,
    /// True if it has sent what ends the session, and so sends no more.
    pub(crate) said_last: bool,
    /// True if it ever sent `RESET`.
    was_reset: bool,
    /// True if a reply was hidden, so that Redoubt may wait for a reply that the client does not
    /// expect.
    pub(crate) hid_replies: bool,
    /// Most channels and patterns that it was ever subscribed to.
    pub(crate) most_subscribed: usize,
    /// True if it may use values that fill buffers.
    heavy: bool,
    /// True if it has sent a script.
    pub(crate) sent_scripts: bool,
    /// True if no link was logged in after that, so that the upstream may have forgotten its scripts.
    pub(crate) lost_scripts: bool,
    /// True if it has made the upstream send too many, too few or bad replies: from then on it may
    /// receive any bytes of its own, and may be closed for it.
    pub(crate) faulty: bool,
    server: Server,
}

impl Client {
    pub(crate) fn new(number: u32, heavy: bool, server: Server) -> Self {
        let mut redis = Redis::new(Side::Client, server, CLIENT_PASSWORD, "");
        redis.connect(0, false);
        Self {
            number,
            redis,
            due: VecDeque::new(),
            view: View::default(),
            to_send: Vec::new(),
            received: Vec::new(),
            next: 0,
            said_last: false,
            was_reset: false,
            hid_replies: false,
            most_subscribed: 0,
            heavy,
            sent_scripts: false,
            lost_scripts: false,
            faulty: false,
            server,
        }
    }

    pub(crate) fn has_all(&self) -> bool {
        self.has_all_replies() && self.received.is_empty()
    }

    /// Returns true if it has received all replies, except possibly the end of a message from others.
    pub(crate) fn has_all_replies(&self) -> bool {
        self.due.iter().all(|due| self.said_last && matches!(due.expected, Expected::Late(_)))
    }

    pub(crate) fn waits_for_a_pop(&self) -> bool {
        self.due.iter().any(|due| due.blocking)
    }

    pub(crate) fn awaited(&self) -> String {
        format!(
            "{} frames due, first {:?}; unfinished: {}",
            self.due.len(),
            self.due.front(),
            self.received.escape_ascii()
        )
    }

    /// Receives bytes and compares each complete frame with the expected frame.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received.extend(bytes);
        if self.faulty {
            return self.hear_own();
        }
        let mut used = 0;
        while let Some(len) = frame(&self.received[used..]) {
            let frame = masked(&self.received[used..used + len]);
            used += len;
            self.hear(&frame);
        }
        self.received.drain(..used);
    }

    /// Checks that the bytes that have arrived, in whatever order, belong to no other session.
    fn hear_own(&mut self) {
        let text = String::from_utf8_lossy(&self.received);
        let own = format!("id:{}:", self.number);
        let foreign = text.match_indices("id:").find(|(at, _)| {
            let rest = &text[*at..];
            // The bytes may be truncated at their end.
            !rest.starts_with(&own) && !own.starts_with(rest) && rest[3..].contains(':')
        });
        // Messages on common channels come from other sessions.
        if let Some((at, _)) = foreign.filter(|_| self.most_subscribed == 0) {
            panic!("session {} got {:?} of another", self.number, shorten(&self.received[at..]));
        }
        self.received.clear();
    }

    fn hear(&mut self, frame: &[u8]) {
        if frame.starts_with(b">2\r\n$10\r\ninvalidate\r\n") {
            return;
        }
        let is_late = |due: &Due| matches!(due.expected, Expected::Late(_));
        let overtaken = self.due.iter().take_while(|due| is_late(due)).count();
        let next = self.due.get(overtaken);
        if overtaken > 0
            && matches!(frame[0], b'-' | b'+')
            && let Some(Due { expected: Expected::Frame(bytes), view, .. }) = next
            && bytes == frame
        {
            self.view = *view;
            self.due.remove(overtaken);
            if frame == b"+RESET\r\n" {
                self.due.drain(..overtaken);
            }
            return;
        }
        let fits = self.due.front().is_some_and(|due| match &due.expected {
            Expected::Frame(bytes) | Expected::Late(bytes) => bytes == frame,
            Expected::AnyInteger => frame.starts_with(b":"),
            Expected::Popped(key) => {
                let value = [b"v", &key[..]].concat();
                frame == [b"*2\r\n", &bulk(key)[..], &bulk(&value)].concat()
                    || frame == if due.view.resp3 { &b"_\r\n"[..] } else { b"*-1\r\n" }
            }
        });
        if fits {
            let due = self.due.pop_front().unwrap();
            self.view = due.view;
            return;
        }
        assert!(
            self.is_common_message(frame),
            "session {} got {:?} instead of {:?} with view {:?}",
            self.number,
            shorten(frame),
            self.due.front(),
            self.view
        );
    }

    /// Returns true if it is a message on a common channel that the client is subscribed to.
    fn is_common_message(&self, frame: &[u8]) -> bool {
        // The reply to a HELLO may be hidden, so the protocol may be that of the next frame already.
        let next = self.due.front().map_or_else(|| self.current_view(), |due| due.view);
        let leads = [self.view.resp3, next.resp3].map(|resp3| if resp3 { '>' } else { '*' });
        let channels = COMMON.iter().enumerate();
        leads.iter().any(|lead| {
            channels.clone().any(|(bit, channel)| {
                let direct = format!("{lead}3\r\n$7\r\nmessage\r\n$5\r\n{channel}\r\n");
                let pattern =
                    format!("{lead}4\r\n$8\r\npmessage\r\n$5\r\nall:*\r\n$5\r\n{channel}\r\n");
                (self.view.listens & (1 << bit) != 0 && frame.starts_with(direct.as_bytes()))
                    || (self.view.listens & PATTERN_BIT != 0
                        && frame.starts_with(pattern.as_bytes()))
            })
        })
    }

    /// Returns true if the upstream will send too many, too few or bad replies to this.
    fn makes_faults(&self, args: &[Vec<u8>]) -> bool {
        let is = |arg: &Vec<u8>, word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
        let queueing = self.redis.conns[&0].queue.is_some();
        let wrong = args.iter().any(|arg| is(arg, "wrong"));
        let claims = is(&args[0], "auth") || is(&args[0], "hello");
        (is(&args[0], "eval") && !is(&args[1], "one"))
            || (self.server.mutes && queueing && claims && wrong)
    }

    fn current_view(&self) -> View {
        let conn = &self.redis.conns[&0];
        let bits = COMMON.iter().enumerate().filter_map(|(bit, channel)| {
            conn.channels.contains(channel.as_bytes()).then_some(1 << bit)
        });
        let pattern = if conn.patterns.contains(&b"all:*"[..]) { PATTERN_BIT } else { 0 };
        View { resp3: conn.resp3, listens: bits.sum::<u8>() | pattern }
    }

    /// Sends one more request. Returns it for the trace.
    pub(crate) fn speak(&mut self, rng: &mut Rng) -> String {
        if rng.one_in(40) {
            let blank: &[u8] = if rng.one_in(2) { b"\r\n" } else { b"*0\r\n" };
            self.to_send.extend(blank);
            self.redis.empty_request(0);
            return "(blank)".into();
        }
        if rng.one_in(400) {
            self.to_send.extend(b"*1\r\n+PING\r\n");
            self.expect_protocol_error("expected '$', got '+'");
            return "(protocol error)".into();
        }
        let words = self.compose(rng);
        let args: Vec<Vec<u8>> = words;
        if self.faulty {
            self.to_send.extend(multibulk(&args));
            self.most_subscribed +=
                usize::from(args[0].to_ascii_lowercase().ends_with(b"subscribe"));
            return format!("(faulty) {}", shorten(&args.concat()));
        }
        let plain = |arg: &Vec<u8>| {
            !arg.is_empty() && arg.iter().all(|b| b.is_ascii_graphic() && !b"'\"\\".contains(b))
        };
        if rng.one_in(120) {
            return self.end_lines_badly(rng, &args);
        }
        let short = args.iter().map(Vec::len).sum::<usize>() < 60_000;
        let inline = short && args.iter().all(plain) && rng.one_in(8);
        if inline {
            self.to_send.extend(args.join(&b' '));
            self.to_send.extend(b"\r\n");
        } else {
            self.to_send.extend(multibulk(&args));
        }
        self.expect(&args);
        if self.faulty {
            self.due.clear();
        }
        args.iter().map(|arg| shorten(arg)).collect::<Vec<_>>().join(" ")
    }

    /// Sends a request in which another byte than LF follows a length, or other bytes than CRLF an
    /// argument.
    fn end_lines_badly(&mut self, rng: &mut Rng, args: &[Vec<u8>]) -> String {
        let bad = rng.below(args.len());
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for (index, arg) in args.iter().enumerate() {
            let mut arg = bulk(arg);
            if index == bad {
                let length_end = arg.iter().position(|byte| *byte == b'\n').unwrap();
                let at = if rng.one_in(2) { length_end } else { arg.len() - 1 };
                arg[at] = b'x';
            }
            request.extend(arg);
        }
        self.to_send.extend(request);
        if self.server.checks_line_ends {
            self.expect_protocol_error("invalid CRLF in request");
        } else {
            self.expect(args);
        }
        format!("(bad line end) {}", shorten(&args.concat()))
    }

    fn expect_protocol_error(&mut self, text: &str) {
        self.said_last = true;
        if self.redis.conns[&0].visible() {
            let text = format!("-ERR Protocol error: {text}\r\n").into_bytes();
            let view = self.current_view();
            self.due.push_back(Due { expected: Expected::Frame(text), view, blocking: false });
        }
    }

    /// Sends the request to its own model and records the reply.
    fn expect(&mut self, args: &[Vec<u8>]) {
        let before = self.current_view();
        self.faulty |= self.makes_faults(args);
        self.was_reset |= args[0].eq_ignore_ascii_case(b"reset");
        let blocking = args[0].eq_ignore_ascii_case(b"blpop");
        let answer = self.redis.ask(0, args);
        let after = self.current_view();
        let conn = self.redis.conns.get_mut(&0).unwrap();
        self.said_last |= conn.closing;
        self.most_subscribed = self.most_subscribed.max(conn.subscriptions());
        if conn.blocked.take().is_some() {
            self.redis.request_done(0);
            let expected = Expected::Popped(args[1].clone());
            self.due.push_back(Due { expected, view: after, blocking });
            return;
        }
        let common = args.get(1).is_some_and(|channel| channel.starts_with(b"all:"));
        if common && args[0].eq_ignore_ascii_case(b"publish") && answer.starts_with(b":") {
            let expected = Expected::AnyInteger;
            self.due.push_back(Due { expected, view: after, blocking });
            return;
        }
        self.hid_replies |= answer.is_empty();
        let mut rest = &answer[..];
        while let Some(len) = frame(rest) {
            let mut expected = Expected::Frame(masked(&rest[..len]));
            let publishes = args[0].eq_ignore_ascii_case(b"publish");
            let counts = publishes && rest.starts_with(b":");
            if publishes && self.server.publishes_late && rest.starts_with(b">") {
                expected = Expected::Late(rest[..len].to_vec());
            }
            rest = &rest[len..];
            if self.was_reset && counts {
                // The link that RESET gave up may be subscribed until Redis notices that it is closed.
                expected = Expected::AnyInteger;
            }
            // Between the confirmations of one request both sets of subscriptions are possible.
            let between = View { listens: before.listens | after.listens, ..after };
            let view = if rest.is_empty() { after } else { between };
            self.due.push_back(Due { expected, view, blocking });
        }
        assert!(rest.is_empty());
    }
}

/// Masks the connection id in a `HELLO` reply, which only the upstream knows.
fn masked(frame: &[u8]) -> Vec<u8> {
    const ID: &[u8] = b"$2\r\nid\r\n:";
    let mut frame = frame.to_vec();
    if frame.len() < 64_000
        && frame.starts_with(b"*") | frame.starts_with(b"%")
        && let Some(at) = frame.windows(ID.len()).position(|window| window == ID)
    {
        let start = at + ID.len();
        let len = frame[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        frame.drain(start..start + len);
    }
    frame
}

pub(crate) fn shorten(bytes: &[u8]) -> String {
    let shown = bytes.get(..60).unwrap_or(bytes).escape_ascii().to_string();
    if bytes.len() > 60 { format!("{shown}…({} bytes)", bytes.len()) } else { shown }
}
