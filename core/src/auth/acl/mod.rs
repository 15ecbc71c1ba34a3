//! Reads the rules of Redis's ACL, and Redis's ACL file.
//!
//! Owns: which words there are, which of them are about logging in, and where a selector begins and ends.
//! Leaves to Redis: whether a command, category or pattern exists. A rule that Redis does not take is an
//! error when the guard is created.
//!
//! Mirrors `ACLSetUser` and `ACLLoadFromFile` in `src/acl.c` of Redis.

mod file;
mod rules;

pub use file::{AclFileError, AclFileProblem, AclPasswords, AclUser, acl_user};
pub use rules::{AclError, AclRules};
