//! Converts the settings' bounds on sessions to the core's limits.

use std::num::NonZeroU32;

use crate::config::LimitSettings;
use crate::control::container::default_memory;
use crate::telemetry::metrics;
use redoubt_core::resp::RequestLimits;
use redoubt_core::session::{Limits, Rate};

/// Returns the limits of sessions.
pub(crate) fn limits(settings: &LimitSettings) -> Limits {
    let max_args = i64::from(settings.request_args);
    Limits {
        request: RequestLimits { max_args, ..RequestLimits::AUTHENTICATED },
        request_size: usize::try_from(settings.request_size).unwrap_or(usize::MAX),
        in_flight: u32::try_from(settings.in_flight).unwrap_or(u32::MAX),
        output_buffer: settings.output_buffer,
        memory: settings.memory.unwrap_or_else(default_memory),
        subscriptions: u32::try_from(settings.subscriptions).unwrap_or(u32::MAX),
        turn: Limits::default().turn,
        rate: settings.commands_per_second.and_then(NonZeroU32::new).map(Rate::per_second),
    }
}

/// Like [`limits`], and shows the limits as metrics.
pub(crate) fn in_force(settings: &LimitSettings) -> Limits {
    let limits = limits(settings);
    metrics::most_memory(limits.memory);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_settings_have_the_same_defaults() {
        let memory = Limits::default().memory;
        let settings = LimitSettings { memory: Some(memory), ..LimitSettings::default() };
        assert_eq!(limits(&settings), Limits::default());
    }
}
