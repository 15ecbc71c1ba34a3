//! Refused commands in disguise: case, quotes, escapes, NULs, line ends, size, and segments.

use super::case::{Case, Holds, multibulk, says, unknown};
use super::plain::{refusal, refused};
use support::frame;

super::in_every_mode!(disguises_do_not_help);

/// One command of each kind, for disguises that do not depend on the command.
const SOME: [&str; 8] = [
    "FLUSHALL",
    "CONFIG SET maxmemory 1mb",
    "ACL SETUSER evil on nopass",
    "SWAPDB 0 1",
    "CLIENT KILL TYPE normal",
    "FUNCTION FLUSH",
    "SCRIPT FLUSH",
    "RESTORE-ASKING new 0 payload",
];

/// Bytes that no rule, and no command of Redis, has at the end of its name.
const TAILS: [&str; 9] = ["\0", "\0\0", "\0x", " ", "\r", "\n", "\r\n", "\t", "\u{a0}"];

/// Returns the line in mixed case: `fLuShAlL`.
fn mixed(line: &str) -> String {
    let odd = |(place, letter): (usize, char)| match place % 2 {
        0 => letter.to_ascii_lowercase(),
        _ => letter.to_ascii_uppercase(),
    };
    line.chars().enumerate().map(odd).collect()
}

/// Returns each byte of a word as an escape: `"\x46\x4c"`.
fn escaped(word: &str) -> String {
    let digits: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{digits}\"")
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = refused().map(mixed).map(|line| plain("mixed case", &line)).collect();
    for line in SOME {
        cases.extend(inline(line));
        cases.extend(nearly_valid(line));
        let bytes = multibulk(&[line]);
        let refused = refusal(line);
        cases.push(
            Case::new(format!("{line}, byte by byte"), bytes, says(&[&refused])).byte_by_byte(),
        );
        let text = format!("{line}\r\n");
        cases.push(
            Case::new(format!("{line}, inline, byte by byte"), text, says(&[&refused]))
                .byte_by_byte(),
        );
        cases.push(oversize(line));
        cases.push(many(line));
    }
    for tail in TAILS {
        cases.push(plain_of(&["FLUSHALL".to_owned() + tail]));
        cases.push(plain_of(&[
            "CLIENT".into(),
            "KILL".to_owned() + tail,
            "TYPE".into(),
            "normal".into(),
        ]));
        cases.push(plain_of(&[
            "CLIENT".to_owned() + tail,
            "KILL".into(),
            "TYPE".into(),
            "normal".into(),
        ]));
    }
    cases.push(colliding());
    cases
}

fn plain(how: &str, line: &str) -> Case {
    let said = multibulk(&[line]);
    Case::new(format!("{line}, {how}"), said, says(&[&refusal(line)]))
}

/// Expects an error for such a name, whatever its text is.
fn plain_of(words: &[String]) -> Case {
    Case::new(format!("{words:?}"), frame::request(words), says(&["-ERR unknown "]))
}

/// Returns several inline forms of a request.
fn inline(line: &str) -> Vec<Case> {
    let words: Vec<&str> = line.split(' ').collect();
    let each = |write: &dyn Fn(&str) -> String| {
        words.iter().map(|word| write(word)).collect::<Vec<_>>().join(" ")
    };
    let (head, tail) = line.split_at(3);
    let forms = [
        ("bare line feed", format!("{line}\n")),
        ("blanks", format!(" \t  {}  \t\r\n", words.join(" \t "))),
        ("vertical tab", format!("\u{b}{line}\r\n")),
        ("double quotes", each(&|word| format!("\"{word}\"")) + "\r\n"),
        ("single quotes", each(&|word| format!("'{word}'")) + "\r\n"),
        ("escapes", each(&escaped) + "\r\n"),
        (
            "useless escapes",
            format!("\"\\{}\"\r\n", each(&|word| word.to_owned()).replace(' ', "\" \"\\")),
        ),
        ("quotes behind a letter", format!("{head}\"{}\"\r\n", tail.replace(' ', "\" \""))),
        ("behind an empty line", format!("\r\n\n\r\n{line}\r\n")),
        ("behind an empty request", format!("*0\r\n*-1\r\n{line}\r\n")),
    ];
    let case = |(how, text): (&str, String)| {
        Case::new(format!("{line}, inline, {how}"), text, says(&[&refusal(line)]))
    };
    forms.map(case).into()
}

/// Returns requests that are almost the command. They must not run it, however they are read.
fn nearly_valid(line: &str) -> Vec<Case> {
    let text =
        |text: String| Case::new(format!("{:?}", text), text, Holds::NeverSays("+OK\r\n+OK"));
    vec![
        text(format!("\"{line}\0\"\r\n")),
        text(format!("{line}\0\r\nPING\r\n")),
        text(format!("\"{line}\r\n")),
        text(format!("\"{line}\"x\r\n")),
        text(format!("ECHO \"\r\n{line}\r\n")),
        text(format!("ECHO '\\r\\n{line}\\r\\n'\r\n")),
        text(format!("\u{feff}{line}\r\n")),
    ]
}

/// Returns a case with an argument that is too large to be buffered.
fn oversize(line: &str) -> Case {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.push("x".repeat(200_000));
    let said = frame::request(&words);
    let holds = says(&[&refusal(line)]);
    Case::new(format!("{line} and 200 kB"), said, holds)
}

/// Returns a case with more arguments than are accepted.
fn many(line: &str) -> Case {
    let words: Vec<&str> = line.split(' ').chain(std::iter::repeat_n("x", 20_000)).collect();
    Case::new(
        format!("{line} and 20,000 arguments"),
        frame::request(&words),
        says(&[&refusal(line)]),
    )
}

/// Redis finds a name by a hash and then compares it as a C string, so about one such name of 256 would
/// run.
fn colliding() -> Case {
    let names = (0..3000).flat_map(|number| {
        let tail = format!("\0{number}");
        ["FLUSHALL", "SWAPDB"]
            .map(|name| frame::request(&[format!("{name}{tail}"), "0".into(), "1".into()]))
    });
    let said = names.flatten().collect::<Vec<u8>>();
    Case::new("6,000 names with a NUL", said, says(&[&unknown("FLUSHALL")]))
}
