//! Collects `/sessions`: the state of each session.

use std::sync::Arc;
use std::time::SystemTime;

use super::{ANSWER, Insight};
use crate::config::wall_clock;
use crate::status::{Session, Sessions};
use crate::worker::handle::ask;
use crate::worker::snapshot::{Question, SessionSnapshot};
use redoubt_core::router::LinkView;

/// Most sessions that `/sessions` lists.
const MOST: usize = 10_000;

impl Insight {
    /// Returns all sessions, or the [`MOST`] oldest; with `identity`, only those of this user.
    pub(crate) async fn sessions(&self, identity: Option<Arc<str>>) -> Sessions {
        let mut answer = Sessions::default();
        for (index, worker) in self.dispatcher.workers.iter().enumerate() {
            let room = MOST.saturating_sub(answer.sessions.len());
            // One more than there is room for, to find out whether there are more.
            let identity = identity.clone();
            let question = |reply| Question::Sessions(identity, room.saturating_add(1), reply);
            let Some(mut seen) = ask(&worker.orders, ANSWER, question).await else {
                answer.unanswered.push(index);
                continue;
            };
            answer.truncated |= seen.len() > room;
            seen.truncate(room);
            let now = wall_clock();
            answer.sessions.extend(seen.into_iter().map(|seen| session(seen, index, now)));
        }
        answer.sessions.sort_unstable_by_key(|session| session.session);
        answer
    }
}

fn session(snapshot: SessionSnapshot, worker: usize, now: SystemTime) -> Session {
    let SessionSnapshot { record, view } = snapshot;
    let (link, link_number) = match view.link {
        LinkView::None => ("none", None),
        LinkView::Shared(number) => ("shared", Some(number)),
        LinkView::Lease(number) => ("lease", Some(number)),
    };
    let refusal = record.last_refusal.as_ref();
    let opened = now.checked_sub(view.age).unwrap_or(SystemTime::UNIX_EPOCH);
    Session {
        session: record.number,
        worker,
        peer: record.peer.to_string(),
        listener: record.listener.to_owned(),
        certificate: record.certificate.map(|name| name.to_string()),
        user: view.user.map(|user| user.to_string()),
        opened: humantime::format_rfc3339_seconds(opened).to_string(),
        age_seconds: view.age.as_secs(),
        idle_seconds: view.idle.as_secs(),
        database: view.database,
        protocol: view.protocol.version(),
        name: view.program.name,
        library: view.program.library,
        link: link.to_owned(),
        link_number,
        in_transaction: view.in_transaction,
        subscriptions: view.subscriptions,
        commands: view.commands,
        refused: record.refused,
        last_refused: refusal.map(|refusal| refusal.command.to_string()),
        last_refused_by: refusal.map(|refusal| refusal.rule.to_string()),
        opened_by: refusal.and_then(|refusal| refusal.opened_by).map(str::to_owned),
        bytes_in: view.bytes_in,
        bytes_out: view.bytes_out,
        replies_due: view.replies_due as u64,
        bytes_waiting: view.bytes_waiting as u64,
    }
}
