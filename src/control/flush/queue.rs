//! Which sessions wait for the deletion of keys, and the next step.
//!
//! Each database has at most one scan at a time. A session that comes while one goes on waits for the next, since
//! the present one may have passed what the session has written; all that wait for the next one share it.
//! Databases take turns, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error;
use crate::audit;
use crate::telemetry;
use crate::worker::flushing::{FlushOrder, TOO_MANY};
use redoubt_core::session::{Flush, Flushed};
use redoubt_core::upstream::below_prefix::KeyPrefix;

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// List the databases that hold keys.
    List,
    /// Delete the keys in one page of a database.
    Page { database: u32, cursor: u64, count: u32, prefix: KeyPrefix },
}

/// All sessions that wait, and what is done for them.
#[derive(Default)]
pub(super) struct Queue {
    /// By the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    last: u64,
    /// Those of `FLUSHALL` that wait for the list of databases.
    unlisted: Vec<u64>,
    databases: BTreeMap<u32, Database>,
    /// The database that had the last step.
    turn: Option<u32>,
    /// The prefix in force.
    prefix: Option<KeyPrefix>,
}

/// A session that waits.
struct Waiting {
    order: FlushOrder,
    until: Instant,
    /// The databases whose scans it waits for, or has waited for.
    databases: BTreeSet<u32>,
    /// Number of those that are not over.
    left: usize,
    /// Keys that the scans have deleted meanwhile.
    deleted: u64,
}

/// A database that has a scan or is to have one.
#[derive(Default)]
struct Database {
    scan: Option<Scan>,
    /// The sessions that wait for the next scan.
    next: Vec<u64>,
}

/// A scan for the prefix in force; it ends when that changes.
struct Scan {
    cursor: u64,
    /// Elements that the server looks at for the next page.
    count: u32,
    /// The sessions that it is for.
    of: Vec<u64>,
}

impl Queue {
    /// Most sessions that wait at a time; another one gets an error.
    const MOST: usize = 1024;
    /// How long a session waits at most; then it gets an error.
    const LIMIT: Duration = Duration::from_secs(600);

    pub(super) fn add(&mut self, order: FlushOrder, now: Instant) {
        let flush = order.flush;
        let until = now.checked_add(Self::LIMIT).unwrap_or(now);
        let mut waiting = Waiting { order, until, databases: BTreeSet::new(), left: 1, deleted: 0 };
        if self.waiting.len() >= Self::MOST {
            return waiting.end(Err(Bytes::from_static(TOO_MANY)), self.prefix.as_ref());
        }
        self.last = self.last.wrapping_add(1);
        let id = self.last;
        match flush {
            Flush::Database(database) => {
                waiting.databases.insert(database);
                self.databases.entry(database).or_default().next.push(id);
            }
            Flush::All => self.unlisted.push(id),
        }
        self.waiting.insert(id, waiting);
    }

