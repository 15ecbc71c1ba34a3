//! The attacks of a hostile client, as data.

use support::frame;
use support::servers::{self, CHECKS_PAYLOADS};

/// One attack by one session.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Actions of others before the attack.
    pub(crate) before: Vec<Before>,
    /// True if the session logs in before the attack.
    pub(crate) logs_in: bool,
    pub(crate) said: Vec<u8>,
    /// Bytes of one write.
    pub(crate) step: usize,
    /// True if the session then closes its sending side.
    pub(crate) finishes: bool,
    pub(crate) holds: Holds,
}

/// An action before the attack.
pub(crate) enum Before {
    /// The operator runs a command at Redis itself.
    Operator(Vec<String>),
    /// Another session of Redoubt sends this, and gets a reply.
    Another(Vec<u8>),
}

/// The expectation, in addition to an unchanged Redis.
pub(crate) enum Holds {
    /// The replies contain these parts, in this order.
    Says(Vec<String>),
    /// The replies are those of a server that does not have the refused commands.
    SaysAsServer,
    /// No reply begins so.
    NeverSays(&'static str),
    /// The attack runs a script or function. If the guard is off, this command of Redis is executed.
    Reaches(&'static str),
    /// The attack runs a script or function whose calls Redis itself always refuses.
    ReachesNothing,
    /// There is no further expectation.
    Nothing,
}

impl Case {
    /// Creates an attack by a session that logs in and sends these bytes at once.
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

    /// Makes the session not log in by itself.
    pub(crate) fn without_login(mut self) -> Self {
        self.logs_in = false;
        self
    }

    /// Makes it send single bytes.
    pub(crate) fn byte_by_byte(mut self) -> Self {
        self.step = 1;
        self
    }

    /// Makes it wait for its replies and end with `QUIT`. Otherwise a blocking command ends when the
    /// session closes its sending side.
    pub(crate) fn quits(mut self) -> Self {
        self.said.extend(multibulk(&["QUIT"]));
        self.step = self.said.len();
        self.finishes = false;
        self
    }

    /// Adds a command of the operator before.
    pub(crate) fn after(mut self, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.before.push(Before::Operator(args));
        self
    }

    /// Adds bytes of another session before.
    pub(crate) fn after_another(mut self, said: Vec<u8>) -> Self {
        self.before.push(Before::Another(said));
        self
    }
}

/// Expects replies with these parts in this order.
pub(crate) fn says(parts: &[&str]) -> Holds {
    Holds::Says(parts.iter().map(|part| (*part).to_owned()).collect())
}

/// Returns true if Redoubt refuses `RESTORE`, which it does unless the server checks every payload.
pub(crate) fn refuses_restore() -> bool {
    !CHECKS_PAYLOADS.contains(&servers::tested())
}

/// Returns requests in multibulk form, one for each line, split at spaces.
pub(crate) fn multibulk(lines: &[&str]) -> Vec<u8> {
    let request = |line: &&str| frame::request(&line.split(' ').collect::<Vec<_>>());
    lines.iter().flat_map(request).collect()
}

/// Returns the error for a command that does not exist.
pub(crate) fn unknown(name: &str) -> String {
    format!("-ERR unknown command '{name}', with args beginning with: ")
}
