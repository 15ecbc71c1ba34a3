//! One client connection and all that is known of it.
