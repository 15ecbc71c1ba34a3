//! What a hostile client does, as data.

use support::frame;

/// One attack by one session.
pub(crate) struct Case {
    pub(crate) name: String,
    /// What others do first.
    pub(crate) before: Vec<Before>,
    /// Whether the session logs in before it speaks.
    pub(crate) logs_in: bool,
    pub(crate) said: Vec<u8>,
    /// Bytes of one write.
    pub(crate) step: usize,
    /// Whether the session then says that it will say nothing more.
    pub(crate) finishes: bool,
    pub(crate) holds: Holds,
}

/// What comes before the attack.
pub(crate) enum Before {
    /// The operator's own command, at Redis itself.
    Operator(Vec<String>),
    /// Another session of Redoubt says this, and gets an answer.
    Another(Vec<u8>),
}

/// What must hold after it, besides that everything in Redis is as it was.
pub(crate) enum Holds {
    /// The answer has these parts, in this order.
    Says(Vec<String>),
    /// It is answered with nothing that begins so.
    NeverSays(&'static str),
    /// It runs a script or function. Where the guard is off, this command of Redis is executed.
    Reaches(&'static str),
    /// It runs a script or function that Redis itself never lets call what it calls.
    ReachesNothing,
    /// Only that.
    Nothing,
}

impl Case {
    /// A session that has logged in and says these bytes at once.
    pub(crate) fn new(name: impl Into<String>, said: impl Into<Vec<u8>>, holds: Holds) -> Self {
        let said = said.into();
        let step = said.len().max(1);
        Self {
            name: name.into(),
            before: Vec::new(),
            logs_in: true,
            said,
            step,
            finishes: true,
            holds,
        }
    }

    /// One that does not log in by itself.
    pub(crate) fn stranger(mut self) -> Self {
        self.logs_in = false;
        self
    }

    /// In writes of one byte.
    pub(crate) fn byte_by_byte(mut self) -> Self {
        self.step = 1;
        self
    }

    /// It waits for its answers and leaves by `QUIT`. What blocks is given up at the end of what a
    /// session says.
    pub(crate) fn quits(mut self) -> Self {
        self.said.extend(multibulk(&["QUIT"]));
        self.step = self.said.len();
        self.finishes = false;
        self
    }

    /// The operator does this first.
    pub(crate) fn after(mut self, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.before.push(Before::Operator(args));
        self
    }

    /// Another session says this first.
    pub(crate) fn after_another(mut self, said: Vec<u8>) -> Self {
        self.before.push(Before::Another(said));
        self
    }
}

/// An answer with these parts in this order.
pub(crate) fn says(parts: &[&str]) -> Holds {
    Holds::Says(parts.iter().map(|part| (*part).to_owned()).collect())
}

/// Requests in multibulk form, one of each line, split at spaces.
pub(crate) fn multibulk(lines: &[&str]) -> Vec<u8> {
    let request = |line: &&str| frame::request(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(request).collect()
}

/// The error for a command that does not exist.
pub(crate) fn unknown(name: &str) -> String {
    format!("-ERR unknown command '{name}', with args beginning with: ")
}
