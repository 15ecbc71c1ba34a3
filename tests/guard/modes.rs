//! The other modes, and users that may do less.
