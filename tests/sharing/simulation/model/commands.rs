//! The commands of the model.

use std::collections::VecDeque;

use super::super::wire::{bulk, error, integer};
use super::conn::{Conn, Mode};
use super::{Key, Redis, Side, Value};

const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

impl Redis {
    pub(super) fn execute(&mut self, conn: &mut Conn, name: &str, args: &[Vec<u8>]) {
        let arg = |index: usize| args.get(index).map_or(&b""[..], Vec::as_slice);
        match name {
            "ping" if conn.restricted() => {
                let pong = [b"*2\r\n$4\r\npong\r\n", &bulk(arg(1))[..]].concat();
                conn.say(pong);
            }
            "ping" if args.len() == 1 => conn.say("+PONG\r\n"),
            "ping" | "echo" => conn.say(bulk(arg(1))),
            "auth" => {
                let (user, password) = match args.len() {
                    2 => (&b"default"[..], arg(1)),
                    _ => (arg(1), arg(2)),
                };
                self.auth(conn, user, password);
            }
            "eval" => self.eval(conn, arg(1), arg(3)),
            "hello" => self.hello(conn, args),
            "client" => self.client(conn, args),
            "select" => match arg(1) {
                [digit @ b'0'..=b'9'] => {
                    conn.db = digit - b'0';
                    conn.say("+OK\r\n");
                }
                _ => conn.say(error("ERR DB index is out of range")),
            },
            "multi" if conn.queue.is_some() => {
                conn.say(error("ERR MULTI calls can not be nested"));
            }
            "multi" => {
                conn.queue = Some(Vec::new());
                conn.say("+OK\r\n");
            }
            "exec" => self.exec(conn),
            "discard" if conn.queue.is_none() => conn.say(error("ERR DISCARD without MULTI")),
            "discard" => {
                self.end_transaction(conn);
                conn.say("+OK\r\n");
            }
            "watch" if conn.queue.is_some() => {
                conn.say(error("ERR WATCH inside MULTI is not allowed"));
            }
            "watch" => {
                let key = (conn.db, arg(1).to_vec());
                let version = self.version(&key);
                conn.watched.push((key, version));
                conn.say("+OK\r\n");
            }
            "unwatch" => {
                conn.watched.clear();
                conn.say("+OK\r\n");
            }
            "quit" => {
                conn.say("+OK\r\n");
                conn.closing = true;
            }
            "reset" => {
                let input = std::mem::take(&mut conn.input);
                let output = std::mem::take(&mut conn.output);
                // RESET ends `CLIENT REPLY OFF` before it answers, but not `SKIP`.
                let skips = matches!(conn.mode, Mode::Skip);
                *conn = Conn { input, output, ..Conn::default() };
                conn.mode = if skips { Mode::Skip } else { Mode::On };
                conn.say("+RESET\r\n");
            }
            "subscribe" | "psubscribe" => self.subscribe(conn, name, &args[1..]),
            "unsubscribe" | "punsubscribe" => self.unsubscribe(conn, name, &args[1..]),
            "publish" => {
                let count = self.publish(Some(conn), arg(1), arg(2));
                conn.say(integer(count));
            }
            _ => self.data(conn, name, args),
        }
    }

    fn auth(&mut self, conn: &mut Conn, user: &[u8], password: &[u8]) -> bool {
        if conn.refuse_login {
            conn.say(error("ERR max number of clients reached"));
            return false;
        }
        let right = user == b"default" && password == self.password;
        conn.authenticated |= right;
        match right {
            true => conn.say("+OK\r\n"),
            false => self.wrong_password(conn),
        }
        right
    }

    fn wrong_password(&self, conn: &mut Conn) {
        if self.server.mutes && !conn.output.is_empty() {
            conn.faulty = true;
            return;
        }
        conn.say(error("WRONGPASS invalid username-password pair or user is disabled."));
    }

