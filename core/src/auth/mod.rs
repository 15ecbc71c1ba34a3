//! Client identities, the constant-time check of the credentials that a client sends, and the
//! connection limiter: who may connect, how many sessions there may be, and what a wrong password
//! costs.
//!
//! Owns: which credentials an `AUTH` is accepted with; the numbers of sessions over all workers. Leaves
//! to [`crate::session`]: when credentials are checked, and the replies; to [`crate::router`]: delaying
//! and ending sessions.
//!
//! Invariants: the time of a check depends on the lengths of what the client sent and on nothing
//! secret; the cost of a wrong password depends on the client's source and not on the password; no type
//! here shows a secret in `Debug`; the places that a session takes in the limiter's counts are returned
//! when its [`Permit`] is dropped.

mod acl;
mod certificate;
mod identity;
mod limiter;
mod refusal;
mod source;
mod throttle;

pub use acl::{AclError, AclFileError, AclFileProblem, AclPasswords, AclRules, AclUser, acl_user};
pub use certificate::CertificateName;
pub use identity::{
    Authenticated, Certified, CredentialId, DEFAULT_USER, Identities, Identity, IdentityId,
    LoginMethod,
};
pub use limiter::{ConnectionLimiter, ConnectionLimits, Networks, Permit, is_in};
pub use refusal::Refusal;
pub use source::Source;
pub use throttle::{Throttle, ThrottleLimits, Verdict};
