//! TLS and Unix sockets.
