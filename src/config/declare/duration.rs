//! Durations as operators write them: a whole number and a unit, such as `500ms`, `10s`, `2m`,
//! `1h`, `7d`.

use std::time::Duration;

/// Longest duration of any setting: a year of 365 days, so that adding a duration to a clock cannot
/// overflow.
pub(super) const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration of at most [`MAX`]; returns `None` for other texts, including a number without
/// a unit.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*millis)?;
    Some(Duration::from_millis(millis)).filter(|duration| *duration <= MAX)
}

/// Writes `duration`, which is in whole milliseconds, in the largest unit that divides it.
pub(super) fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)))
        .map(|(name, unit)| format!("{}{name}", millis / u128::from(*unit)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_requires_a_known_unit() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!(parse("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("365d"), Some(MAX));
        for wrong in
            ["", "10", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1m30s", "1S", "1µs", "366d"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("99999999999999999999d"), None);
        assert_eq!(parse("18446744073709551615d"), None);
    }

    #[test]
    fn formatted_durations_parse_to_the_same_value() {
        for text in ["0s", "1ms", "1500ms", "10s", "90s", "2m", "5h", "7d"] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
        assert_eq!(format(Duration::from_secs(7200)), "2h");
    }
}