    /// Ends the waits that have lasted too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(first) = self.waiting.first_entry()
            && first.get().until <= now
        {
            let late =
                error("ERR Redoubt has not deleted all keys below the prefix within 10 minutes");
            first.remove().end(Err(late), self.prefix.as_ref());
        }
    }

    /// Returns the next step, with the prefix that is in force; `None` if nobody waits.
    pub(super) fn next_step(&mut self, prefix: Option<&KeyPrefix>) -> Option<Step> {
        if self.prefix.as_ref() != prefix {
            self.change_prefix(prefix);
        }
        let Some(prefix) = prefix else {
            self.fail_all(&error("ERR policy.compat.flush is not set any more"));
            return None;
        };
        self.drop_abandoned();
        if !self.unlisted.is_empty() {
            return Some(Step::List);
        }
        let after = self.turn.map_or(0, |turn| turn.saturating_add(1));
        let next = self.databases.range(after..).next().or(self.databases.iter().next());
        let number = *next?.0;
        self.turn = Some(number);
        let database = self.databases.get_mut(&number)?;
        let next = &mut database.next;
        let scan = database.scan.get_or_insert_with(|| Scan {
            cursor: 0,
            count: KeyPrefix::PAGE,
            of: std::mem::take(next),
        });
        let Scan { cursor, count, .. } = *scan;
        Some(Step::Page { database: number, cursor, count, prefix: prefix.clone() })
    }

    /// Enters the list of databases that hold keys.
    pub(super) fn listed(&mut self, databases: &[u32]) {
        for id in std::mem::take(&mut self.unlisted) {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            waiting.databases.extend(databases);
            waiting.left = waiting.databases.len();
            for database in databases {
                self.databases.entry(*database).or_default().next.push(id);
            }
            if databases.is_empty() {
                self.end(id, Ok(()));
            }
        }
    }

    /// Enters how many keys of a page were deleted.
    pub(super) fn count(&mut self, database: u32, keys: u64) {
        let scan = self.databases.get(&database).and_then(|at| at.scan.as_ref());
        for id in scan.iter().flat_map(|scan| &scan.of) {
            if let Some(waiting) = self.waiting.get_mut(id) {
                waiting.deleted = waiting.deleted.saturating_add(keys);
            }
        }
    }

    /// Enters where the next page of a database begins; zero after the last one.
    pub(super) fn go_on(&mut self, database: u32, next: u64) {
        if let Some(scan) = self.databases.get_mut(&database).and_then(|at| at.scan.as_mut()) {
            scan.cursor = next;
            scan.count = scan.count.saturating_mul(2).min(KeyPrefix::PAGE);
        }
        if next == 0 {
            for id in self.end_scan(database) {
                let Some(waiting) = self.waiting.get_mut(&id) else { continue };
                waiting.left = waiting.left.saturating_sub(1);
                if waiting.left == 0 {
                    self.end(id, Ok(()));
                }
            }
        }
    }

    /// Enters that the answer for a page was too long. Returns whether it is asked for again, with fewer keys.
    pub(super) fn shrink(&mut self, database: u32) -> bool {
        let scan = self.databases.get_mut(&database).and_then(|at| at.scan.as_mut());
        scan.is_some_and(|scan| {
            let is_least = scan.count <= 1;
            scan.count = (scan.count / 8).max(1);
            !is_least
        })
    }

    /// Enters that the list of databases failed.
    pub(super) fn fail_listing(&mut self, error: &Bytes) {
        for id in std::mem::take(&mut self.unlisted) {
            self.end(id, Err(error.clone()));
        }
    }

    /// Enters that a page failed. Sessions that wait for the next scan of the database still have it.
    pub(super) fn fail_scan(&mut self, database: u32, error: &Bytes) {
        for id in self.end_scan(database) {
            self.end(id, Err(error.clone()));
        }
    }

    /// Ends all waits with this error.
    pub(super) fn fail_all(&mut self, error: &Bytes) {
        self.unlisted.clear();
        self.databases.clear();
        while let Some((_, waiting)) = self.waiting.pop_first() {
            waiting.end(Err(error.clone()), self.prefix.as_ref());
        }
    }

    /// Ends the scans with another prefix: the operator may have corrected it.
    fn change_prefix(&mut self, prefix: Option<&KeyPrefix>) {
        let begun: Vec<_> = self.databases.iter().filter(|(_, at)| at.scan.is_some()).collect();
        for database in begun.into_iter().map(|(number, _)| *number).collect::<Vec<_>>() {
            self.fail_scan(
                database,
                &error("ERR policy.compat.flush has changed; some keys were deleted"),
            );
        }
        self.prefix = prefix.cloned();
    }

    /// Ends the scan of a database. Returns the sessions that it was for.
    fn end_scan(&mut self, database: u32) -> Vec<u64> {
        let scan = self.databases.get_mut(&database).and_then(|at| at.scan.take());
        scan.map(|scan| scan.of).unwrap_or_default()
    }

    /// Forgets the scans that nobody waits for.
    fn drop_abandoned(&mut self) {
        let waiting = &self.waiting;
        let is_there = |id: &u64| waiting.contains_key(id);
        self.unlisted.retain(is_there);
        self.databases.retain(|_, database| {
            database.next.retain(is_there);
            database.scan.take_if(|scan| !scan.of.iter().any(is_there));
            database.scan.is_some() || !database.next.is_empty()
        });
    }

    fn end(&mut self, id: u64, flushed: Flushed) {
        if let Some(waiting) = self.waiting.remove(&id) {
            waiting.end(flushed, self.prefix.as_ref());
        }
    }
}