    /// Sends as many replies as `script` says, with its faults.
    fn eval(&self, conn: &mut Conn, script: &[u8], id: &[u8]) {
        conn.faulty |= script != b"one";
        match script {
            _ if self.side == Side::Client => conn.say(bulk(id)),
            b"none" => {}
            b"two" => conn.say([bulk(id), bulk(id)].concat()),
            b"three" => conn.say([bulk(id), bulk(id), b"-BUSY forged\r\n".to_vec()].concat()),
            b"busy" => conn.say([bulk(id), b"-BUSY forged\r\n".to_vec()].concat()),
            b"open" => conn.say([b"$5000\r\n", id].concat()),
            b"after" => conn.say([&bulk(id)[..], b"$5000\r\n", id].concat()),
            b"mad" => conn.say([b"?", id, b"\r\n"].concat()),
            _ => conn.say(bulk(id)),
        }
    }

    fn hello(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        let resp3 = match args.get(1).map(Vec::as_slice) {
            None => conn.resp3,
            Some(b"2") => false,
            Some(b"3") => true,
            Some([b'0'..=b'9']) => return conn.say(error("NOPROTO unsupported protocol version")),
            Some(_) => {
                let text = "ERR Protocol version is not an integer or out of range";
                return conn.say(error(text));
            }
        };
        let atomic = self.server.hello_is_atomic;
        let (mut claimed, mut name) = (None, None);
        let mut rest = args.get(2..).unwrap_or_default();
        while let Some(option) = rest.first() {
            if option.eq_ignore_ascii_case(b"auth") && rest.len() >= 3 {
                claimed = Some((&rest[1], &rest[2]));
                if !atomic && !self.claims(conn, &rest[1], &rest[2]) {
                    return;
                }
                rest = &rest[3..];
            } else if option.eq_ignore_ascii_case(b"setname") && rest.len() >= 2 {
                if !self.is_name(&rest[1]) {
                    return conn.say(error(BAD_NAME));
                }
                name = Some(rest[1].clone());
                if let Some(name) = name.take_if(|_| !atomic) {
                    conn.name = name;
                }
                rest = &rest[2..];
            } else {
                let text = format!("ERR Syntax error in HELLO option '{}'", option.escape_ascii());
                return conn.say(error(&text));
            }
        }
        if let Some((user, password)) = claimed.filter(|_| atomic)
            && !self.claims(conn, user, password)
        {
            return;
        }
        if !conn.authenticated {
            let form = if atomic { "HELLO <proto> AUTH" } else { "HELLO AUTH" };
            return conn.say(error(&format!(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                 {form} <user> <pass> option can be used to authenticate the client and select \
                 the RESP protocol version at the same time"
            )));
        }
        if let Some(name) = name {
            conn.name = name;
        }
        conn.resp3 = resp3;
        let (head, proto) = if resp3 { ("%7", 3) } else { ("*14", 2) };
        let [name, version] = [self.server.name, self.server.version];
        let (name_len, version_len) = (name.len(), version.len());
        conn.say(format!(
            "{head}\r\n$6\r\nserver\r\n${name_len}\r\n{name}\r\n$7\r\nversion\r\n\
             ${version_len}\r\n{version}\r\n$5\r\nproto\r\n:{proto}\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\n\
             master\r\n$7\r\nmodules\r\n*0\r\n"
        ));
    }

    /// Logs in by an option of `HELLO`.
    fn claims(&self, conn: &mut Conn, user: &[u8], password: &[u8]) -> bool {
        let right = user == b"default" && password == self.password;
        conn.authenticated |= right;
        if !right {
            self.wrong_password(conn);
        }
        right
    }

    fn is_name(&self, name: &[u8]) -> bool {
        let cut = name.iter().position(|byte| *byte == 0 && self.server.names_end_at_nul);
        name[..cut.unwrap_or(name.len())].iter().all(u8::is_ascii_graphic)
    }

