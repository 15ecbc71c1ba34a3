//! Settings that are allowed but unwise; logged at the start and by `redoubt check`.

/// A setting that is allowed but unwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Clients use the password that Redis itself accepts.
    #[error(
        "clients use the upstream's password, so clients that reach Redis can bypass Redoubt; \
         set REDOUBT_PASSWORD or client.password_file to another (openssl rand -hex 32)"
    )]
    OnePassword,
    /// `allow_weak_passwords` accepts a client password that is too short.
    #[error(
        "the client password is under 32 characters and accepted because of allow_weak_passwords"
    )]
    WeakClientPassword,
    /// `allow_weak_passwords` accepts a previous client password that is too short.
    #[error(
        "the previous client password is under 32 characters and accepted because of allow_weak_passwords"
    )]
    WeakPreviousPassword,
    /// `client.previous_until` has passed.
    #[error(
        "client.previous_until has passed, so the previous client password is not accepted; \
         remove both"
    )]
    PreviousPasswordOver,
    /// `allow_weak_passwords` accepts an upstream password that is too short.
    #[error(
        "the upstream password is under 32 characters and accepted because of allow_weak_passwords"
    )]
    WeakUpstreamPassword,
    /// Redis accepts commands from every client that reaches it.
    #[error(
        "no upstream password is set, so clients that reach Redis can bypass Redoubt; \
         set requirepass in Redis and REDIS_PASSWORD here"
    )]
    NoUpstreamPassword,
    /// `policy.blocked` is an empty list.
    #[error("policy.blocked is empty, so only escapes are refused")]
    NothingBlocked,
    /// `policy.escapes` is `allow`.
    #[error("policy.escapes is \"allow\", so clients can get round the block list")]
    EscapesAllowed,
    /// `upstream.tls_dangerously_accept_any_certificate` is true.
    #[error(
        "upstream.tls_dangerously_accept_any_certificate is true, so an attacker between Redoubt and Redis \
         can read and change everything"
    )]
    AnyCertificate,
    /// `policy.guard` is `off`.
    #[error("policy.guard is \"off\", so scripts can run what is blocked")]
    NoGuard,
}