impl Waiting {
    /// Reports the outcome, and hands it to the session.
    fn end(self, flushed: Flushed, prefix: Option<&KeyPrefix>) {
        let Self { order: FlushOrder { flush, by, answer }, databases, deleted: keys, .. } = self;
        let (command, succeeded) = (flush.command(), flushed.is_ok());
        let databases: Vec<_> = databases.into_iter().collect();
        telemetry::keys_deleted(by.session, &by.peer, command, &databases, keys, succeeded);
        if audit::is_on() {
            audit::record(audit::Event::KeysDeleted(Box::new(audit::KeysDeleted {
                session: by.session,
                peer: by.peer.to_string(),
                user: by.user,
                name: by.program.name,
                library: by.program.library,
                command,
                prefix: prefix.map(KeyPrefix::to_string).unwrap_or_default(),
                databases,
                keys,
                succeeded,
            })));
        }
        // The session may have ended.
        let _ = answer.send(flushed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::now;
    use crate::net::peer::Peer;
    use crate::worker::flushing::FlushedBy;
    use redoubt_core::session::Program;
    use tokio::sync::oneshot::{self, error::TryRecvError};

    type Outcome = oneshot::Receiver<Flushed>;

    fn prefix(text: &'static str) -> KeyPrefix {
        KeyPrefix::new(text).unwrap()
    }

    fn ask(queue: &mut Queue, flush: Flush) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let peer = Peer::Unix { pid: None, uid: None };
        let by = FlushedBy {
            session: 1,
            peer,
            user: None,
            program: Program { name: None, library: None },
        };
        queue.add(FlushOrder { flush, by, answer }, now());
        outcome
    }

    fn step(queue: &mut Queue) -> Option<(u32, u64)> {
        match queue.next_step(Some(&prefix("cache:"))) {
            Some(Step::Page { database, cursor, .. }) => Some((database, cursor)),
            Some(Step::List) => Some((u32::MAX, 0)),
            None => None,
        }
    }

    fn waits(outcome: &mut Outcome) -> bool {
        outcome.try_recv() == Err(TryRecvError::Empty)
    }

    #[test]
    fn databases_take_turns_and_each_has_one_scan_at_a_time() {
        let mut queue = Queue::default();
        let mut one = ask(&mut queue, Flush::Database(1));
        let mut seven = ask(&mut queue, Flush::Database(7));
        assert_eq!(step(&mut queue), Some((1, 0)));
        queue.go_on(1, 5);
        assert_eq!(step(&mut queue), Some((7, 0)));
        // The scan has begun before these came, so they wait for the next one, and share it.
        let mut late = [(); 2].map(|()| ask(&mut queue, Flush::Database(1)));
        queue.go_on(7, 0);
        assert_eq!(seven.try_recv(), Ok(Ok(())));
        assert_eq!(step(&mut queue), Some((1, 5)));
        queue.go_on(1, 0);
        assert_eq!(one.try_recv(), Ok(Ok(())));
        assert!(late.iter_mut().all(waits));
        assert_eq!(step(&mut queue), Some((1, 0)));
        queue.go_on(1, 0);
        assert!(late.iter_mut().all(|late| late.try_recv() == Ok(Ok(()))));
        assert_eq!(step(&mut queue), None);
    }

    #[test]
    fn all_databases_with_keys_are_scanned_for_flushall() {
        let mut queue = Queue::default();
        let mut all = ask(&mut queue, Flush::All);
        assert_eq!(step(&mut queue), Some((u32::MAX, 0)));
        queue.listed(&[0, 3]);
        for database in [0, 3] {
            assert!(waits(&mut all));
            assert_eq!(step(&mut queue), Some((database, 0)));
            queue.go_on(database, 0);
        }
        assert_eq!(all.try_recv(), Ok(Ok(())));
        let mut none = ask(&mut queue, Flush::All);
        step(&mut queue);
        queue.listed(&[]);
        assert_eq!(none.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_failed_scan_ends_only_the_waits_for_it() {
        let mut queue = Queue::default();
        let mut all = ask(&mut queue, Flush::All);
        let mut other = ask(&mut queue, Flush::Database(3));
        step(&mut queue);
        queue.listed(&[0, 3]);
        assert_eq!(step(&mut queue), Some((0, 0)));
        queue.fail_scan(0, &error("READONLY"));
        assert_eq!(all.try_recv(), Ok(Err("-READONLY\r\n".into())));
        assert!(waits(&mut other));
        assert_eq!(step(&mut queue), Some((3, 0)));
        let mut list = ask(&mut queue, Flush::All);
        step(&mut queue);
        queue.fail_listing(&error("NOPERM"));
        assert_eq!(list.try_recv(), Ok(Err("-NOPERM\r\n".into())));
        queue.fail_all(&error("ERR lost"));
        assert_eq!(other.try_recv(), Ok(Err("-ERR lost\r\n".into())));
        assert_eq!(step(&mut queue), None);
    }

    #[test]
    fn pages_that_are_too_long_are_asked_for_again_with_fewer_keys() {
        let mut queue = Queue::default();
        let mut outcome = ask(&mut queue, Flush::Database(0));
        let count = |queue: &mut Queue| match queue.next_step(Some(&prefix("cache:"))) {
            Some(Step::Page { cursor: 7, count, .. }) => count,
            step => panic!("{step:?}"),
        };
        step(&mut queue);
        queue.go_on(0, 7);
        for expected in [250, 31, 3] {
            assert_eq!(count(&mut queue), expected);
            assert!(queue.shrink(0));
        }
        assert_eq!(count(&mut queue), 1);
        queue.go_on(0, 7);
        assert_eq!(count(&mut queue), 2);
        assert!(queue.shrink(0) && !queue.shrink(0));
        assert!(waits(&mut outcome));
    }

    #[test]
    fn another_prefix_ends_scans_that_have_begun() {
        let mut queue = Queue::default();
        let mut begun = ask(&mut queue, Flush::Database(0));
        step(&mut queue);
        queue.go_on(0, 9);
        let mut next = ask(&mut queue, Flush::Database(0));
        let other = prefix("other:");
        let wanted =
            Step::Page { database: 0, cursor: 0, count: KeyPrefix::PAGE, prefix: other.clone() };
        assert_eq!(queue.next_step(Some(&other)), Some(wanted));
        assert!(begun.try_recv().unwrap().is_err());
        assert!(waits(&mut next));
        assert_eq!(queue.next_step(None), None);
        assert!(next.try_recv().unwrap().is_err());
    }

    #[test]
    fn waits_are_bounded_in_number_and_time() {
        let mut queue = Queue::default();
        let mut outcomes: Vec<_> =
            (0..=Queue::MOST).map(|_| ask(&mut queue, Flush::Database(0))).collect();
        assert_eq!(outcomes.pop().unwrap().try_recv(), Ok(Err(Bytes::from_static(TOO_MANY))));
        step(&mut queue);
        assert!(outcomes.iter_mut().all(waits));
        queue.expire(now() + Queue::LIMIT);
        assert!(outcomes.iter_mut().all(|outcome| outcome.try_recv().unwrap().is_err()));
        assert_eq!(step(&mut queue), None);
    }
}
