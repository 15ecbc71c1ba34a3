//! The system calls that the unit permits, by systemd's own definition of their groups.

use std::collections::BTreeSet;
use std::process::Command;

use super::{run, said};

/// All groups, as `systemd-analyze syscall-filter` prints them.
struct Sets(String);

impl Sets {
    /// Adds the calls of a group and of the groups in it.
    fn calls(&self, set: &str, into: &mut BTreeSet<String>) {
        let lines = self.0.lines().skip_while(|line| *line != set).skip(1);
        let within = lines.take_while(|line| line.starts_with(' ')).map(str::trim);
        for name in within.filter(|name| !name.starts_with('#')) {
            if name.starts_with('@') {
                self.calls(name, into);
            } else {
                into.insert(name.to_owned());
            }
        }
    }
}

/// Returns the system calls that the lines `SystemCallFilter=` of a unit permit.
pub(crate) fn allowed(unit: &str) -> BTreeSet<String> {
    let sets = run(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager"]));
    let sets = Sets(said(&sets));
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let mut named = BTreeSet::new();
        for set in line.trim_start_matches('~').split(' ') {
            sets.calls(set, &mut named);
        }
        if line.starts_with('~') {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.append(&mut named);
        }
    }
    allowed
}
