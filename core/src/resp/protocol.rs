//! The two protocol versions that `HELLO` selects.

/// A version of RESP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RESP2, the protocol of every new connection.
    #[default]
    Resp2,
    /// RESP3, in which out-of-band data has a type of its own.
    Resp3,
}

impl Protocol {
    /// Returns the protocol that `HELLO version` selects.
    pub fn from_version(version: i64) -> Option<Self> {
        match version {
            2 => Some(Self::Resp2),
            3 => Some(Self::Resp3),
            _ => None,
        }
    }

    /// Returns the version number, as in `HELLO`.
    pub fn version(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
