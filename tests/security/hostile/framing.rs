//! Wrong lengths, bytes that only look like line ends, and requests inside requests.

use super::case::{Case, Holds, multibulk, says, unknown};
use super::plain::refusal;
use support::frame;

super::in_every_mode!(lengths_that_lie_do_not_help);

/// Counts that are not 1, though a careless parser may read them as 1.
const COUNTS: [&str; 15] = [
    "+1",
    "01",
    " 1",
    "1 ",
    "1.0",
    "1e0",
    "0x1",
    "-0",
    "--1",
    "4294967297",
    "2147483648",
    "18446744073709551617",
    "9223372036854775808",
    "-9223372036854775809",
    "1\u{661}",
];

/// Lengths that are not 8.
const LENGTHS: [&str; 15] = [
    "+8",
    "08",
    " 8",
    "8 ",
    "8.0",
    "8e0",
    "0x8",
    "010",
    "-8",
    "4294967304",
    "536870913",
    "18446744073709551624",
    "9223372036854775815",
    "",
    "\u{668}",
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in COUNTS {
        let said = format!("*{count}\r\n$8\r\nFLUSHALL\r\n");
        let name = format!("a count of {count:?}");
        cases.push(Case::new(name, said, says(&["-ERR Protocol error: invalid multibulk length"])));
    }
    for length in LENGTHS {
        let said = format!("*1\r\n${length}\r\nFLUSHALL\r\n");
        let name = format!("a length of {length:?}");
        cases.push(Case::new(name, said, says(&["-ERR Protocol error: invalid bulk length"])));
    }
    cases.extend(smuggled());
    cases.extend(odd_ends());
    cases
}

/// Returns cases with a request in the data of another request.
fn smuggled() -> Vec<Case> {
    let flush = multibulk(&["FLUSHALL"]);
    let swap = multibulk(&["SWAPDB 0 1"]);
    let both = [flush.clone(), swap].concat();
    let get_back = [multibulk(&["GET k"]), multibulk(&["DEL k"])].concat();
    let stored = [&frame::request(&[b"SET", &b"k"[..], &both]), &get_back[..]].concat();
    let bulk = frame::bulk(&both);
    let echo = |text: &str| [b"*2\r\n$4\r\nECHO\r\n", text.as_bytes(), &flush].concat();
    let mut large = b"\r\n".to_vec();
    while large.len() < 150_000 {
        large.extend_from_slice(&both);
    }
    let streamed = frame::request(&[b"SET", &b"k"[..], &large]);
    let refused = unknown("FLUSHALL");
    vec![
        Case::new("as a value", stored, says(&["+OK\r\n", &String::from_utf8_lossy(&bulk), ":1"])),
        Case::new(
            "as a large value",
            [&streamed[..], &multibulk(&["STRLEN k", "DEL k"])].concat(),
            says(&["+OK\r\n", &format!(":{}\r\n:1\r\n", large.len())]),
        ),
        Case::new(
            "behind a large value that is refused",
            [&frame::request(&[b"CONFIG", &b"SET"[..], &large])[..], &multibulk(&["PING"])]
                .concat(),
            says(&[&unknown("CONFIG"), "\r\n+PONG\r\n"]),
        ),
        Case::new(
            "in place of a large value's end",
            [&streamed[..streamed.len() - 2], &flush[..]].concat(),
            Holds::Nothing,
        ),
        Case::new(
            "a large request that breaks in the middle",
            [b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n", &large[..100_000], b"\r\n+", &flush]
                .concat(),
            says(&["-ERR Protocol error: expected '$'"]),
        ),
        Case::new(
            "behind a length that is short by two",
            echo("$1\r\nabc"),
            Holds::NeverSays("+OK"),
        ),
        Case::new("behind a length that is short", echo("$0\r\n"), Holds::NeverSays("+OK")),
        Case::new("behind a length that is long", echo("$20\r\n"), Holds::NeverSays("+OK")),
        Case::new(
            "behind a count that is short",
            echo("$1\r\na\r\n$1\r\n"),
            Holds::NeverSays("+OK"),
        ),
        Case::new(
            "nested",
            [b"*2\r\n*1\r\n$8\r\nFLUSHALL\r\n", &flush[..]].concat(),
            says(&["-ERR Protocol error: expected '$', got '*'"]),
        ),
        Case::new(
            "behind an inline request",
            [b"ECHO a\r\n", &flush[..], b"ECHO b\r\n"].concat(),
            says(&["a\r\n", &refused, "b\r\n"]),
        ),
        Case::new("behind a null", [b"*-1\r\n*0\r\n\r\n", &flush[..]].concat(), says(&[&refused])),
        Case::new(
            "as a name with line ends",
            frame::request(&["x\r\nFLUSHALL\r\n"]),
            says(&["-ERR unknown"]),
        ),
        Case::new(
            "as an argument with line ends",
            frame::request(&["x", "\r\n*1\r\n$8\r\nFLUSHALL\r\n"]),
            says(&["-ERR unknown command 'x'"]),
        ),
        Case::new(
            "as an argument of a refused command",
            frame::request(&["CONFIG", "\r\n*1\r\n$8\r\nFLUSHALL\r\n"]),
            says(&[&refusal("CONFIG")]),
        ),
        Case::new(
            "as a refused command of a transaction",
            [
                multibulk(&["MULTI"]),
                frame::request(&["CONFIG", "\r\n*1\r\n$4\r\nEXEC\r\n"]),
                multibulk(&["EXEC"]),
            ]
            .concat(),
            says(&["+OK\r\n", &refusal("CONFIG"), "-EXECABORT"]),
        ),
        Case::new(
            "a name of 70,000 bytes",
            frame::request(&["FLUSHALL".repeat(8750)]),
            says(&["-ERR unknown command 'FLUSHALL"]),
        ),
        Case::new(
            "a TLS hello",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1FLUSHALL\r\n".to_vec(),
            Holds::Nothing,
        ),
    ]
}

/// Before Valkey 9.1, servers skip the two bytes of a line end without reading them.
fn odd_ends() -> Vec<Case> {
    let cases = [
        ("no line end behind the name", "*1\r\n$8\r\nFLUSHALLxx"),
        ("a line end the wrong way round", "*1\r\n$8\r\nFLUSHALL\n\r"),
        ("a count without CR", "*1\n$8\r\nFLUSHALL\r\n"),
        ("a length without CR", "*1\r\n$8\nFLUSHALL\r\n"),
        ("CR alone", "*1\r$8\rFLUSHALL\r"),
        ("a line end within the name", "*1\r\n$10\r\nFLUSH\r\nALL\r\n"),
    ];
    cases.map(|(name, said)| Case::new(name, said, Holds::SaysAsServer)).into()
}
