//! Sessions of all kinds that send requests without a pause, and check their replies.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use support::{self, Deadline, Redoubt, Wire, frame};

/// Sessions of all kinds that send and check without a pause, until the load is dropped. Each returns
/// its connections, so that none is closed before the end.
pub(crate) struct Load<'a> {
    redoubt: &'a Redoubt,
    stop: AtomicBool,
    turns: AtomicUsize,
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Load<'a> {
    pub(crate) fn new(redoubt: &'a Redoubt) -> Self {
        Self { redoubt, stop: AtomicBool::new(false), turns: AtomicUsize::new(0) }
    }

    fn run(&self, mut turn: impl FnMut(usize)) {
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            turn(number);
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stops the load when the returned value is dropped, also by a failing test.
    pub(crate) fn until_dropped(&self) -> impl Drop {
        Stop(&self.stop)
    }

    /// Waits until many more requests have been answered.
    pub(crate) fn wait_for_progress(&self) {
        let from = self.turns.load(Ordering::Relaxed);
        let went = Deadline::standard().poll(|| self.turns.load(Ordering::Relaxed) >= from + 200);
        assert!(went, "the load stands still");
    }

    pub(crate) fn pipelines(&self, key: &str) -> Vec<Wire> {
        let mut wire = self.redoubt.session();
        let requests = frame::request(&["INCR", key]).repeat(10);
        self.run(|number| {
            wire.send(&requests);
            for count in number * 10 - 9..=number * 10 {
                wire.expect(format!(":{count}\r\n").as_bytes());
            }
        });
        vec![wire]
    }

    pub(crate) fn transactions(&self, key: &str) -> Vec<Wire> {
        let mut wire = self.redoubt.session();
        self.run(|number| {
            assert_eq!(wire.command(&["WATCH", key]), b"+OK\r\n");
            assert_eq!(wire.command(&["MULTI"]), b"+OK\r\n");
            assert_eq!(wire.command(&["INCR", key]), b"+QUEUED\r\n");
            let wanted = format!("*1\r\n:{number}\r\n");
            assert_eq!(wire.command(&["EXEC"]), wanted.as_bytes());
        });
        vec![wire]
    }

    pub(crate) fn blocked(&self, key: &str) -> Vec<Wire> {
        let (mut wire, mut other) = (self.redoubt.session(), self.redoubt.session());
        self.run(|_| {
            wire.send(&frame::request(&["BLPOP", key, "0"]));
            let pushed = other.command(&["RPUSH", key, "v"]);
            assert!(pushed.starts_with(b":"), "{}", support::shown(&pushed));
            wire.expect(&[b"*2\r\n", &*frame::bulk(key.as_bytes()), b"$1\r\nv\r\n"].concat());
        });
        vec![wire, other]
    }

    /// With `HELLO 3`, a session with a subscription may send other commands.
    pub(crate) fn messages(&self, protocol: &str) -> Vec<Wire> {
        let (mut wire, mut other) = (self.redoubt.session(), self.redoubt.session());
        wire.command(&["HELLO", protocol]);
        let channel = format!("channel:{protocol}");
        wire.command(&["SUBSCRIBE", &channel]);
        self.run(|number| {
            let number = number.to_string();
            assert_eq!(other.command(&["PUBLISH", &channel, &number]), b":1\r\n");
            let message = wire.frame();
            assert!(message.ends_with(&frame::bulk(number.as_bytes())));
            if protocol == "3" {
                assert_eq!(wire.command(&["PING"]), b"+PONG\r\n");
            }
        });
        vec![wire, other]
    }
}
