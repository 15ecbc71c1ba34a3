//! The ways in which commands run or load scripts and functions.

/// The way in which a command runs or loads scripts and functions.
///
/// `writes` is false for the `_RO` form, in which Redis refuses commands that write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scripting {
    /// `EVAL`, `EVAL_RO`: runs the script in its first argument.
    Eval {
        /// True if the script may write.
        writes: bool,
    },
    /// `EVALSHA`, `EVALSHA_RO`: runs the script whose SHA-1 digest is its first argument, if Redis has
    /// it in its cache.
    EvalSha {
        /// True if the script may write.
        writes: bool,
    },
    /// `FCALL`, `FCALL_RO`: runs the function that its first argument names, in upper or lower case.
    Call {
        /// True if the function may write.
        writes: bool,
    },
    /// `SCRIPT LOAD`: puts a script into Redis's cache for `EVALSHA`.
    Load,
    /// `SCRIPT DEBUG`: the next script stops at each line and takes debugger commands, which can run
    /// any code.
    Debug,
    /// `FUNCTION LOAD`, `RESTORE`, `DELETE`, `FLUSH`: change which functions exist.
    Libraries,
}

impl Scripting {
    /// Returns how the command called `name` (`script|load` for a subcommand) uses scripts; `None` if
    /// it does not.
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
