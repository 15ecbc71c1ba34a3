//! What a command has to do with scripts and functions.

/// What a command has to do with scripts and functions.
///
/// `writes` tells the ordinary form from the `_RO` one, in which Redis refuses what writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scripting {
    /// `EVAL`, `EVAL_RO`: runs the script that is its first argument.
    Eval {
        /// Whether the script may write.
        writes: bool,
    },
    /// `EVALSHA`, `EVALSHA_RO`: runs the script whose SHA-1 digest is its first argument, if Redis
    /// has it.
    EvalSha {
        /// Whether the script may write.
        writes: bool,
    },
    /// `FCALL`, `FCALL_RO`: runs the function that its first argument names, in any case.
    Call {
        /// Whether the function may write.
        writes: bool,
    },
    /// `SCRIPT LOAD`: has Redis keep a script for `EVALSHA`.
    Load,
    /// `SCRIPT DEBUG`: the next script stops at each line, and takes orders that run any code.
    Debug,
    /// `FUNCTION LOAD`, `RESTORE`, `DELETE`, `FLUSH`: changes which functions there are.
    Libraries,
}

impl Scripting {
    /// That of the command called `name` (`script|load` for a subcommand).
    pub(super) const fn of(name: &str) -> Option<Self> {
        Some(match name.as_bytes() {
            b"eval" => Self::Eval { writes: true },
            b"eval_ro" => Self::Eval { writes: false },
            b"evalsha" => Self::EvalSha { writes: true },
            b"evalsha_ro" => Self::EvalSha { writes: false },
            b"fcall" => Self::Call { writes: true },
            b"fcall_ro" => Self::Call { writes: false },
            b"script|load" => Self::Load,
            b"script|debug" => Self::Debug,
            b"function|load" | b"function|restore" => Self::Libraries,
            b"function|delete" | b"function|flush" => Self::Libraries,
            _ => return None,
        })
    }
}
