//! Plain counts of what a worker does, for the shell to take away now and then.

use std::mem;
use std::time::{Duration, Instant};

use crate::command::Class;
use crate::router::{LinkId, SessionId};
use crate::session::Counts;

/// Bytes read and written since the counts were last taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From clients.
    pub client_in: u64,
    /// To clients.
    pub client_out: u64,
    /// From Redis.
    pub upstream_in: u64,
    /// To Redis.
    pub upstream_out: u64,
}

/// How long one request took; a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What kind of command it was.
    pub class: Class,
    /// From when it was read until it was written to the link.
    pub redoubt: Duration,
    /// From then until its reply had been read.
    pub upstream: Duration,
}

/// A request that is being timed.
#[derive(Debug, Clone, Copy)]
struct Probe {
    session: SessionId,
    link: LinkId,
    /// How many replies the session has had from links when this one's has come.
    target: u64,
    read: Instant,
    written: Option<Instant>,
}

/// The counts of one worker.
pub struct Counters {
    pub(in crate::router) commands: Counts,
    pub(in crate::router) traffic: Traffic,
    /// One request of each class is timed at once.
    probes: [Option<Probe>; Class::ALL.len()],
    /// How many more of each class pass before one is timed.
    pass: [u8; Class::ALL.len()],
    /// How many probes there are; mostly none, and then there is nothing to look for.
    timed: u32,
    samples: Vec<Sample>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            commands: Counts::default(),
            traffic: Traffic::default(),
            probes: [None; Class::ALL.len()],
            pass: [0; Class::ALL.len()],
            timed: 0,
            samples: Vec::with_capacity(Self::MAX_SAMPLES),
        }
    }
}

impl Counters {
    /// Samples kept until they are taken; when there are as many, no more requests are timed.
    pub const MAX_SAMPLES: usize = 256;
    /// Of a class, the first request after samples were taken is timed, then one in so many. To time
    /// one costs about a tenth of what it costs to pass it on. A prime, so that what clients repeat,
    /// such as pipelines of 16, is not always timed at the same place.
    pub const ONE_IN: u8 = 17;

    /// A request of this class goes over `link`; begins to time it if it is its class's turn and none
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
        let Some(pass) = self.pass.get_mut(class) else { return };
        if let Some(fewer) = pass.checked_sub(1) {
            *pass = fewer;
            return;
        }
        if self.samples.len() < Self::MAX_SAMPLES
            && let Some(probe @ None) = self.probes.get_mut(class)
        {
            *pass = Self::ONE_IN.saturating_sub(1);
            self.timed = self.timed.saturating_add(1);
            *probe = Some(Probe { session, link, target, read, written: None });
        }
    }

    /// All that was to be written to `link` has been.
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

    /// `session` has had so many replies from links in all.
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

    /// The session or link of a timed request is gone: its reply will not come.
    pub(in crate::router) fn lost(&mut self, is_lost: impl Fn(SessionId, LinkId) -> bool) {
        for slot in &mut self.probes {
            if slot.is_some_and(|probe| is_lost(probe.session, probe.link)) {
                *slot = None;
                self.timed = self.timed.saturating_sub(1);
            }
        }
    }

    /// Takes the bytes counted since this was last done.
    pub fn take_traffic(&mut self) -> Traffic {
        mem::take(&mut self.traffic)
    }

    /// Returns what has become of commands, to be taken away.
    pub fn commands(&mut self) -> &mut Counts {
        &mut self.commands
    }

    /// Takes the samples; there is room for new ones afterwards, and each class has its turn.
    pub fn take_samples(&mut self) -> impl Iterator<Item = Sample> + '_ {
        self.pass = Default::default();
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
    fn there_are_only_so_many_samples() {
        let mut counters = Counters::default();
        (0..100_000).for_each(|_| pass(&mut counters, b"get"));
        assert_eq!(samples(&mut counters, Class::Read), Counters::MAX_SAMPLES);
    }
}
