//! The core stays sans-IO: none of its modules names a runtime, a clock, a socket, a log or a metric.
//! Nothing but `src/tls` names a library of TLS.

use std::fs;
use std::path::{Path, PathBuf};

const CORE: [&str; 7] = ["resp", "command", "policy", "auth", "session", "upstream", "exchange"];

/// What only the shell may name.
const SHELL: [&str; 16] = [
    "tokio",
    "tracing",
    "metrics",
    "socket2",
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
    "crate::net",
    "crate::telemetry",
    "crate::audit",
    "crate::admin",
    "crate::reload",
    "crate::tls",
];

/// What only `src/tls` may name.
const TLS: [&str; 4] = ["rustls", "tokio_rustls", "rustls_native_certs", "x509_cert"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `line` without its comment; a `//` within a string only makes the test blind to its rest.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether `code` holds `name` as a name, not as a part of a longer one.
fn names(code: &str, name: &str) -> bool {
    let part = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    code.match_indices(name).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| code.as_bytes().get(at)).copied();
        let after = code.as_bytes().get(at + name.len()).copied();
        !part(before) && !part(after)
    })
}

/// The code of a file up to its unit tests, which may read a clock.
fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.enumerate().map(|(number, line)| (number + 1, code(line)))
}

#[test]
fn the_core_names_nothing_of_the_shell() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for module in CORE {
        let mut files = Vec::new();
        sources(&root.join(module), &mut files);
        assert!(!files.is_empty(), "src/{module} holds no source");
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in without_tests(&text) {
                for name in SHELL.into_iter().filter(|name| names(line, name)) {
                    let file = path.strip_prefix(&root).unwrap().display();
                    wrong.push(format!("src/{file}:{number} names {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the core is sans-IO:\n{}", wrong.join("\n"));
}

#[test]
fn what_nobody_may_guess_comes_from_the_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        // The keys of its hash tables are no source of secrets: they count up within a thread.
        assert!(!text.contains("RandomState"), "{}", path.display());
    }
}

#[test]
fn sessions_compare_words_as_redis_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root.join("session"), &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for (number, _) in
            without_tests(&text).filter(|(_, line)| line.contains("ignore_ascii_case"))
        {
            wrong.push(format!("src/{}:{number}", path.strip_prefix(&root).unwrap().display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "use resp::is_word, as strcasecmp stops at a NUL:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn nothing_but_tls_names_its_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let file = path.strip_prefix(&root).unwrap();
        if file.starts_with("tls") || file == Path::new("tls.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for name in TLS.into_iter().filter(|name| names(code(line), name)) {
                wrong.push(format!("src/{}:{} names {name}", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "TLS is the business of src/tls:\n{}", wrong.join("\n"));
}

#[test]
fn the_search_finds_names_and_only_names() {
    assert!(names("let now = Instant::now();", "Instant::now"));
    assert!(names("use tokio::time;", "tokio"));
    assert!(!names("let autokion = 1;", "tokio"));
    assert!(!names("fn tokio_like() {}", "tokio"));
    assert_eq!(code("let a = 1; // tokio"), "let a = 1; ");
    let text = "use a;\n#[cfg(test)]\nmod tests { use tokio; }";
    assert_eq!(without_tests(text).collect::<Vec<_>>(), [(1, "use a;")]);
}
