//! Client identities and the constant-time check of what a client claims.
