//! Finds how much memory the process may use, if a container or a unit limits it.

use std::fs;
use std::path::{Path, PathBuf};

use redoubt_core::session::Limits;

/// The mount point of control groups.
const GROUPS: &str = "/sys/fs/cgroup";
/// Values from here on mean no limit: version 1 writes a number of about this size.
const NONE: u64 = 1 << 60;

/// Returns the default bound on the memory of sessions: three quarters of what the process may use,
/// or a fixed value if that is not limited.
pub(crate) fn default_memory() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    of(limit(&groups, Path::new(GROUPS)))
}

fn of(limit: Option<u64>) -> u64 {
    let default = Limits::default().memory;
    limit.map_or(default, |limit| limit.saturating_sub(limit / 4))
}

/// Returns the lowest limit of the groups that `groups` lists, a file such as `/proc/self/cgroup`,
/// and of their parents. In a container, the file may list paths of the host that do not exist
/// there; then the container's own root counts.
fn limit(groups: &str, root: &Path) -> Option<u64> {
    let files = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match controllers {
            "" => files_of(root, path, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                files_of(&root.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => Vec::new(),
        }
    });
    let limits = files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.filter(|limit| *limit < NONE).min()
}

/// Returns the paths of the file `name` in the group of `path` and in each of its parents.
fn files_of(root: &Path, path: &str, name: &str) -> Vec<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors().map(|group| root.join(group).join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn lowest_limit_of_a_group_and_its_parents_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "memory.max", "max\n");
        assert_eq!(limit("0::/\n", root), None);
        write(root, "a.slice/memory.max", "268435456\n");
        write(root, "a.slice/b.service/memory.max", "max\n");
        assert_eq!(limit("0::/a.slice/b.service\n", root), Some(256 << 20));
        write(root, "a.slice/b.service/memory.max", "1048576\n");
        assert_eq!(limit("0::/a.slice/b.service\n", root), Some(1 << 20));
    }

    #[test]
    fn version_1_limits_count_and_its_largest_number_means_none() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "memory/memory.limit_in_bytes", "9223372036854771712\n");
        let groups = "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n";
        assert_eq!(limit(groups, root), None);
        write(root, "memory/memory.limit_in_bytes", "1048576\n");
        assert_eq!(limit(groups, root), Some(1 << 20));
    }

    #[test]
    fn sessions_get_three_quarters_of_the_limit() {
        assert_eq!(of(Some(256 << 20)), 192 << 20);
        assert_eq!(of(None), 192 << 20);
    }
}
