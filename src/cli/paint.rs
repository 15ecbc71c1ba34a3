//! Colours text on a terminal; not elsewhere, and not if `NO_COLOR` is set.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

/// Colours text, or returns it unchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    pub(super) fn of_stdout() -> Self {
        Self::on(&io::stdout())
    }

    pub(super) fn of_stderr() -> Self {
        Self::on(&io::stderr())
    }

    fn on(output: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: output.is_terminal() && !refused }
    }

    /// Returns a painter that leaves all text unchanged.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { colour: false }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_coloured_only_if_enabled() {
        assert_eq!(Paint { colour: true }.red("a"), "\x1b[31ma\x1b[0m");
        assert_eq!(Paint { colour: true }.dim("a"), "\x1b[2ma\x1b[0m");
        assert_eq!(Paint::none().red("a"), "a");
    }
}
