//! What an identity may run, and the bytes that a refused command is answered with.
