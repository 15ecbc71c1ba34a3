//! Formats events as lines.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Event;

/// Stands for the hash of the previous line if there is none.
pub(super) const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The beginning of every line.
const BEGINNING: &[u8] = b"{\"schema\":1,\"time\":\"";
/// The text before the hash, which is the last field of a line.
const HASH_FIELD: &str = ",\"hash\":\"";

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    time: String,
    seq: u64,
    uptime_ms: u64,
    instance: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<&'a str>,
}

/// Numbers lines, and chains them if configured.
pub(super) struct Lines {
    instance: String,
    seq: u64,
    /// The hash of the last line; `None` inside if there is none yet; `None` if lines are not
    /// chained.
    prev: Option<String>,
}

impl Lines {
    pub(super) fn new(prev: Option<Option<String>>) -> Result<Self, getrandom::Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let prev = prev.map(|hash| hash.unwrap_or_else(|| NO_HASH.to_owned()));
        Ok(Self { instance: hex::encode(random), seq: 0, prev })
    }

    /// Returns the hash of the last line, if lines are chained.
    pub(super) fn last_hash(&self) -> Option<&str> {
        self.prev.as_deref()
    }

    /// Appends the line of `event` to `out`.
    pub(super) fn push(
        &mut self,
        event: &Event,
        time: SystemTime,
        uptime: Duration,
        out: &mut Vec<u8>,
    ) {
        self.seq += 1;
        let line = Line {
            schema: 1,
            time: humantime::format_rfc3339_micros(time).to_string(),
            seq: self.seq,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            instance: &self.instance,
            event,
            prev: self.prev.as_deref(),
        };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        if self.prev.is_some() {
            let hash = hex::encode(Sha256::digest(&text));
            text.pop();
            text.push_str(HASH_FIELD);
            text.push_str(&hash);
            text.push_str("\"}");
            self.prev = Some(hash);
        }
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

/// Returns whether `half` may be the beginning of a line, as a crash leaves it, however few bytes
/// it has.
pub(super) fn may_begin(half: &[u8]) -> bool {
    let same = half.iter().zip(BEGINNING).all(|(byte, wanted)| byte == wanted);
    same && half.iter().all(|byte| !byte.is_ascii_control())
}

/// Returns whether `line` is a line of an audit log, chained or not.
pub(super) fn is_one(line: &[u8]) -> bool {
    let fields: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    line.starts_with(BEGINNING)
        && fields.is_some_and(|fields| {
            ["seq", "instance", "event"].iter().all(|name| fields.get(name).is_some())
        })
}

/// Returns the hash in `line`, if it is the hash of the rest of the line.
pub(super) fn hash(line: &str) -> Option<&str> {
    let (content, rest) = line.rsplit_once(HASH_FIELD)?;
    let given = rest.strip_suffix("\"}")?;
    let mut sha = Sha256::new();
    sha.update(content);
    sha.update("}");
    (hex::encode(sha.finalize()) == given).then_some(given)
}
