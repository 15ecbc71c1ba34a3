//! Sizes as in redis.conf: a whole number and a unit, such as `512b`, `64kb`, `32mb`, `1gb`; a
//! kilobyte is 1024 bytes.

/// Units from the largest to the smallest, in bytes.
const UNITS: [(&str, u64); 4] = [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10), ("b", 1)];

/// Reads a size; returns `None` for other texts, including a number without a unit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Writes `size` in the largest unit that divides it.
pub(super) fn format(size: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| size.is_multiple_of(*unit))
        .map(|(name, unit)| format!("{}{name}", size / unit))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_requires_a_known_unit() {
        assert_eq!(parse("512b"), Some(512));
        assert_eq!(parse("64kb"), Some(65_536));
        assert_eq!(parse("1gb"), Some(1 << 30));
        for wrong in ["", "10", "kb", "-1kb", "1.5mb", "1 mb", "1MB", "1m", "1tb"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("18446744073709551615gb"), None);
    }

    #[test]
    fn formatted_sizes_parse_to_the_same_value() {
        for text in ["1b", "1536b", "64kb", "1025kb", "32mb", "3gb"] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
    }
}
