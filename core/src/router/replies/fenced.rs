//! The reading of shared links whose sessions are kept apart by barriers.
//!
//! Every byte before a barrier's token belongs to the session whose run that barrier closes, and to no
//! other session. If a session gets more or fewer replies than it asked for, only this session ends; the
//! link continues after the token.

use bytes::BytesMut;

use super::demultiplexer::{Demultiplexer, Recipients};
use super::fence::{Fence, Form};
use super::queue::nobody;
use super::shared::Shared;
use crate::resp::ReplyScanner;
use crate::router::SessionId;
use crate::session::Unexpected;

/// How the loop over the bytes continues.
enum Next {
    /// It continues with the bytes after these; if they are 0, other state has changed.
    After(usize),
    /// It waits for more bytes.
    More,
}

impl Shared {
    /// As [`Shared::receive`].
    pub(in crate::router) fn receive_fenced(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<(), Unexpected> {
        let Some(fence) = &mut self.fence else { return Ok(()) };
        if fence.begun.is_empty() {
            return self.receive_runs(input, to);
        }
        let mut begun = std::mem::take(&mut fence.begun);
        begun.extend_from_slice(input);
        self.receive_runs(&begun, to)
    }

    fn receive_runs(
        &mut self,
        mut input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<(), Unexpected> {
        while !input.is_empty() {
            match self.receive_next(input, to)? {
                Next::After(len) => input = input.get(len..).unwrap_or_default(),
                Next::More => {
                    if let Some(fence) = &mut self.fence {
                        fence.begun.extend_from_slice(input);
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    fn receive_next(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<Next, Unexpected> {
        let Some(fence) = &mut self.fence else { return Ok(Next::More) };
        if fence.skips {
            return self.skip(input, to);
        }
        if let Some(unproved) = &mut fence.unproved {
            unproved.extend_from_slice(input);
            return self.prove(input.len(), to);
        }
        match self.queue.front() {
            None => self.receive_unasked(input, to),
            Some((session, _)) if session == nobody() => self.receive_barrier(input, to),
            Some(_) => self.receive_run(input, to),
        }
    }

    /// Receives bytes although no reply is pending.
    fn receive_unasked(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<Next, Unexpected> {
        if let Some(len) = self.skip_push(input, to) {
            return Ok(Next::After(len));
        }
        // Only the session that has sent last can have caused the bytes.
        match self.fence.as_ref().and_then(|fence| fence.open) {
            Some(session) => {
                self.mismatch(session, to);
                Ok(Next::After(0))
            }
            None => Err(Unexpected::Reply),
        }
    }

    /// Receives bytes while the reply to a barrier is the next one.
    fn receive_barrier(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<Next, Unexpected> {
        if let Some(len) = self.skip_push(input, to) {
            return Ok(Next::After(len));
        }
        let Some(fence) = &mut self.fence else { return Ok(Next::More) };
        let Some(barrier) = fence.sent.front() else { return Err(Unexpected::Reply) };
        let reply = barrier.reply();
        if input.starts_with(reply) {
            let len = reply.len();
            self.pass_barrier(to);
            return Ok(Next::After(len));
        }
        if reply.starts_with(input) {
            return Ok(Next::More);
        }
        if barrier.form == Form::Echo {
            match Fence::is_refusal(input) {
                Some(true) => {
                    // The session before the barrier may have caused this error too. The next barrier, which
                    // is always answered, decides that.
                    fence.unproved = Some(BytesMut::new());
                    (fence.wants_barrier, fence.insists) = (true, true);
                    fence.may_not_echo = Fence::is_refusal_for_good(input);
                    return Ok(Next::After(0));
                }
                None => return Ok(Next::More),
                Some(false) => {}
            }
        }
        let session = barrier.session;
        self.mismatch(session, to);
        Ok(Next::After(0))
    }

    /// Receives bytes while replies to a session's run are the next ones.
    fn receive_run(
        &mut self,
        input: &[u8],
        to: &mut Demultiplexer<'_>,
    ) -> Result<Next, Unexpected> {
        let is_closed = self.queue.runs() > 1;
        let barrier = self.fence.as_ref().and_then(|fence| fence.sent.front());
        let Some(barrier) = barrier.filter(|_| is_closed) else {
            let len = self.give(input, to);
            return Ok(Next::After(len));
        };
        let place = barrier.find(input);
        let end = place.unwrap_or_else(|| input.len().saturating_sub(barrier.begun_in(input)));
        let own = input.get(..end).unwrap_or(input);
        if !own.is_empty() {
            return Ok(Next::After(self.give(own, to)));
        }
        if place.is_none() {
            return Ok(Next::More);
        }
        // The token has come before replies of the run.
        let session = self.queue.front().map_or_else(nobody, |(session, _)| session);
        self.mismatch(session, to);
        Ok(Next::After(0))
    }

    /// Gives bytes to the session in front, the only one that they can belong to. Returns how many bytes it has
    /// taken; the rest is more than it asked for.
    fn give(&mut self, bytes: &[u8], to: &mut Demultiplexer<'_>) -> usize {
        let Some((session, _)) = self.queue.front() else { return 0 };
        let mut used = 0_usize;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty())
            && self.queue.front().is_some_and(|(front, _)| front == session)
        {
            match to.take(rest, &mut self.queue) {
                Ok(len) => used = used.saturating_add(len),
                Err(_) => {
                    self.mismatch(session, to);
                    return bytes.len();
                }
            }
        }
        used
    }

    /// Drops the bytes of a push that begins with `input`, or continues there. Returns how many bytes it has
    /// dropped. While a barrier's reply is pending, the push ends before its token.
    fn skip_push(&self, input: &[u8], to: &mut Demultiplexer<'_>) -> Option<usize> {
        let barrier = self.fence.as_ref().and_then(|fence| fence.sent.front());
        let end = barrier.map_or(input.len(), |barrier| {
            let kept = || input.len().saturating_sub(barrier.begun_in(input));
            barrier.find(input).unwrap_or_else(kept)
        });
        let own = input.get(..end).filter(|own| !own.is_empty())?;
        to.reader.skip_push(own)
    }

    /// Removes the barrier whose token has come. The run before it has all its replies.
    fn pass_barrier(&mut self, to: &mut Demultiplexer<'_>) {
        self.queue.pop_run();
        if let Some(fence) = &mut self.fence {
            fence.sent.pop_front();
            fence.insists &= !fence.sent.is_empty();
        }
        to.reader.begin_frame();
    }

    /// Ends `session`, which has got more or fewer replies than it asked for, and drops all bytes up to the next
    /// token.
    fn mismatch(&mut self, session: SessionId, to: &mut Demultiplexer<'_>) {
        to.mismatched.push(session);
        if let Some(fence) = &mut self.fence {
            fence.skips = true;
            fence.wants_barrier |= fence.sent.is_empty();
        }
    }

    /// Drops bytes up to the first token that has been sent and has not come yet. Sessions whose replies have
    /// been dropped with them end.
    fn skip(&mut self, input: &[u8], to: &mut Demultiplexer<'_>) -> Result<Next, Unexpected> {
        let Some(fence) = &mut self.fence else { return Ok(Next::More) };
        let places = fence.sent.iter().enumerate();
        let found = places.filter_map(|(at, barrier)| Some((barrier.find(input)?, at)));
        let Some((place, at)) = found.min() else {
            let begun = fence.sent.iter().map(|barrier| barrier.begun_in(input)).max();
            let begun = begun.unwrap_or(0);
            return Ok(match input.len().saturating_sub(begun) {
                0 => Next::More,
                len => Next::After(len),
            });
        };
        let barrier = fence.sent.get(at).map_or(0, |barrier| barrier.reply().len());
        fence.sent.drain(..=at);
        fence.skips = false;
        fence.insists &= !fence.sent.is_empty();
        let mut left = at.saturating_add(1);
        while left > 0
            && let Some(session) = self.queue.pop_run()
        {
            if session == nobody() {
                left = left.saturating_sub(1);
            } else {
                to.mismatched.push(session);
            }
        }
        to.reader.begin_frame();
        Ok(Next::After(place.saturating_add(barrier)))
    }

    /// Checks whether it is known now to which sessions the bytes belong that are held since the server refused
    /// a barrier. `fresh` is the number of bytes that came last.
    fn prove(&mut self, fresh: usize, to: &mut Demultiplexer<'_>) -> Result<Next, Unexpected> {
        let Some(fence) = &mut self.fence else { return Ok(Next::More) };
        let Some(held) = fence.unproved.take() else { return Ok(Next::More) };
        let forged = fence.sent.front().filter(|barrier| barrier.find(&held).is_some());
        let judge = fence.sent.iter().position(|barrier| barrier.form == Form::Hello);
        let proof = judge.and_then(|at| Some((at, fence.sent.get(at)?.find(&held)?)));
        let from = if let Some(barrier) = forged {
            // The token of the refused barrier has come after all: the session before it has caused the error.
            let session = barrier.session;
            self.mismatch(session, to);
            0
        } else if let Some((at, end)) = proof {
            let proved = held.get(..end).unwrap_or_default();
            if self.is_in_step(proved, at) {
                self.give_out(proved, at, to);
                end
            } else {
                self.mismatch_all(at, to);
                0
            }
        } else if held.len() > Fence::MAX_UNPROVED {
            return Err(Unexpected::Reply);
        } else {
            fence.unproved = Some(held);
            return Ok(Next::After(fresh));
        };
        self.receive_runs(held.get(from..).unwrap_or_default(), to)?;
        Ok(Next::After(fresh))
    }

    /// Returns whether `bytes` are exactly the replies to all runs, and to all barriers, before the barrier at
    /// `judge`; the reply to a barrier may be an error that says that the server refused it.
    fn is_in_step(&self, bytes: &[u8], judge: usize) -> bool {
        let Some(fence) = &self.fence else { return false };
        let mut barriers = fence.sent.iter().take(judge);
        let mut scanner = ReplyScanner::new();
        let mut rest = bytes;
        for (session, count) in self.queue.iter() {
            let barrier = if session == nobody() { barriers.next() } else { None };
            if session == nobody() && barrier.is_none() {
                return rest.is_empty();
            }
            for _ in 0..count {
                let Ok(scan) = scanner.scan(rest) else { return false };
                let (frame, after) = rest.split_at_checked(scan.len).unwrap_or((rest, &[]));
                let is_refusal = || Fence::is_refusal(frame) == Some(true);
                if !scan.done || barrier.is_some_and(|b| b.reply() != frame && !is_refusal()) {
                    return false;
                }
                rest = after;
            }
        }
        false
    }

    /// Gives the bytes that [`Shared::is_in_step`] has proved to their sessions.
    fn give_out(&mut self, bytes: &[u8], judge: usize, to: &mut Demultiplexer<'_>) {
        let mut rest = bytes;
        let mut passed = 0;
        while let Some((session, _)) = self.queue.front()
            && (session != nobody() || passed < judge)
        {
            let len = if session == nobody() {
                passed = passed.saturating_add(1);
                let scan = ReplyScanner::new().scan(rest);
                self.pass_barrier(to);
                scan.map_or(rest.len(), |scan| scan.len)
            } else {
                self.give(rest, to)
            };
            rest = rest.get(len..).unwrap_or_default();
        }
        to.reader.begin_frame();
    }

    /// Ends all sessions whose runs come before the token at `judge`: it is not known which replies are whose.
    fn mismatch_all(&mut self, judge: usize, to: &mut Demultiplexer<'_>) {
        let sessions = self.fence.iter().flat_map(|fence| fence.sent.iter());
        let sessions: Vec<_> = sessions.take(judge).map(|barrier| barrier.session).collect();
        to.mismatched.extend(sessions);
        // The bytes are read again and dropped up to this token; the barriers before it are known to be refused.
        if let Some(fence) = &mut self.fence {
            fence.skips = true;
        }
    }
}
