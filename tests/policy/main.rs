//! What the policy refuses, and the replies to it.
//!
//! | module | what it tests |
//! |---|---|
//! | `compat` | refused commands that `[policy.compat]` answers, compared with real servers |
//! | `escapes` | commands that get round the block list do not exist |
//! | `explain` | `redoubt explain`, and that a live Redoubt does what it predicts |
//! | `replies` | the errors for refused commands, byte by byte against Redis |
//! | `restore` | `RESTORE` runs only where the server checks the payload |
//! | `rules` | which requests a compiled policy refuses, and how rules are written |
//! | `scripts` | which scripts and functions run in each mode of `policy.scripts` |

mod compat;
mod escapes;
mod explain;
mod replies;
mod restore;
mod rules;
mod scripts;
