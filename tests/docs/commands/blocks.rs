//! Finds the blocks of a page, with their marks.

/// Languages whose blocks need marks.
const LANGUAGES: [&str; 9] =
    ["sh", "bash", "console", "shell", "python", "js", "go", "java", "rust"];

/// The mark of a block, which shows if a test runs it.
#[derive(Debug, PartialEq)]
pub(crate) enum Mark {
    Run { name: String, explained: bool, before: String },
    Platform(String),
}

/// The text between two fences.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// Line number of its opening fence in the page.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
    pub(crate) mark: Option<Mark>,
}

impl Block {
    /// Returns the lines that its output must have, in order.
    pub(crate) fn expected(&self) -> Vec<String> {
        if matches!(self.mark, Some(Mark::Run { explained: true, .. })) {
            return Vec::new();
        }
        self.text.lines().filter_map(|line| Some(self.comment(line)?.1.to_owned())).collect()
    }

    /// Splits a line with a comment at its end into the part before it and the comment.
    pub(crate) fn comment<'a>(&self, line: &'a str) -> Option<(&'a str, &'a str)> {
        let sign = if ["js", "rust", "go", "java"].contains(&self.language.as_str()) {
            " // "
        } else {
            " # "
        };
        let (command, comment) = line.rsplit_once(sign)?;
        (!command.trim().is_empty()).then(|| (command.trim_end(), comment.trim()))
    }
}

/// Returns the blocks of a page that need a mark.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let lines: Vec<_> = page.lines().collect();
    let mut blocks = Vec::new();
    let mut number = 0;
    while number < lines.len() {
        let Some(language) = lines[number].trim_start().strip_prefix("```") else {
            number += 1;
            continue;
        };
        let fence = number;
        let indent = lines[fence].len() - lines[fence].trim_start().len();
        let inner = lines[fence + 1..].iter().take_while(|line| line.trim() != "```");
        let inner: Vec<_> = inner.map(|line| line.get(indent..).unwrap_or_default()).collect();
        number += inner.len() + 2;
        if LANGUAGES.contains(&language) {
            let text = inner.iter().map(|line| format!("{line}\n")).collect();
            let mark = mark(&lines[..fence]);
            blocks.push(Block { line: fence + 1, language: language.to_owned(), text, mark });
        }
    }
    blocks
}

/// Returns the mark that ends in the line above.
fn mark(above: &[&str]) -> Option<Mark> {
    above.last()?.trim_end().strip_suffix("-->")?;
    let first = above.iter().rposition(|line| line.trim_start().starts_with("<!-- "))?;
    let (head, before) = above[first..].split_first()?;
    let head = head.trim().trim_start_matches("<!-- ").trim_end_matches("-->").trim();
    if let Some(what) = head.strip_prefix("platform: ") {
        return Some(Mark::Platform(what.to_owned()));
    }
    let name = head.strip_prefix("run: ")?;
    let before = before.iter().filter(|line| line.trim() != "-->");
    let before = before.map(|line| format!("{line}\n")).collect();
    Some(match name.strip_suffix(", explained") {
        Some(name) => Mark::Run { name: name.to_owned(), explained: true, before },
        None => Mark::Run { name: name.to_owned(), explained: false, before },
    })
}

/// Returns the first expected line that is missing in an output, in order.
pub(crate) fn missing(expected: &[String], output: &str) -> Option<String> {
    let mut lines = output.lines().map(str::trim);
    let absent = expected.iter().find(|line| !lines.any(|is| matches(line, is)));
    absent.cloned()
}

/// Returns true if a line is as expected, where `…` stands for any text.
fn matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…').map(str::trim);
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    last.map_or(rest.is_empty(), |part| part.is_empty() || line.ends_with(part))
}
