//! The configuration file and the environment, validated into settings.
