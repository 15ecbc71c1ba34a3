//! `[policy.compat]`: refused commands that are answered all the same.

use super::super::declare::{Form, Node, Wrong, flag, quoted, settings};
use super::super::error::Problem;

/// Most bytes of a prefix.
const MOST_PREFIX: usize = 256;

settings! {
    /// Which refused commands are answered all the same.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CompatSettings in "policy.compat" {
        /// With true, Redoubt answers CONFIG GET of some harmless parameters, such as maxmemory-policy
        /// and databases, with the values that it has read from Redis within the last second. Other
        /// parameters are absent from the reply. For this, the user of `upstream.user` needs the right
        /// to run CONFIG GET. All other forms of CONFIG stay refused.
        config_get: bool = flag().default(false).live();

        /// With true, CONFIG SET notify-keyspace-events is answered with OK if Redis already has at
        /// least these events, else with an error that says what has to be set. Nothing is changed.
        /// The user of `upstream.user` needs the right to run CONFIG GET.
        notify_keyspace_events: bool = flag().default(false).live();

        /// With this key, FLUSHDB deletes the keys that begin with the prefix from the session's
        /// database, FLUSHALL from all databases, and no other keys. The prefix is literal text of 1 to
        /// 256 bytes. Redoubt finds and deletes the keys in steps of some hundred, while Redis serves
        /// others; the session waits for at most 10 minutes. policy.blocked must have both commands. The
        /// user of `upstream.user` needs the rights to run SCAN, UNLINK, SELECT and INFO.
        flush: Option<FlushSettings> = flush().optional(r#"{ prefix = "cache:" }"#).live();
    }
}

/// What `FLUSHDB` and `FLUSHALL` delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushSettings {
    /// What the deleted keys begin with; not empty.
    pub prefix: String,
}

fn flush() -> Form<FlushSettings> {
    let expects = format!("a table with a prefix of 1 to {MOST_PREFIX} bytes in quotes");
    let read = |node: &Node<'_>| {
        let table = node.get_ref().as_table().ok_or_else(|| Wrong::at(node))?;
        let stranger = table.iter().find(|(name, _)| name.get_ref() != "prefix");
        if let Some((name, _)) = stranger {
            return Err(Wrong { at: name.span(), problem: None });
        }
        let value = table.get("prefix").ok_or_else(|| Wrong::at(node))?;
        match value.get_ref().as_str() {
            Some("") => Err(Wrong { at: value.span(), problem: Some(Problem::EmptyPrefix) }),
            Some(text) if text.len() <= MOST_PREFIX => {
                Ok(FlushSettings { prefix: text.to_owned() })
            }
            _ => Err(Wrong::at(value)),
        }
    };
    Form::new(expects, read, |flush: &FlushSettings| {
        Some(format!("{{ prefix = {} }}", quoted(&flush.prefix)))
    })
}