    fn client(&mut self, conn: &mut Conn, args: &[Vec<u8>]) {
        match args[1].to_ascii_lowercase().as_slice() {
            b"setname" if !self.is_name(&args[2]) => conn.say(error(BAD_NAME)),
            b"setname" => {
                conn.name = args[2].clone();
                conn.say("+OK\r\n");
            }
            b"getname" if conn.name.is_empty() => conn.say(conn.null()),
            b"getname" => conn.say(bulk(&conn.name)),
            _ => match args[2].to_ascii_lowercase().as_slice() {
                b"on" => {
                    conn.mode = Mode::On;
                    conn.say("+OK\r\n");
                }
                b"off" => conn.mode = Mode::Off,
                b"skip" if conn.mode == Mode::Off => {}
                b"skip" => conn.mode = Mode::SkipNext,
                _ => conn.say(error("ERR syntax error")),
            },
        }
    }

    pub(super) fn version(&self, key: &Key) -> u64 {
        self.versions.get(key).copied().unwrap_or(0)
    }

    fn changed(&mut self, key: Key) {
        *self.versions.entry(key).or_default() += 1;
    }

    fn data(&mut self, conn: &mut Conn, name: &str, args: &[Vec<u8>]) {
        const WRONG_TYPE: &str =
            "WRONGTYPE Operation against a key holding the wrong kind of value";
        let key = (conn.db, args[1].clone());
        let value = self.keys.get(&key).cloned();
        match (name, value) {
            ("set", _) => {
                self.keys.insert(key.clone(), Value::Text(args[2].clone()));
                self.changed(key);
                conn.say("+OK\r\n");
            }
            ("del", value) => {
                if value.is_some() {
                    self.keys.remove(&key);
                    self.changed(key);
                }
                conn.say(integer(usize::from(value.is_some())));
            }
            ("mget", _) => {
                conn.say(format!("*{}\r\n", args.len() - 1));
                for name in &args[1..] {
                    match self.keys.get(&(conn.db, name.clone())) {
                        Some(Value::Text(text)) => conn.say(bulk(text)),
                        _ => conn.say(conn.null()),
                    }
                }
            }
            ("get", None) => conn.say(conn.null()),
            ("get", Some(Value::Text(text))) => conn.say(bulk(&text)),
            ("incr", None | Some(Value::Text(_))) => {
                let old = match value_text(self.keys.get(&key)) {
                    None => Some(0),
                    Some(text) => text.parse::<usize>().ok(),
                };
                match old {
                    Some(old) => {
                        let new = (old + 1).to_string();
                        self.keys.insert(key.clone(), Value::Text(new.into_bytes()));
                        self.changed(key);
                        conn.say(integer(old + 1));
                    }
                    None => conn.say(error("ERR value is not an integer or out of range")),
                }
            }
            ("lpush", None | Some(Value::List(_))) => {
                let mut list = match self.keys.remove(&key) {
                    Some(Value::List(list)) => list,
                    _ => VecDeque::new(),
                };
                args[2..].iter().for_each(|item| list.push_front(item.clone()));
                conn.say(integer(list.len()));
                self.keys.insert(key.clone(), Value::List(list));
                self.changed(key);
            }
            ("lrange", None) => conn.say("*0\r\n"),
            ("lrange", Some(Value::List(list))) => {
                conn.say(format!("*{}\r\n", list.len()));
                list.iter().for_each(|item| conn.say(bulk(item)));
            }
            ("blpop", None) => conn.blocked = Some(args[1].clone()),
            ("blpop", Some(Value::List(mut list))) => {
                let item = list.pop_front().unwrap_or_default();
                conn.say([b"*2\r\n", &bulk(&args[1])[..], &bulk(&item)].concat());
                if list.is_empty() {
                    self.keys.remove(&key);
                } else {
                    self.keys.insert(key.clone(), Value::List(list));
                }
                self.changed(key);
            }
            _ => conn.say(error(WRONG_TYPE)),
        }
    }
}

fn value_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Value::List(_) => None,
    }
}
