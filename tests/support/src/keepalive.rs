//! The time of the kernel's next keepalive probes on connections of this machine, from /proc/net/tcp.

use std::fs;

/// A connection with keepalive probes.
pub struct Row {
    /// The ports of both ends.
    pub local: u16,
    pub remote: u16,
    /// Seconds until the next probe, rounded up.
    pub seconds: u64,
}

pub fn rows() -> Vec<Row> {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    table.lines().skip(1).filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let port = |field: &str| u16::from_str_radix(field.split_once(':')?.1, 16).ok();
    // Timer 2 is the keepalive timer, in hundredths of a second.
    let when = fields.get(5)?.strip_prefix("02:")?;
    let seconds = u64::from_str_radix(when, 16).ok()?.div_ceil(100);
    Some(Row { local: port(fields.get(1)?)?, remote: port(fields.get(2)?)?, seconds })
}
