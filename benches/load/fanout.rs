//! Fan-out: one publisher, many subscribers.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::connection::{Address, Connection, request};
use crate::poll::Poll;
use crate::times::Times;

/// Most messages that are published and not yet delivered to all.
const WINDOW: usize = 4;

/// Delivers `count` messages in total to `subscribers`; a latency is the time from publishing to
/// delivery.
pub(crate) fn run(address: &Address, subscribers: usize, count: usize) -> Outcome<String> {
    let mut poll = Poll::new()?;
    let mut buffer = vec![0; 64 << 10];
    let channel = format!("load:{}", std::process::id());
    let mut all = Vec::new();
    for number in 0..subscribers {
        let mut connection = Connection::open(address)?;
        poll.add(&connection, number)?;
        connection.send(&request(&[b"SUBSCRIBE", channel.as_bytes()]))?;
        all.push(connection);
    }
    let mut subscribed = 0;
    while subscribed < subscribers {
        for token in poll.wait()? {
            all[token].replies(&mut buffer, |_| subscribed += 1)?;
        }
    }
    let mut publisher = Connection::open(address)?;
    poll.add(&publisher, subscribers)?;
    let publications = count.div_ceil(subscribers);
    let deliveries = publications * subscribers;
    let mut times = Times::with_capacity(deliveries);
    let mut published = 0;
    let start = Instant::now();
    while times.len() < deliveries {
        while published < publications
            && published * subscribers < times.len() + WINDOW * subscribers
        {
            let text = format!("{:016x}", start.elapsed().as_nanos());
            publisher.send(&request(&[b"PUBLISH", channel.as_bytes(), text.as_bytes()]))?;
            published += 1;
        }
        for token in poll.wait()? {
            let Some(connection) = all.get_mut(token) else {
                publisher.flush()?;
                publisher.replies(&mut buffer, |_| ())?;
                continue;
            };
            let now = start.elapsed();
            connection.replies(&mut buffer, |message| {
                times.push(now.saturating_sub(published_at(message)));
            })?;
        }
    }
    Ok(times.report(deliveries, start.elapsed()))
}

/// Returns the time in a message: its last 16 bytes before the line's end.
fn published_at(message: &[u8]) -> Duration {
    let text = message.len().checked_sub(18).and_then(|from| message.get(from..from + 16));
    let text = text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    Duration::from_nanos(u64::from_str_radix(text, 16).unwrap_or_default())
}
