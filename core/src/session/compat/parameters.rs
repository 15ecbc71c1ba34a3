//! The server's parameters that clients may read, and their values.

use bytes::Bytes;

use super::pattern;
use crate::resp::Protocol;
use crate::resp::reply::{self, Value};
use crate::upstream::guard::{Answer, Batch};

/// The parameters that `CONFIG GET` shows. Each is asked for by programs that cannot do without an answer, and
/// none shows a secret, a path, an address or another client. A new one needs the same two reasons.
pub(super) const PARAMETERS: [&str; 21] = [
    // Whether data survives a restart: asked by redis-benchmark, backup jobs, and queues that warn.
    "appendfsync",
    "appendonly",
    // How much output a subscriber may leave unread: asked by exporters, and by queues that stream.
    "client-output-buffer-limit",
    // How many databases there are: StackExchange.Redis, admin interfaces, exporters.
    "databases",
    // Sizes up to which hashes and sets are small: libraries that choose a layout by them.
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "hash-max-ziplist-entries",
    "hash-max-ziplist-value",
    // When slow requests are recorded: monitoring agents, for SLOWLOG LEN.
    "latency-monitor-threshold",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    // Bounds on clients and memory: exporters, and queues that insist on `noeviction`.
    "maxclients",
    "maxmemory",
    "maxmemory-policy",
    // Which keyspace events there are: session stores and caches that wait for expiry.
    EVENTS,
    // How many threads serve clients: exporters.
    "io-threads",
    // The largest value: libraries that split uploads.
    "proto-max-bulk-len",
    // Whether a replica takes writes, under both of its names: StackExchange.Redis.
    "replica-read-only",
    "slave-read-only",
    // As `appendonly`.
    "save",
    // After how much silence the server closes a connection: StackExchange.Redis, for its heartbeat.
    "timeout",
];

// Each parameter has a bit in `Shown`.
const _: () = assert!(PARAMETERS.len() < 31);

/// The parameter with the server's keyspace events.
pub(super) const EVENTS: &str = "notify-keyspace-events";

/// The values of those parameters that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// In the order of the list of names.
    values: Vec<Option<Bytes>>,
}

impl Parameters {
    /// Most bytes of a value that is shown; a parameter with a longer one counts as absent.
    const MOST_BYTES: usize = 4096;

