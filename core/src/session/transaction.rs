//! `MULTI` and `WATCH` on the session's own link: what requests make likely and replies make sure.

/// The transaction state of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Transaction {
    /// Whether `MULTI` was asked for and nothing that ends it: a belief, in the order of requests.
    pub(super) believed: bool,
    /// Whether Redis has said that it queues.
    open: bool,
    /// Whether Redis has said that it watches.
    watching: bool,
    /// Whether the transaction is to fail, and Redis has not been told of it: its `MULTI` was answered
    /// by Redoubt while Redis had no time for a link.
    aborted: bool,
}

impl Transaction {
    /// Returns whether Redis holds transaction state for the connection, by the replies that have come.
    pub(super) fn holds(&self) -> bool {
        self.open || self.watching
    }

    /// Returns whether Redis may be queueing what it is sent, by requests or by replies.
    pub(super) fn is_open(&self) -> bool {
        self.believed || self.open
    }

    /// Nothing is due any more, so what replies have said is all there is.
    pub(super) fn settle(&mut self) {
        self.believed = self.open;
    }

    /// `MULTI` was answered. An error leaves things as they were.
    pub(super) fn multi(&mut self, error: bool) {
        self.open |= !error;
    }

    /// `EXEC` was answered: with whatever reply, an open transaction is over and nothing is watched.
    /// Without one it is an error that changes nothing.
    pub(super) fn exec(&mut self) {
        if self.open {
            (self.open, self.watching, self.aborted) = (false, false, false);
        }
    }

    /// `DISCARD` was answered.
    pub(super) fn discard(&mut self, error: bool) {
        if !error {
            (self.open, self.watching, self.aborted) = (false, false, false);
        }
    }

    /// The `MULTI` that is answered next never reaches Redis, so the transaction must fail.
    pub(super) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Returns whether the transaction must fail and Redis does not know of it.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// As [`Transaction::is_aborted`]; Redis is being told.
    pub(super) fn take_aborted(&mut self) -> bool {
        std::mem::take(&mut self.aborted)
    }

    /// `WATCH` was answered.
    pub(super) fn watch(&mut self, error: bool) {
        self.watching |= !error;
    }

    /// `UNWATCH` was answered; inside a transaction it is only queued.
    pub(super) fn unwatch(&mut self, error: bool) {
        if !error && !self.open {
            self.watching = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_and_discard_end_both() {
        for end in [Transaction::exec as fn(&mut _), |t| Transaction::discard(t, false)] {
            let mut transaction = Transaction::default();
            transaction.watch(false);
            assert!(transaction.holds());
            transaction.multi(false);
            end(&mut transaction);
            assert!(!transaction.holds());
        }
    }

    #[test]
    fn what_fails_or_is_queued_changes_nothing() {
        let mut transaction = Transaction::default();
        transaction.multi(true);
        assert!(!transaction.holds());
        transaction.watch(false);
        transaction.exec();
        assert!(transaction.holds(), "EXEC without MULTI unwatches nothing");
        transaction.multi(false);
        transaction.unwatch(false);
        transaction.discard(true);
        assert!(transaction.holds());
        transaction.discard(false);
        transaction.watch(false);
        transaction.unwatch(false);
        assert!(!transaction.holds());
    }

    #[test]
    fn settling_takes_the_replies_word() {
        let mut transaction = Transaction { believed: true, ..Default::default() };
        transaction.multi(true);
        transaction.settle();
        assert!(!transaction.believed);
    }
}
