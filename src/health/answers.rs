//! Records when Redis answers on the watch's own connection, where it is asked once a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redoubt_core::upstream::guard::{Answer, Batch};

use super::link_limit::LinkLimit;
use crate::net::now;

/// Time from an answer to the next question.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// After this time without an answer, Redis counts as having stopped to answer.
const GAP: Duration = Duration::from_secs(3);

/// Records when Redis has answered. Shared by all threads; locked once a second, and when a link is
/// slow.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Option<Period>>);

/// A period in which Redis answered without a gap.
#[derive(Debug, Clone, Copy)]
struct Period {
    first: Instant,
    last: Instant,
}

impl Pulse {
    /// Notes that Redis has answered.
    fn answered(&self, now: Instant) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = beats
            .filter(|beats| now.saturating_duration_since(beats.last) <= GAP)
            .map_or(now, |beats| beats.first);
        *beats = Some(Period { first, last: now });
    }

    /// Notes that Redis is busy, or that its connection has ended.
    pub(crate) fn stopped(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns for how long Redis has answered without a gap until now.
    pub(crate) fn lasts(&self, now: Instant) -> Duration {
        let beats = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match beats {
            Some(beats) if now.saturating_duration_since(beats.last) <= GAP => {
                beats.last.saturating_duration_since(beats.first)
            }
            _ => Duration::ZERO,
        }
    }
}

/// Adds the questions that the watch asks each time: whether Redis runs commands now, and its bound
/// on clients.
pub(crate) fn add_questions(batch: &mut Batch) {
    batch.add(&["PING"]);
    batch.add(&["INFO", "clients"]);
}

/// Reads the answers to these questions, which are the last of `answers`.
pub(crate) fn take_answers(answers: &[Answer], pulse: &Pulse, limit: &LinkLimit) {
    let Some([pong, info]) = answers.last_chunk() else { return pulse.stopped() };
    match pong {
        Answer::SimpleString(text) if text == b"PONG" => pulse.answered(now()),
        // NOPERM is an answer too: the server runs commands, but this user may not run the tested
        // command.
        Answer::Error(text) if text.starts_with("NOPERM") => pulse.answered(now()),
        // Redis is busy or loading, and does not run commands.
        _ => pulse.stopped(),
    }
    if let Answer::BulkString(text) = info
        && let Some(max_clients) = max_clients(text)
    {
        limit.learn(max_clients);
    }
}

/// Reads Redis's `maxclients` from its answer to `INFO clients`; old versions do not report it.
fn max_clients(info: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(info).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("maxclients:"))?;
    line.trim().parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "only a reference point in time")]
    fn period_starts_after_the_last_gap() {
        let (pulse, start) = (Pulse::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pulse.lasts(at(0)), Duration::ZERO);
        for second in 0..5 {
            pulse.answered(at(second));
        }
        assert_eq!(pulse.lasts(at(5)), Duration::from_secs(4));
        assert_eq!(pulse.lasts(at(8)), Duration::ZERO, "Redis may have stopped since");
        // Redis was busy, and answers the waiting questions only now.
        pulse.answered(at(9));
        assert_eq!(pulse.lasts(at(9)), Duration::ZERO);
        pulse.answered(at(11));
        assert_eq!(pulse.lasts(at(12)), Duration::from_secs(2));
        pulse.stopped();
        assert_eq!(pulse.lasts(at(12)), Duration::ZERO);
    }

    #[test]
    fn maxclients_is_read_from_info_clients() {
        let info = b"# Clients\r\nconnected_clients:3\r\nmaxclients:10000\r\nblocked_clients:0\r\n";
        assert_eq!(max_clients(info), Some(10_000));
        assert_eq!(max_clients(b"# Clients\r\nconnected_clients:3\r\n"), None);
        assert_eq!(max_clients(b"maxclients:x\r\n"), None);
    }
}
