//! The events that a worker has counted, and samples of durations, which the shell takes at intervals.

use std::mem;
use std::time::{Duration, Instant};

use crate::command::Class;
use crate::router::{LinkId, SessionId};
use crate::session::Counts;

/// Bytes that were read and written since they were last taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from clients.
    pub client_in: u64,
    /// Bytes to clients.
    pub client_out: u64,
    /// Bytes from Redis.
    pub upstream_in: u64,
    /// Bytes to Redis.
    pub upstream_out: u64,
}

/// A sample: how long one request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The class of the command.
    pub class: Class,
    /// Time from when the request was read until it was written to the link.
    pub redoubt: Duration,
    /// Time from then until its reply had been read.
    pub upstream: Duration,
}

/// A request that is being timed.
#[derive(Debug, Clone, Copy)]
struct Probe {
    session: SessionId,
    link: LinkId,
    /// Number of replies that the session has had from links once the reply to this request has come.
    target: u64,
    read: Instant,
    written: Option<Instant>,
}

/// The counts of one worker.
pub struct Counters {
    pub(in crate::router) commands: Counts,
    pub(in crate::router) traffic: Traffic,
    /// Maintenance notifications that were sent to clients since they were last taken.
    pub(in crate::router) maint_notifications: u64,
    /// The requests that are timed now, at most one of each class.
    probes: [Option<Probe>; Class::ALL.len()],
    /// Number of requests of each class that are not timed before the next one is.
    skip: [u8; Class::ALL.len()],
    /// Number of probes. It is mostly 0, and then no probe need be searched.
    timed: u32,
    samples: Vec<Sample>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            commands: Counts::default(),
            traffic: Traffic::default(),
            maint_notifications: 0,
            probes: [None; Class::ALL.len()],
            skip: [0; Class::ALL.len()],
            timed: 0,
            samples: Vec::with_capacity(Self::MAX_SAMPLES),
        }
    }
}

impl Counters {
    /// Number of samples that are kept until they are taken; with as many, no more requests are timed.
    pub const MAX_SAMPLES: usize = 256;
    /// Of each class, the first request after samples were taken is timed, and then one request in this number.
    /// Timing a request costs about a tenth of forwarding it. The number is a prime, so that patterns of clients,
    /// such as pipelines of 16, are not always timed at the same place.
    pub const ONE_IN: u8 = 17;

    /// Begins to time a request of `class` that is sent over `link`, if it is the class's turn and no other request
    /// of the class is timed.
    pub(in crate::router) fn begin(
        &mut self,
        class: Class,
        session: SessionId,
        link: LinkId,
        target: u64,
        read: Instant,
    ) {
        let class = class as usize;
        let Some(skip) = self.skip.get_mut(class) else { return };
        if let Some(fewer) = skip.checked_sub(1) {
            *skip = fewer;
            return;
        }
        if self.samples.len() < Self::MAX_SAMPLES
            && let Some(probe @ None) = self.probes.get_mut(class)
        {
            *skip = Self::ONE_IN.saturating_sub(1);
            self.timed = self.timed.saturating_add(1);
            *probe = Some(Probe { session, link, target, read, written: None });
        }
    }

    /// Notes that all bytes for `link` have been written.
    pub(in crate::router) fn written(&mut self, link: LinkId, now: Instant) {
        if self.timed == 0 {
            return;
        }
        for probe in self.probes.iter_mut().flatten() {
            if probe.link == link {
                probe.written.get_or_insert(now);
            }
        }
    }

    /// Notes that `session` has had `replies` replies from links since its start.
    pub(in crate::router) fn answered(&mut self, session: SessionId, replies: u64, now: Instant) {
        if self.timed == 0 {
            return;
        }
        for (class, slot) in Class::ALL.into_iter().zip(&mut self.probes) {
            if let Some(probe) = *slot
                && probe.session == session
                && replies >= probe.target
            {
                *slot = None;
                self.timed = self.timed.saturating_sub(1);
                let written = probe.written.unwrap_or(probe.read);
                if self.samples.len() < Self::MAX_SAMPLES {
                    self.samples.push(Sample {
                        class,
                        redoubt: written.saturating_duration_since(probe.read),
                        upstream: now.saturating_duration_since(written),
                    });
                }
            }
        }
    }

    /// Stops timing the requests whose session or link has ended, so that their replies will not come.
    pub(in crate::router) fn lost(&mut self, is_lost: impl Fn(SessionId, LinkId) -> bool) {
        for slot in &mut self.probes {
            if slot.is_some_and(|probe| is_lost(probe.session, probe.link)) {
                *slot = None;
                self.timed = self.timed.saturating_sub(1);
            }
        }
    }

    /// Takes the bytes that were counted since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        mem::take(&mut self.traffic)
    }

    /// Takes the number of maintenance notifications that were sent to clients since the last call.
    pub fn take_maint_notifications(&mut self) -> u64 {
        mem::take(&mut self.maint_notifications)
    }

    /// Returns the outcomes of commands, from which the shell takes what has been counted.
    pub fn commands(&mut self) -> &mut Counts {
        &mut self.commands
    }

    /// Takes the samples. Afterwards the next request of each class is timed.
    pub fn take_samples(&mut self) -> impl Iterator<Item = Sample> + '_ {
        self.skip = Default::default();
        self.samples.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of this name, from when it is read until its reply has come.
    #[allow(clippy::disallowed_methods, reason = "a point to count from; nothing waits for it")]
    fn pass(counters: &mut Counters, name: &[u8]) {
        let (session, link) = (SessionId(Default::default()), LinkId(Default::default()));
        let now = Instant::now();
        let class = crate::command::lookup(name).unwrap().class;
        counters.begin(class, session, link, 1, now);
        counters.written(link, now);
        counters.answered(session, 1, now);
    }

    fn samples(counters: &mut Counters, class: Class) -> usize {
        counters.take_samples().filter(|sample| sample.class == class).count()
    }

    #[test]
    fn few_of_many_are_timed_however_often_samples_are_taken() {
        let mut counters = Counters::default();
        for _ in 0..10 {
            (0..100).for_each(|_| pass(&mut counters, b"get"));
            assert_eq!(samples(&mut counters, Class::Read), 6, "the first, and one in 17");
        }
    }

    #[test]
    fn the_first_of_a_class_is_timed_after_any_number_of_others() {
        let mut counters = Counters::default();
        for _ in 0..10 {
            (0..100).for_each(|_| pass(&mut counters, b"get"));
            pass(&mut counters, b"set");
            assert_eq!(samples(&mut counters, Class::Write), 1);
        }
    }

    #[test]
    fn the_number_of_samples_is_bounded() {
        let mut counters = Counters::default();
        (0..100_000).for_each(|_| pass(&mut counters, b"get"));
        assert_eq!(samples(&mut counters, Class::Read), Counters::MAX_SAMPLES);
    }
}
