//! Collects `/stats`: sums over all workers, and what is known about Redis.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{ANSWER, Insight};
use crate::net::now;
use crate::status::{
    CommandStats, IdentityStats, LoginStats, ProcessStats, RefusedBy, SessionStats, Stats,
    UpstreamStats,
};
use crate::worker::handle::ask;
use crate::worker::report::Totals;
use crate::worker::snapshot::Question;

/// Most rules that `/stats` lists.
const RULES: usize = 20;

impl Insight {
    /// Returns the state and statistics of Redoubt.
    pub(crate) async fn stats(&self) -> Stats {
        let limiter = &self.dispatcher.limiter;
        let mut totals = Totals::default();
        let mut stats = Stats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: now().saturating_duration_since(self.start).as_secs(),
            workers: self.dispatcher.workers.len(),
            unready: self.unready(),
            draining: self.health.is_draining(),
            sessions: SessionStats {
                open: limiter.sessions(),
                unauthenticated: limiter.unauthenticated(),
                peak: limiter.peak(),
                opened: 0,
            },
            upstream: UpstreamStats {
                address: self.target.borrow().address(),
                ..self.health.upstream()
            },
            reloads: self.health.reloads(),
            process: ProcessStats::now(),
            ..Stats::default()
        };
        for (index, worker) in self.dispatcher.workers.iter().enumerate() {
            let Some(answer) = ask(&worker.orders, ANSWER, Question::Gauges).await else {
                stats.unanswered.push(index);
                continue;
            };
            totals.add(&answer.totals);
            add(&mut stats.sessions.opened, answer.sessions as u64);
            let (links, more) = (&mut stats.links, answer.links);
            for (sum, more) in [
                (&mut links.shared, more.shared),
                (&mut links.leased, more.leased),
                (&mut links.pooled, more.pooled),
                (&mut links.opening, more.opening),
            ] {
                *sum = sum.saturating_add(more);
            }
            stats.upstream.scripts = answer.scripts.to_owned();
        }
        for (reason, count) in self.dispatcher.refusals.totals() {
            stats.connections_refused.insert(reason.as_str().to_owned(), count);
        }
        add(&mut stats.sessions.opened, totals.closed);
        stats.bytes_in = totals.bytes_in;
        stats.bytes_out = totals.bytes_out;
        stats.logins = LoginStats {
            succeeded: totals.authenticated,
            failed: totals.auth_failed,
            locked_out: totals.locked_out,
        };
        stats.commands = commands(&totals);
        stats.identities = self.identity_stats(&totals);
        stats
    }
}

impl Insight {
    fn identity_stats(&self, totals: &Totals) -> BTreeMap<String, IdentityStats> {
        let all = self.identities.counts().into_iter().map(|(name, counts)| {
            let stats = IdentityStats {
                sessions: counts.sessions,
                leases: counts.leases,
                commands: counts.commands,
                refused: totals.refused_to.get(name.as_str()).copied().unwrap_or_default(),
                refused_sessions: counts.refused_sessions,
                refused_leases: counts.refused_leases,
                waits: counts.command_waits.saturating_add(counts.byte_waits),
            };
            (name, stats)
        });
        all.collect()
    }
}

fn commands(totals: &Totals) -> CommandStats {
    let rules = totals.rules.iter();
    let mut refused_by: Vec<_> =
        rules.map(|(rule, count)| RefusedBy { rule: rule.to_string(), count: *count }).collect();
    refused_by
        .sort_unstable_by(|a, b| (Reverse(a.count), &a.rule).cmp(&(Reverse(b.count), &b.rule)));
    refused_by.truncate(RULES);
    CommandStats { total: totals.commands, refused: totals.refused, refused_by }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
