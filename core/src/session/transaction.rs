//! `MULTI` and `WATCH` on the session's lease: requests set what is assumed, replies what is certain.

/// The transaction state of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Transaction {
    /// True after a `MULTI` until a request ends the transaction: an assumption, in the order of
    /// requests.
    pub(super) believed: bool,
    /// True if Redis has confirmed that it queues commands.
    open: bool,
    /// True if Redis has confirmed that it watches keys.
    watching: bool,
    /// True if the transaction must fail and Redis does not know of it, because Redoubt answered its
    /// `MULTI` while Redis had no time to prepare a link.
    aborted: bool,
}

impl Transaction {
    /// Returns true if Redis has transaction state for the connection, by the replies that have
    /// arrived.
    pub(super) fn holds(&self) -> bool {
        self.open || self.watching
    }

    /// Returns true if Redis may be queueing commands, by requests or by replies.
    pub(super) fn is_open(&self) -> bool {
        self.believed || self.open
    }

    /// Returns true if Redis has confirmed that it queues commands.
    pub(super) fn queues(&self) -> bool {
        self.open
    }

    /// Replaces the assumption by what the replies have shown. The caller ensures that no reply is
    /// pending.
    pub(super) fn trust_replies(&mut self) {
        self.believed = self.open;
    }

    /// Handles the reply to `MULTI`. An error changes nothing.
    pub(super) fn multi(&mut self, error: bool) {
        self.open |= !error;
    }

    /// Handles the reply to `EXEC`: any reply ends an open transaction and the watches. Without an open
    /// transaction the reply is an error that changes nothing.
    pub(super) fn exec(&mut self) {
        if self.open {
            (self.open, self.watching, self.aborted) = (false, false, false);
        }
    }

    /// Handles the reply to `DISCARD`.
    pub(super) fn discard(&mut self, error: bool) {
        if !error {
            (self.open, self.watching, self.aborted) = (false, false, false);
        }
    }

    /// Marks the transaction of the next `MULTI` as failed, because that `MULTI` never reaches Redis.
    pub(super) fn abort(&mut self) {
        self.aborted = true;
    }

    /// Returns true if the transaction must fail and Redis does not know of it.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// Returns the same as [`Transaction::is_aborted`] and clears it, because the caller opens the
    /// transaction in Redis.
    pub(super) fn take_aborted(&mut self) -> bool {
        std::mem::take(&mut self.aborted)
    }

    /// Handles the reply to `WATCH`.
    pub(super) fn watch(&mut self, error: bool) {
        self.watching |= !error;
    }

    /// Handles the reply to `UNWATCH`; inside a transaction it is only queued.
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
    fn exec_and_discard_end_transaction_and_watches() {
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
    fn failed_and_queued_transaction_commands_change_no_state() {
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
    fn trust_replies_replaces_assumptions_by_what_replies_have_shown() {
        let mut transaction = Transaction { believed: true, ..Default::default() };
        transaction.multi(true);
        transaction.trust_replies();
        assert!(!transaction.believed);
    }
}
