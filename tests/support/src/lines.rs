//! The output of a program, line by line, kept for the whole test.

use std::io::{BufRead as _, BufReader, Read};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};

use super::Deadline;

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// Number of the program's streams that are still open.
    open: usize,
}

/// Lines that threads collect from a program's streams. Clones share them.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<State>, Condvar)>);

impl Lines {
    /// Collects all output of `child`, on standard output and on standard error.
    pub fn of(child: &mut Child) -> Self {
        let lines = Self::default();
        lines.collect(child.stdout.take().expect("standard output is piped"));
        lines.collect(child.stderr.take().expect("standard error is piped"));
        lines
    }

    /// Collects all output on `stream`, so that the program never waits for a reader.
    pub fn collect(&self, stream: impl Read + Send + 'static) {
        self.0.0.lock().unwrap().open += 1;
        let shared = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                shared.0.lock().unwrap().lines.push(line);
                shared.1.notify_all();
            }
            shared.0.lock().unwrap().open -= 1;
            shared.1.notify_all();
        });
    }

    /// Waits for a line from `from` on for which `wanted` is true, and returns the first. Returns
    /// `None` if the streams end or [`super::TIME_LIMIT`] is over before.
    pub fn wait_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Deadline::standard();
        let mut state = self.0.0.lock().unwrap();
        let mut seen = from;
        loop {
            if let Some(line) = state.lines.iter().skip(seen).find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = seen.max(state.lines.len());
            if state.open == 0 {
                return None;
            }
            state = self.0.1.wait_timeout(state, deadline.left()?).unwrap().0;
        }
    }

    /// Does what [`Lines::wait_from`] does, from the first line.
    pub fn wait(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.wait_from(0, wanted)
    }

    /// Waits until the program has closed its streams.
    pub fn wait_for_end(&self) {
        self.wait_from(usize::MAX, |_| false);
    }

    /// Returns the present number of lines.
    pub fn count(&self) -> usize {
        self.0.0.lock().unwrap().lines.len()
    }

    /// Returns all lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }
}

/// Returns the value of a string field of a JSON line, without decoding its escapes.
pub fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\":\"");
    let (_, value) = line.split_once(&key)?;
    let end = value.match_indices('"').find(|(at, _)| !value[..*at].ends_with('\\'))?.0;
    Some(&value[..end])
}
