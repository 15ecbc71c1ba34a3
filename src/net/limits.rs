//! The settings' bounds on sessions, in the core's terms.

use std::num::NonZeroU32;

use crate::config::LimitSettings;
use crate::resp::RequestLimits;
use crate::session::{Limits, Rate};

/// What each session may take up.
pub(super) fn limits(settings: &LimitSettings) -> Limits {
    let max_args = i64::from(settings.request_args);
    Limits {
        request: RequestLimits { max_args, ..RequestLimits::AUTHENTICATED },
        request_size: usize::try_from(settings.request_size).unwrap_or(usize::MAX),
        in_flight: u32::try_from(settings.in_flight).unwrap_or(u32::MAX),
        output_buffer: settings.output_buffer,
        subscriptions: u32::try_from(settings.subscriptions).unwrap_or(u32::MAX),
        turn: Limits::default().turn,
        rate: settings.commands_per_second.and_then(NonZeroU32::new).map(Rate::per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_and_the_settings_have_the_same_defaults() {
        assert_eq!(limits(&LimitSettings::default()), Limits::default());
    }
}
