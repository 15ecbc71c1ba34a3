//! Finds and removes guards that earlier processes left behind.

use std::collections::HashSet;

use super::batch::{Answer, Batch};
use super::user::{group_of, made_at};

/// Most guards that are removed at a time.
pub const MAX_REMOVED: usize = 100;

/// Age in seconds below which a guard may not have a connection yet. The age comes from its name.
const YOUNG: u64 = 60;

/// Returns the guards of all processes in the reply to `ACL LIST`.
pub fn guards_in(list: &Answer) -> Vec<String> {
    let Answer::Array(lines) = list else { return Vec::new() };
    let name = |line: &Answer| {
        let Answer::BulkString(line) = line else { return None };
        let line = std::str::from_utf8(line).ok()?;
        let name = line.strip_prefix("user ")?.split(' ').next()?;
        made_at(name).map(|_| name.to_owned())
    };
    lines.iter().filter_map(name).collect()
}

/// Returns the users of all connections, by the reply to `CLIENT LIST`; `None` if the reply does not
/// show them.
pub fn connected_users(list: &Answer) -> Option<HashSet<String>> {
    let Answer::BulkString(text) = list else { return None };
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.is_empty());
    // If a line without a user were ignored, a guard in use could look unused.
    lines
        .map(|line| line.split(' ').find_map(|field| field.strip_prefix("user=")))
        .map(|user| user.map(str::to_owned))
        .collect()
}

/// Returns the guards in `guards` that no running process uses, at most [`MAX_REMOVED`]: a running
/// process always has a connection of one of its guards open. `now` is in seconds since 1970.
pub fn stale<'a>(guards: &'a [String], connected: &HashSet<String>, now: u64) -> Vec<&'a str> {
    let is_old = |name: &str| made_at(name).is_some_and(|made| now.saturating_sub(made) > YOUNG);
    let used: HashSet<_> = connected.iter().filter_map(|name| group_of(name)).collect();
    let is_used = |name: &str| group_of(name).is_some_and(|group| used.contains(group));
    guards
        .iter()
        .map(String::as_str)
        .filter(|name| is_old(name) && !is_used(name))
        .take(MAX_REMOVED)
        .collect()
}

/// Returns the commands that remove users.
pub fn remove(names: &[impl AsRef<str>]) -> Batch {
    let words = ["ACL", "DELUSER"].into_iter().chain(names.iter().map(AsRef::as_ref));
    Batch::of(&words.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "redoubt-64-00000000000000aa";
    const USED: &str = "redoubt-64-00000000000000bb";
    const YOUNG_ONE: &str = "redoubt-3e8-00000000000000cc";

    #[test]
    fn only_old_and_unused_guards_are_stale() {
        let line = |name: &str| Answer::BulkString(format!("user {name} on ~* +@all").into());
        let list = Answer::Array(["default", OLD, USED, YOUNG_ONE, "redoubt"].map(line).into());
        let guards = guards_in(&list);
        assert_eq!(guards, [OLD, USED, YOUNG_ONE]);
        let text = format!("id=1 user=default cmd=ping\nid=2 name=x user={USED} cmd=NULL\n\n");
        let connected = connected_users(&Answer::BulkString(text.into())).unwrap();
        assert_eq!(stale(&guards, &connected, 1010), [OLD]);
        assert_eq!(stale(&guards, &connected, 1061), [OLD, YOUNG_ONE]);
        assert_eq!(stale(&guards, &connected, 0), [""; 0]);
    }

    #[test]
    fn a_guard_is_in_use_if_another_of_its_group_is() {
        let guards = [format!("{OLD}-1"), format!("{USED}-2"), format!("{USED}-3")];
        let connected = HashSet::from([format!("{USED}-2")]);
        assert_eq!(stale(&guards, &connected, 1010), [format!("{OLD}-1")]);
    }

    #[test]
    fn no_guard_is_stale_if_the_client_list_shows_no_users() {
        assert_eq!(connected_users(&Answer::Error("NOPERM".into())), None);
        assert_eq!(connected_users(&Answer::BulkString(b"id=1 cmd=ping\n".to_vec())), None);
    }

    #[test]
    fn the_number_of_stale_guards_removed_at_a_time_is_limited() {
        let guards: Vec<_> = (0..500).map(|n| format!("redoubt-64-{n:016x}")).collect();
        assert_eq!(stale(&guards, &HashSet::new(), 1000).len(), MAX_REMOVED);
    }
}
