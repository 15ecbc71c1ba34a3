//! Asks the workers what they have recorded, and the upstream whether rules would allow it.
//!
//! Owns: when that is asked, the connection for dry runs, and the users for them, which nobody can log in as.
//! Leaves to [`crate::learn`]: what is kept of it.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `cannot read the state file of learn; …` | error | `file`, `error` |
//! | `cannot write the state file of learn` | error | `file`, `error` |

mod trial;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::error;

use self::trial::Trials;
use crate::audit;
use crate::config::{IdentityMode, Recording, Settings, seconds};
use crate::control::guard::GuardProvisioner;
use crate::control::in_force::{Composer, keys};
use crate::control::kept_link::KeptLink;
use crate::learn::{Known, Learning, Order, Refusal, file};
use crate::worker::handle::{WorkerHandle, ask};
use crate::worker::snapshot::Question;
use redoubt_core::auth::{DEFAULT_USER, IdentityId};
use redoubt_core::observe::Sample;
use redoubt_core::session::KeyForm;

/// Time between two collections.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between two writes of the state file.
const WRITE: Duration = Duration::from_secs(60);
/// How long a worker may take for an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Most requests that wait for their dry run.
const MOST_WAITING: usize = 2000;
/// Dry runs in each interval: that many a second.
const ASKS: usize = 100;

/// Collects what identities do, and tries rules.
pub(crate) struct Learner {
    learning: Learning,
    orders: mpsc::Receiver<Order>,
    composer: Arc<Composer>,
    workers: Vec<WorkerHandle>,
    trials: Trials,
    waiting: VecDeque<Sample>,
    written: Instant,
}

impl Learner {
    pub(crate) fn new(
        (learning, orders): (Learning, mpsc::Receiver<Order>),
        composer: &Arc<Composer>,
        workers: Vec<WorkerHandle>,
        maker: Arc<GuardProvisioner>,
    ) -> Self {
        let link = KeptLink::new(composer.target(), composer.credentials());
        Self {
            learning,
            orders,
            composer: Arc::clone(composer),
            workers,
            trials: Trials::new(link, maker),
            waiting: VecDeque::new(),
            written: Instant::now(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.know().await;
        if let Some(path) = &self.composer.settings().learn.file {
            let loaded = self.learning.store().load(path);
            if let Err(error) = loaded {
                error!(
                    file = %path.display(),
                    error = &error as &dyn std::error::Error,
                    "cannot read the state file of learn; it is renamed, and learning begins anew"
                );
                let mut aside = path.clone().into_os_string();
                aside.push(".unreadable");
                let _ = std::fs::rename(path, aside);
            }
        }
        let mut tick = interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => self.turn().await,
                Some(order) = self.orders.recv() => self.obey(order).await,
            }
        }
        self.trials.end().await;
    }

    async fn turn(&mut self) {
        self.collect().await;
        self.try_waiting().await;
        if self.written.elapsed() >= WRITE {
            self.written = Instant::now();
            write_state(&self.learning, &self.composer.settings());
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Collect(reply) => {
                let unanswered = self.collect().await;
                self.try_waiting().await;
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(unanswered);
            }
            Order::Check(order, reply) => drop(reply.send(self.trials.check(&order).await)),
        }
    }

    /// Takes note of the identities of the configuration.
    async fn know(&self) -> bool {
        let settings = self.composer.settings();
        let records_all = settings.learn.record == Recording::All;
        let mut known = Vec::new();
        if settings.client.is_some() {
            let user = settings.client.as_ref().and_then(|client| client.user.clone());
            let name = user.unwrap_or_else(|| DEFAULT_USER.to_owned());
            known.push(Known { id: IdentityId::FIRST, name, rule: None, observes: false });
        }
        for identity in &*self.composer.identities().await {
            let rule: Vec<_> = identity.settings.acl.iter().map(str::to_owned).collect();
            known.push(Known {
                id: identity.id,
                name: identity.settings.name.clone(),
                rule: Some(rule.into()),
                observes: identity.settings.mode == IdentityMode::Observe,
            });
        }
        let is_recorded = records_all || known.iter().any(|known| known.observes);
        self.learning.store().set_known(known);
        is_recorded
    }

    /// Asks all workers. Returns those that did not answer in time.
    async fn collect(&mut self) -> Vec<usize> {
        let mut unanswered = Vec::new();
        if !self.know().await {
            return unanswered;
        }
        for (index, worker) in self.workers.iter().enumerate() {
            let Some(recorded) = ask(&worker.orders, ANSWER, Question::Recorded).await else {
                unanswered.push(index);
                continue;
            };
            let samples = self.learning.store().add(recorded, seconds());
            for sample in samples {
                if self.waiting.len() >= MOST_WAITING {
                    self.learning.store().not_tried(sample.identity, 1);
                } else {
                    self.waiting.push_back(sample);
                }
            }
        }
        unanswered
    }

    /// Tries as many requests as may be tried in one interval.
    async fn try_waiting(&mut self) {
        let due: Vec<_> = self.waiting.drain(..self.waiting.len().min(ASKS)).collect();
        if !due.is_empty() {
            let rule = |id| self.learning.store().rule(id);
            let (tried, left) = self.trials.run(due, rule).await;
            let now = seconds();
            let form = keys(&self.composer.settings());
            for (sample, tried) in tried {
                let refusal = self.learning.store().tried(&sample, &tried, now);
                if let Some(refusal) = refusal {
                    report(refusal, &sample, form);
                }
            }
            left.into_iter().rev().for_each(|sample| self.waiting.push_front(sample));
        }
        let waiting = |id| self.waiting.iter().filter(|sample| sample.identity == id).count();
        self.learning.store().set_waiting(waiting, |id| self.trials.problem(id));
    }
}

/// Writes the state file, if there is one and something has changed.
pub(super) fn write_state(learning: &Learning, settings: &Settings) {
    let Some(path) = &settings.learn.file else { return };
    let Some(text) = learning.store().take_text() else { return };
    if let Err(error) = file::write(path, &text) {
        learning.store().not_written();
        error!(
            file = %path.display(),
            error = &error as &dyn std::error::Error,
            "cannot write the state file of learn"
        );
    }
}

/// Writes a refusal to the audit log.
fn report(refusal: Refusal, sample: &Sample, form: KeyForm) {
    let keys = match form {
        KeyForm::None => Vec::new(),
        form => sample.keys.iter().take(KeyForm::MOST).map(|key| form.show(key)).collect(),
    };
    audit::record(audit::Event::WouldRefuse(Box::new(audit::WouldRefuse {
        identity: refusal.identity,
        command: refusal.combination.command.to_string(),
        rule: refusal.part.as_str(),
        needs: refusal.combination.needs(refusal.part),
        keys,
    })));
}
