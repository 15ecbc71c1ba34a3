//! The Redis wire protocol: strict request parsing, reply scanning, synthetic replies.
