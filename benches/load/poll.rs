//! Waiting for connections to become readable, and for a timer finer than epoll's own.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::Outcome;

/// The token of the timer.
const TIMER: u64 = u64::MAX;
/// After this time without a reply something is broken.
const TIME_LIMIT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

pub(crate) struct Poll {
    epoll: OwnedFd,
    timer: Option<OwnedFd>,
    events: Vec<Event>,
}

impl Poll {
    pub(crate) fn new() -> Outcome<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, timer: None, events: Vec::with_capacity(1024) })
    }

    /// Reports `token` while `source` can be read.
    pub(crate) fn add(&self, source: impl AsFd, token: usize) -> Outcome<()> {
        epoll::add(&self.epoll, source, EventData::new_u64(token as u64), EventFlags::IN)?;
        Ok(())
    }

    /// Ends each wait that would last beyond the next of these moments.
    pub(crate) fn tick_every(&mut self, interval: Duration) -> Outcome<()> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let interval = Timespec::try_from(interval)?;
        let times = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Waits; returns the tokens that can be read.
    pub(crate) fn wait(&mut self) -> Outcome<impl Iterator<Item = usize> + use<>> {
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&TIME_LIMIT))?;
        if self.events.is_empty() {
            return Err("no reply for 20 seconds".into());
        }
        let tokens = self.events.iter().map(|event| event.data.u64());
        if let Some(timer) = &self.timer
            && tokens.clone().any(|token| token == TIMER)
        {
            // The timer's expirations must be read, otherwise it stays readable.
            rustix::io::read(timer, &mut [0; 8])?;
        }
        let tokens: Vec<_> =
            tokens.filter(|token| *token != TIMER).map(|token| token as usize).collect();
        Ok(tokens.into_iter())
    }
}
