//! What is allowed but unwise, for the log at the start and for `redoubt check`.

/// Something that is allowed but unwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Clients use the password that Redis itself takes.
    #[error(
        "clients use the upstream's password, so whoever reaches Redis can go round Redoubt; \
         set REDOUBT_PASSWORD or client.password_file to another (openssl rand -hex 32)"
    )]
    OnePassword,
    /// `allow_weak_passwords` let a short client password pass.
    #[error("the client password is under 32 characters and allow_weak_passwords lets it pass")]
    WeakClientPassword,
    /// `allow_weak_passwords` let a short previous client password pass.
    #[error(
        "the previous client password is under 32 characters and allow_weak_passwords lets it pass"
    )]
    WeakPreviousPassword,
    /// `client.previous_until` has passed.
    #[error(
        "client.previous_until has passed, so the previous client password is not accepted; \
         remove both"
    )]
    PreviousPasswordOver,
    /// `allow_weak_passwords` let a short upstream password pass.
    #[error("the upstream password is under 32 characters and allow_weak_passwords lets it pass")]
    WeakUpstreamPassword,
    /// Redis takes commands from anyone who reaches it.
    #[error(
        "no upstream password is set, so whoever reaches Redis can go round Redoubt; \
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
        "upstream.tls_dangerously_accept_any_certificate is true, so whoever is between Redoubt and Redis \
         can read and change everything"
    )]
    AnyCertificate,
    /// `policy.guard` is `off`.
    #[error("policy.guard is \"off\", so scripts can run what is blocked")]
    NoGuard,
}
