//! Links: authenticated connections to the upstream Redis.
