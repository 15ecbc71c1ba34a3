//! The tables of inputs: their format, read into bytes.
//!
//! `=== name | option | option` begins a case. Options: `noauth` (the connection has not
//! authenticated), `eof` (the input ends with the end of sending, not with PING and QUIT), `mask id`,
//! `mask integers`, `mask letters` (numbers that two servers need not share; strings of one byte, which
//! come in no certain order). Each other line is one of
//!
//! ```text
//! SET key "two words\r\n"   a request in multibulk form; words as in a shell, with \r \n \t \0 \xHH
//! inline: PING  "as is"     the text as written, with \r\n after it
//! raw: *1\r\n$4\r\nPI       the bytes after escapes, nothing added
//! times 3: PING             any of these, repeated
//! sync                      waits until all before it has been answered
//! other: PUBLISH c hello    a sync, then a request by another connection
//! # text                    nothing
//! ```
//!
//! In requests and raw lines `{password}` is the right password, `{a*70000}` repeats `a` 70000 times.

use support::frame;

/// The next step of a case.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Sync,
    Other(Vec<u8>),
}

/// An input with its options.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) noauth: bool,
    pub(crate) eof: bool,
    pub(crate) mask_id: bool,
    pub(crate) mask_integers: bool,
    pub(crate) mask_letters: bool,
    pub(crate) steps: Vec<Step>,
}

/// Reads a table.
pub(crate) fn read(table: &str, password: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines() {
        if let Some(heading) = line.strip_prefix("=== ") {
            cases.push(begin(heading));
        } else if !line.is_empty() && !line.starts_with("# ") {
            let case = cases.last_mut().expect("a case begins with ===");
            let steps = steps(line, password).unwrap_or_else(|| panic!("not a line: {line}"));
            case.steps.extend(steps);
        }
    }
    cases
}

pub(crate) fn begin(heading: &str) -> Case {
    let mut parts = heading.split(" | ");
    let mut case = Case { name: parts.next().unwrap_or_default().into(), ..Case::default() };
    for option in parts {
        match option {
            "noauth" => case.noauth = true,
            "eof" => case.eof = true,
            "mask id" => case.mask_id = true,
            "mask letters" => case.mask_letters = true,
            "mask integers" => case.mask_integers = true,
            _ => panic!("unknown option {option}"),
        }
    }
    case
}

fn steps(line: &str, password: &str) -> Option<Vec<Step>> {
    if let Some(rest) = line.strip_prefix("times ") {
        let (count, line) = rest.split_once(": ")?;
        let once = steps(line, password)?;
        return Some(vec![once; count.parse().ok()?].concat());
    }
    if line == "sync" {
        return Some(vec![Step::Sync]);
    }
    if let Some(request) = line.strip_prefix("other: ") {
        return Some(vec![Step::Sync, Step::Other(frame::request(&words(request, password)?))]);
    }
    let bytes = if let Some(text) = line.strip_prefix("inline:") {
        format!("{}\r\n", text.strip_prefix(' ').unwrap_or(text)).into_bytes()
    } else if let Some(text) = line.strip_prefix("raw: ") {
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            rest = piece(rest, password, &mut out)?;
        }
        out
    } else {
        frame::request(&words(line, password)?)
    };
    Some(vec![Step::Send(bytes)])
}

pub(crate) fn words(line: &str, password: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim().as_bytes();
    while !rest.is_empty() {
        let mut word = Vec::new();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = quoted;
            while rest.first()? != &b'"' {
                rest = piece(rest, password, &mut word)?;
            }
            rest = &rest[1..];
        } else {
            while rest.first().is_some_and(|byte| *byte != b' ') {
                rest = piece(rest, password, &mut word)?;
            }
        }
        rest = rest.trim_ascii_start();
        words.push(word);
    }
    Some(words)
}

/// Takes one byte, escape or placeholder off the start of `text`, and returns the rest.
fn piece<'a>(text: &'a [u8], password: &str, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (first, rest) = text.split_first()?;
    match first {
        b'\\' => {
            let (escape, rest) = rest.split_first()?;
            let byte = match escape {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'x' => {
                    let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                    out.push(u8::from_str_radix(digits, 16).ok()?);
                    return Some(&rest[2..]);
                }
                other => *other,
            };
            out.push(byte);
            Some(rest)
        }
        b'{' => {
            if let Some(rest) = rest.strip_prefix(b"password}") {
                out.extend_from_slice(password.as_bytes());
                return Some(rest);
            }
            if let Some((length, what, count)) = repetition(rest) {
                let mut once = Vec::new();
                let mut what = what;
                while !what.is_empty() {
                    what = piece(what, password, &mut once)?;
                }
                out.extend_from_slice(&once.repeat(count));
                return Some(&rest[length..]);
            }
            out.push(b'{');
            Some(rest)
        }
        byte => {
            out.push(*byte);
            Some(rest)
        }
    }
}

/// Parses `what*count}`: its length and parts.
fn repetition(text: &[u8]) -> Option<(usize, &[u8], usize)> {
    let end = text.iter().position(|byte| *byte == b'}')?;
    let star = text[..end].iter().rposition(|byte| *byte == b'*')?;
    let count = std::str::from_utf8(&text[star + 1..end]).ok()?.parse().ok()?;
    Some((end + 1, &text[..star], count))
}
