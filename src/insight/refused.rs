//! Collects `/refused`: which commands the policy has refused, and to which programs.

use std::cmp::Reverse;
use std::time::{Duration, Instant, SystemTime};

use super::{ANSWER, Insight};
use crate::config::wall_clock;
use crate::net::now;
use crate::status::{Refused, RefusedGroup};
use crate::worker::handle::ask;
use crate::worker::report::refused::{Group, Refusals, RefusedCommands};
use crate::worker::snapshot::Question;

impl Insight {
    /// Returns the refused commands of the time `since`, or of all time since the start.
    pub(crate) async fn refused(&self, since: Option<Duration>) -> Refused {
        let mut all = RefusedCommands::default();
        let mut answer =
            Refused { since_seconds: since.map(|since| since.as_secs()), ..Refused::default() };
        for (index, worker) in self.dispatcher.workers.iter().enumerate() {
            match ask(&worker.orders, ANSWER, Question::Refused).await {
                Some(more) => all.merge(more),
                None => answer.unanswered.push(index),
            }
        }
        answer.forgotten = all.forgotten;
        let times = (now(), wall_clock());
        let groups =
            all.groups.iter().map(|(group, refusals)| shown(group, refusals, since, times));
        answer.groups = groups.filter(|group| group.count > 0).collect();
        let key = |group: &RefusedGroup| {
            let RefusedGroup { count, command, user, name, library, .. } = group.clone();
            (Reverse(count), command, user, name, library)
        };
        answer.groups.sort_by_cached_key(key);
        answer
    }
}

fn shown(
    group: &Group,
    refusals: &Refusals,
    since: Option<Duration>,
    (now, clock): (Instant, SystemTime),
) -> RefusedGroup {
    let age = |then: Instant| now.saturating_duration_since(then);
    let time = |then: Instant| {
        let time = clock.checked_sub(age(then)).unwrap_or(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_seconds(time).to_string()
    };
    let Group { user, program, refusal } = group;
    RefusedGroup {
        count: refusals.count_since(since, now),
        first: time(refusals.first),
        last: time(refusals.last),
        last_seconds: age(refusals.last).as_secs(),
        last_session: refusals.session,
        last_peer: refusals.peer.clone(),
        user: user.as_deref().map(str::to_owned),
        name: program.name.clone(),
        library: program.library.clone(),
        command: refusal.command.to_string(),
        rule: refusal.rule.to_string(),
        opened_by: refusal.opened_by.map(str::to_owned),
    }
}
