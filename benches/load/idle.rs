//! Sessions that do nothing, and the rate at which they can be opened.

use std::io::Read as _;
use std::time::Instant;

use crate::Outcome;
use crate::connection::{Address, Connection};

/// Threads that open sessions, each of them sequentially.
const OPENERS: usize = 8;

/// Opens `sessions`, prints how many per second, and holds them until standard input ends.
pub(crate) fn run(address: &Address, sessions: usize) -> Outcome<String> {
    let start = Instant::now();
    let openers: Vec<_> = (0..OPENERS)
        .map(|number| {
            let share = sessions / OPENERS + usize::from(number < sessions % OPENERS);
            let address = address.clone();
            std::thread::spawn(move || {
                let opened = (0..share).map(|_| Connection::open(&address));
                opened.collect::<Outcome<Vec<_>>>().map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut held = Vec::new();
    for opener in openers {
        held.extend(opener.join().map_err(|_| "a thread panicked")??);
    }
    let rate = sessions as f64 / start.elapsed().as_secs_f64();
    println!(r#"{{"opened":{},"rate":{rate:.1}}}"#, held.len());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(held);
    Ok(r#"{"closed":true}"#.into())
}
