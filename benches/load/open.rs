//! The open loop: a fixed rate, whatever the server does.
//!
//! A latency counts from the moment at which the request should leave, not from when it left. So a
//! server that stalls is charged for all requests that would have been sent meanwhile, and the
//! generator's own delays count too, equally for all servers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::connection::{Address, Connection};
use crate::poll::Poll;
use crate::requests::Mix;
use crate::times::Times;

/// The share of the run, at its start, that is not counted.
const WARM_UP: f64 = 0.1;

struct Client {
    connection: Connection,
    /// For each request in flight, when it should have left and how many replies are missing.
    due: VecDeque<(Instant, usize)>,
}

/// Sends `rate` requests per second, evenly, over `clients` connections in turn.
pub(crate) fn run(
    address: &Address,
    mix: Mix,
    clients: usize,
    rate: f64,
    seconds: f64,
) -> Outcome<String> {
    let requests = mix.requests();
    let count = (rate * seconds) as u32;
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for number in 0..clients {
        let connection = Connection::open(address)?;
        poll.add(&connection, number)?;
        all.push(Client { connection, due: VecDeque::new() });
    }
    poll.tick_every(interval)?;
    let mut buffer = vec![0; 64 << 10];
    let mut times = Times::with_capacity(count as usize);
    let (mut sent, mut answered) = (0, 0);
    let start = Instant::now();
    let counted = start + Duration::from_secs_f64(seconds * WARM_UP);
    while answered < count {
        while sent < count && start + interval * sent <= Instant::now() {
            let client = &mut all[sent as usize % clients];
            let request = &requests[sent as usize % requests.len()];
            client.connection.send(&request.bytes)?;
            client.due.push_back((start + interval * sent, request.replies));
            sent += 1;
        }
        for token in poll.wait()? {
            let Client { connection, due } = &mut all[token];
            connection.flush()?;
            let now = Instant::now();
            connection.replies(&mut buffer, |_| {
                let Some((wanted, left)) = due.front_mut() else { return };
                *left -= 1;
                if *left == 0 {
                    if *wanted >= counted {
                        times.push(now.saturating_duration_since(*wanted));
                    }
                    due.pop_front();
                    answered += 1;
                }
            })?;
        }
    }
    Ok(times.report(count as usize, start.elapsed()))
}
