//! The table of Redis commands: name, arity, flags, keys and effect on a connection.
