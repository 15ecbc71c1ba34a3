//! Where a rule comes from, and what would change it.

/// Where a rule that refuses a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operator's list of blocked commands.
    Blocked,
    /// The rules against [escapes](super::Escapes), and what the command would do.
    Escapes(&'static str),
    /// The upstream calls the command administrative or dangerous, and Redoubt does not know it.
    Upstream,
    /// The rules on scripts and functions.
    Scripts,
    /// No setting: the command may be another one under a false name.
    Always,
}

impl Origin {
    /// Returns the setting that the rule comes from, or what else it is.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "policy.blocked",
            Self::Escapes(_) => "policy.escapes",
            Self::Upstream => "upstream",
            Self::Scripts => "policy.scripts",
            Self::Always => "always",
        }
    }

    /// Returns the key of the configuration by which an operator can have the command run; `None` if there is
    /// none.
    pub fn opened_by(self) -> Option<&'static str> {
        match self {
            Self::Blocked => Some("policy.blocked"),
            Self::Escapes(_) | Self::Upstream => Some("policy.allow"),
            Self::Scripts => Some("policy.scripts"),
            Self::Always => None,
        }
    }
}
