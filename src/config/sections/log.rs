//! `[log]`: what is logged, and in which format.

use tracing_subscriber::EnvFilter;

use super::super::declare::{Form, choice, settings};

/// The levels that `log.level` may name.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

settings! {
    /// What is logged, and in which format. Logs go to standard error.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LogSettings in "log" {
        /// The format of a line: "text" for people, "json" for one JSON object per line.
        format: LogFormat =
            choice([("text", LogFormat::Text), ("json", LogFormat::Json)]).default(LogFormat::Text);

        /// A level (off, error, warn, info, debug or trace), or directives such as
        /// "info,redoubt_core::session=warn".
        level: String = level().default("info".to_owned()).live();
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

fn level() -> Form<String> {
    let expects = "a level (error, warn, info, debug, trace, off) or filter directives";
    Form::text(expects, |text| is_filter(text).then(|| text.to_owned()), String::clone)
}

/// Returns whether `level` is a level or filter directives.
///
/// The filter's own parser would take a misspelt level for the name of a module, and panics on some
/// text that is not ASCII.
fn is_filter(level: &str) -> bool {
    level.is_ascii()
        && level.split(',').all(|directive| {
            let directive = directive.trim();
            LEVELS.contains(&directive) || directive.contains('=')
        })
        && EnvFilter::builder().parse(level).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_level_is_rejected() {
        for right in ["info", "off", "info,redoubt_core::session=warn", "redoubt=debug, warn"] {
            assert!(is_filter(right), "{right}");
        }
        for wrong in ["", "inof", "INFORMATION", "info,", "redoubt=loud", "info,debgu", "a}…=z"] {
            assert!(!is_filter(wrong), "{wrong:?}");
        }
    }
}