    /// Returns the names of the parameters that are read.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        PARAMETERS.into_iter()
    }

    /// Returns the questions for the values: one for each name, since servers before 7.0 accept only one.
    pub fn questions() -> Batch {
        let mut batch = Batch::default();
        for name in PARAMETERS {
            batch.add(&["CONFIG", "GET", name]);
        }
        batch
    }

    /// Reads the answers to [`Parameters::questions`].
    ///
    /// # Errors
    /// The text of the server's first error, or `None` if an answer has another form.
    pub fn of(answers: &[Answer]) -> Result<Self, Option<String>> {
        if answers.len() != PARAMETERS.len() {
            return Err(None);
        }
        let values = PARAMETERS.iter().zip(answers).map(|(name, answer)| match answer {
            Answer::Array(pair) => match &pair[..] {
                [] => Ok(None),
                [Answer::BulkString(of), Answer::BulkString(value)] if of == name.as_bytes() => {
                    let is_short = value.len() <= Self::MOST_BYTES;
                    Ok(is_short.then(|| Bytes::copy_from_slice(value)))
                }
                _ => Err(None),
            },
            Answer::Error(text) => Err(Some(text.to_string())),
            _ => Err(None),
        });
        Ok(Self { values: values.collect::<Result<_, _>>()? })
    }

    /// Returns the value of a parameter, if the server has it.
    pub(super) fn value(&self, name: &str) -> Option<&Bytes> {
        let at = PARAMETERS.iter().position(|parameter| *parameter == name)?;
        self.values.get(at)?.as_ref()
    }

    /// Returns the reply to `CONFIG GET` with these names and patterns, and calls `shown` with the position of
    /// each parameter in it.
    ///
    /// As in Redis from 7.0 on, a name without pattern characters is looked up in upper or lower case and shown as
    /// the client wrote it, unless a parameter is there already. The order is that of the names, as in Valkey 9;
    /// Redis gives a random one.
    pub(super) fn get<'a>(
        &self,
        wanted: impl Iterator<Item = &'a [u8]>,
        protocol: Protocol,
        mut shown: impl FnMut(usize),
    ) -> Bytes {
        let mut found: Vec<(&[u8], usize)> = Vec::new();
        for text in wanted {
            // Redis reads a pattern as a C string, and a name as it is.
            let until_nul = text.split(|byte| *byte == 0).next().unwrap_or_default();
            let is_pattern = pattern::is_pattern(until_nul);
            for (at, name) in PARAMETERS.iter().map(|name| name.as_bytes()).enumerate() {
                let name_shown = match is_pattern {
                    true if pattern::matches(until_nul, name) => name,
                    false if text.eq_ignore_ascii_case(name) => text,
                    _ => continue,
                };
                let is_there = self.values.get(at).is_some_and(Option::is_some);
                if is_there && found.iter().all(|(_, other)| *other != at) {
                    shown(at);
                    found.push((name_shown, at));
                }
            }
        }
        found.sort_unstable();
        let value = |at: usize| self.values.get(at).and_then(Option::as_deref).unwrap_or_default();
        let pairs: Vec<_> =
            found.iter().map(|(name, at)| (Value::Bulk(name), Value::Bulk(value(*at)))).collect();
        reply::compose(&Value::Map(&pairs), protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(change: impl Fn(&str) -> Option<Answer>) -> Vec<Answer> {
        let bulk = |text: &str| Answer::BulkString(text.into());
        let usual = |name: &str| Answer::Array(vec![bulk(name), bulk("no")]);
        PARAMETERS.iter().map(|name| change(name).unwrap_or_else(|| usual(name))).collect()
    }

    #[test]
    fn values_are_known_only_by_clear_answers() {
        let of = |name: &'static str, answer: Answer| {
            Parameters::of(&answers(|asked| (asked == name).then(|| answer.clone())))
        };
        let parameters = of("save", Answer::Array(Vec::new())).unwrap();
        assert_eq!((parameters.value("save"), parameters.value("port")), (None, None));
        assert_eq!(parameters.value("timeout").unwrap(), "no");
        let denied = of("save", Answer::Error("NOPERM no".into()));
        assert_eq!(denied, Err(Some("NOPERM no".to_owned())));
        let swapped = vec![Answer::BulkString("dir".into()), Answer::BulkString("/".into())];
        assert_eq!(of("save", Answer::Array(swapped)), Err(None));
        assert_eq!(of("save", Answer::Null), Err(None));
        assert_eq!(Parameters::of(&[]), Err(None));
        let long = vec![Answer::BulkString("save".into()), Answer::BulkString(vec![b'1'; 5000])];
        assert_eq!(of("save", Answer::Array(long)).unwrap().value("save"), None);
    }

    #[test]
    fn replies_are_sorted_and_have_the_form_of_the_protocol() {
        let parameters = Parameters::of(&answers(|_| None)).unwrap();
        let get = |words: &[&str], protocol| {
            let reply = parameters.get(words.iter().map(|word| word.as_bytes()), protocol, |_| {});
            String::from_utf8(reply.to_vec()).unwrap()
        };
        let (two, three) = (Protocol::Resp2, Protocol::Resp3);
        assert_eq!(
            get(&["timeout", "save"], three),
            "%2\r\n$4\r\nsave\r\n$2\r\nno\r\n$7\r\ntimeout\r\n$2\r\nno\r\n"
        );
        assert_eq!(
            get(&["maxmem*", "Save"], two).matches('$').count(),
            6,
            "maxmemory, maxmemory-policy and save"
        );
        assert_eq!(get(&["timeout\0x", "time\0*"], two), "*0\r\n");
        assert_eq!(get(&["timeou*\0x"], two), "*2\r\n$7\r\ntimeout\r\n$2\r\nno\r\n");
        assert_eq!((get(&["no"], two), get(&["no"], three)), ("*0\r\n".into(), "%0\r\n".into()));
    }
}
