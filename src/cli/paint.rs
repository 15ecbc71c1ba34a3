//! Colour on a terminal, and none elsewhere or when `NO_COLOR` is set.

use std::io::{self, IsTerminal};

/// Paints text, or leaves it as it is.
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

    /// Leaves all text as it is.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { colour: false }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
