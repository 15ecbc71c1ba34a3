//! The closed loop: requests are sent as fast as the server answers.

use std::time::Instant;

use crate::Outcome;
use crate::connection::{Address, Connection};
use crate::poll::Poll;
use crate::requests::Mix;
use crate::times::Times;

struct Client {
    connection: Connection,
    /// Index of the next request.
    next: usize,
    /// Replies to the last request that have not arrived.
    due: usize,
    sent: Instant,
}

/// Runs `count` requests over `clients` connections.
pub(crate) fn run(address: &Address, mix: Mix, clients: usize, count: usize) -> Outcome<String> {
    let requests = mix.requests();
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for number in 0..clients {
        let connection = Connection::open(address)?;
        poll.add(&connection, number)?;
        // The clients begin at different requests, so that all kinds of requests are in flight at any
        // moment.
        all.push(Client { connection, next: number, due: 0, sent: Instant::now() });
    }
    let mut buffer = vec![0; 64 << 10];
    let mut times = Times::with_capacity(count);
    let mut left = count;
    let mut send = |client: &mut Client| {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        let request = &requests[client.next % requests.len()];
        client.next += 1;
        client.due = request.replies;
        client.sent = Instant::now();
        client.connection.send(&request.bytes)
    };
    let start = Instant::now();
    for client in &mut all {
        send(client)?;
    }
    while times.len() < count {
        for token in poll.wait()? {
            let client = &mut all[token];
            client.connection.flush()?;
            let mut came = 0;
            client.connection.replies(&mut buffer, |_| came += 1)?;
            if came > client.due {
                return Err("more replies than requests".into());
            }
            client.due -= came;
            if came > 0 && client.due == 0 {
                times.push(client.sent.elapsed());
                send(client)?;
            }
        }
    }
    Ok(times.report(count, start.elapsed()))
}
