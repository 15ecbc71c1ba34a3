//! Removes and changes lines, to check that a rule notices.

/// A rule: its name, and the check.
pub(crate) type Rule<T> = (&'static str, fn(&T) -> bool);

/// Returns the names of the rules that `subject` breaks.
pub(crate) fn broken<T>(rules: &[Rule<T>], subject: &T) -> Vec<String> {
    let broken = rules.iter().filter(|(_, holds)| !holds(subject));
    broken.map(|(asked, _)| (*asked).to_owned()).collect()
}

/// Returns, for each line that has content, the line and the text without it and without the lines that
/// are indented deeper below it.
pub(crate) fn one_less(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| says(line)) {
        let below = lines[at + 1..].iter();
        let below = below.take_while(|next| !says(next) || depth(next) > depth(line)).count();
        let rest = lines[..at].iter().chain(&lines[at + 1 + below..]);
        all.push((line.trim(), rest.map(|line| format!("{line}\n")).collect()));
    }
    all
}

/// Removes one line after another; `findings` must report each of them except those that begin as one
/// of `free`.
pub(crate) fn each_line_counts(text: &str, free: &[&str], findings: impl Fn(&str) -> Vec<String>) {
    assert_eq!(findings(text), [""; 0], "as it is");
    let mut unnoticed = Vec::new();
    let mut tried = 0;
    for (line, rest) in one_less(text) {
        let is_free = free.iter().any(|free| line.starts_with(free));
        assert!(!is_free || findings(&rest).is_empty(), "not free: {line}");
        tried += 1;
        if !is_free && findings(&rest).is_empty() {
            unnoticed.push(line);
        }
    }
    assert!(tried > 5, "only {tried} lines");
    assert_eq!(unnoticed, [""; 0], "no rule notices the removal of these lines");
}

/// Makes one change after another; `findings` must report each of them.
pub(crate) fn each_change_counts(
    text: &str,
    changes: &[(&str, &str)],
    findings: impl Fn(&str) -> Vec<String>,
) {
    for (from, to) in changes {
        assert!(text.contains(from), "there is no {from}");
        let changed = text.replacen(from, to, 1);
        assert_ne!(findings(&changed), [""; 0], "no rule notices the change {from} -> {to}");
    }
}
