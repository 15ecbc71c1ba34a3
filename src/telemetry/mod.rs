//! Logging: what the core reports as events becomes log lines here.
