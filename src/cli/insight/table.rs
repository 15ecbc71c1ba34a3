//! Formats tables for a terminal.

use crate::cli::paint::Paint;

/// Stands for an empty cell.
pub(super) const NONE: &str = "-";
/// What separates two columns.
const GAP: &str = "  ";
/// Least width to which a column is cut, in columns.
const NARROWEST: usize = 6;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Left,
    Right,
    /// Aligned to the left, and cut with `…` if the table is too wide.
    Cut,
}

/// Rows under a heading, in columns as wide as their content.
pub(super) struct Table {
    columns: Vec<(&'static str, Set)>,
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Set)]) -> Self {
        Self { columns: columns.to_vec(), lines: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        // Text from elsewhere must not hold control characters, which could move the cursor.
        let plain =
            |cell: String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.lines.push(cells.into_iter().map(plain).collect());
    }

    /// Returns the table, at most `width` characters wide if cutting columns of the kind
    /// [`Set::Cut`] is enough.
    pub(super) fn text(&self, width: usize, paint: Paint) -> String {
        let widths = self.widths(width);
        let headings =
            self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>();
        let mut text = paint.bold(&self.line(&headings, &widths)) + "\n";
        for line in &self.lines {
            text += &self.line(line, &widths);
            text.push('\n');
        }
        text
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let wide = |cell: &String| cell.chars().count();
        let mut widths: Vec<_> = self.columns.iter().map(|(heading, _)| heading.len()).collect();
        for line in &self.lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = wide(cell).max(*width);
            }
        }
        let gaps = GAP.len() * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            let columns = widths.iter_mut().zip(&self.columns);
            let giving =
                columns.filter(|(width, (_, set))| *set == Set::Cut && **width > NARROWEST);
            let Some((widest, _)) = giving.max_by_key(|(width, _)| **width) else { break };
            *widest -= 1;
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let cells =
            cells.iter().zip(widths).zip(&self.columns).map(|((cell, &width), (_, set))| {
                let cell = cut(cell, width);
                if *set == Set::Right {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Returns a cell, also for a missing text.
pub(super) fn or_none(text: Option<&str>) -> String {
    text.unwrap_or(NONE).to_owned()
}

/// Returns a line for each worker that did not answer in time, so that its `part` is missing.
pub(super) fn unanswered(workers: &[usize], part: &str, paint: Paint) -> String {
    let line = |worker| format!("worker-{worker} did not answer: its {part} are missing.");
    workers.iter().map(|worker| paint.red(&line(worker)) + "\n").collect()
}

/// Formats seconds in the largest unit that fits: `42s`, `3m`, `5h`, `12d`.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Formats a count in about four digits: `999`, `12.3k`, `4.0M`.
pub(super) fn count(count: u64) -> String {
    let mut scaled = count as f64;
    for unit in ["", "k", "M", "G", "T"] {
        // From this value on, rounding would give a fifth digit.
        if scaled < 999.95 {
            return if unit.is_empty() { count.to_string() } else { format!("{scaled:.1}{unit}") };
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.1}P")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_their_content_and_are_cut_to_the_width() {
        let mut table = Table::new(&[("A", Set::Right), ("NAME", Set::Cut), ("C", Set::Left)]);
        table.add(["1".into(), "short".into(), "x".into()]);
        table.add(["100".into(), "a very long name".into(), String::new()]);
        let plain = Paint::none();
        assert_eq!(
            table.text(100, plain),
            "  A  NAME              C\n  1  short             x\n100  a very long name\n"
        );
        assert_eq!(table.text(15, plain), "  A  NAME     C\n  1  short    x\n100  a very…\n");
        assert!(table.text(1, plain).contains("a ver…"), "no narrower than that");
    }

    #[test]
    fn control_characters_in_cells_are_replaced() {
        let mut table = Table::new(&[("A", Set::Cut)]);
        table.add(["\x1b[2J\n\u{9b}x".into()]);
        assert_eq!(table.text(100, Paint::none()), "A\n?[2J??x\n");
    }

    #[test]
    fn counts_and_durations_are_short() {
        let counts = [0, 999, 1000, 12_345, 999_949, 999_950, 4_000_000];
        let short = counts.map(count);
        assert_eq!(short, ["0", "999", "1.0k", "12.3k", "999.9k", "1.0M", "4.0M"]);
        let times = [0, 59, 60, 3599, 3600, 86_399, 86_400].map(duration);
        assert_eq!(times, ["0s", "59s", "1m", "59m", "1h", "23h", "1d"]);
    }
}
