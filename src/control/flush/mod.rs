//! Deletes the keys below the prefix of `policy.compat.flush`, in place of `FLUSHDB` and `FLUSHALL`.
//!
//! Owns: the connection for that, and which database has its next step when. Leaves to the workers: which
//! sessions ask, and their replies.
//!
//! A step looks at one page of one database and deletes the keys below the prefix that are there. Steps follow
//! one another on one connection, so Redis serves its other clients between them.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `keys deleted in place of a refused command, …` | info | `session`, `peer`, `command`, `databases`, `keys`, `succeeded` |
//! | `cannot delete keys below the prefix of policy.compat.flush` | warn | `error` |

mod queue;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::queue::{Queue, Step};
use crate::control::in_force::Composer;
use crate::control::kept_link::KeptLink;
use crate::net::conversation::Conversation;
use crate::net::now;
use crate::net::upstream_error::UpstreamError;
use crate::worker::flushing::FlushOrder;
use redoubt_core::upstream::LoginError;
use redoubt_core::upstream::below_prefix::{
    KeyPrefix, Page, PageError, ask_for_databases, read_databases, read_tries, try_databases,
};
use redoubt_core::upstream::guard::Batch;

/// Deletes keys for the sessions of all workers, one step after the other.
pub(crate) struct Flusher {
    orders: mpsc::Receiver<FlushOrder>,
    composer: Arc<Composer>,
    link: KeptLink,
    queue: Queue,
}

/// What a step has found.
enum Found {
    Databases(Result<Vec<u32>, PageError>),
    Page(u32, Deleted),
}

/// What became of a page.
struct Deleted {
    /// Where the next page begins.
    next: u64,
    /// How many keys were deleted.
    keys: u64,
    outcome: Result<(), PageError>,
}

impl Flusher {
    /// How long a step may take, if `upstream.connect_timeout` is not longer: a server that does not answer is
    /// taken for lost.
    const STEP: Duration = Duration::from_secs(5);

    pub(crate) fn new(orders: mpsc::Receiver<FlushOrder>, composer: Arc<Composer>) -> Self {
        let link = KeptLink::new(composer.target(), composer.credentials());
        Self { orders, composer, link, queue: Queue::default() }
    }

    /// Takes orders until `stop` is cancelled. Sessions that wait then get an error.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
        self.queue.fail_all(&error("ERR Redoubt is stopping; keys may have been deleted"));
    }

    async fn work(&mut self) {
        while let Some(order) = self.orders.recv().await {
            self.queue.add(order, now());
            while let Some(step) = self.next_step() {
                let outcome = self.take(&step).await;
                match outcome {
                    Ok(found) => self.enter(found),
                    Err(failure) if is_too_long(&failure) => self.enter_too_long(&step),
                    Err(failure) => {
                        warn!(
                            error = failure.chain(),
                            "cannot delete keys below the prefix of policy.compat.flush"
                        );
                        self.queue.fail_all(&reply_to(&failure));
                    }
                }
            }
            self.link.close();
        }
    }

    /// Takes the orders that have come, and returns what is next; `None` if there is nothing to do.
    fn next_step(&mut self) -> Option<Step> {
        while let Ok(order) = self.orders.try_recv() {
            self.queue.add(order, now());
        }
        self.queue.expire(now());
        let settings = self.composer.settings();
        let prefix = settings.compat.flush.as_ref();
        let prefix = prefix.and_then(|flush| KeyPrefix::new(flush.prefix.clone()));
        self.queue.next_step(prefix.as_ref())
    }

    /// Takes one step. Not cancel safe: after a cancellation it is unknown how many keys were deleted.
    async fn take(&mut self, step: &Step) -> Result<Found, UpstreamError> {
        match step {
            Step::List => self.link.ask_within(Self::STEP, databases).await.map(Found::Databases),
            Step::Page { database, cursor, count, prefix } => {
                let page = prefix.page(*database, *cursor, *count);
                let page = async |link: &mut Conversation| delete_page(link, prefix, &page).await;
                let deleted = self.link.ask_within(Self::STEP, page).await?;
                Ok(Found::Page(*database, deleted))
            }
        }
    }

    /// Enters that the answer was too long: the same page is asked for again, with fewer keys.
    fn enter_too_long(&mut self, step: &Step) {
        let Step::Page { database, .. } = step else {
            return self.queue.fail_listing(&PageError::TooManyDatabases.reply());
        };
        if !self.queue.shrink(*database) {
            warn_of(&PageError::TooLong);
            self.queue.fail_scan(*database, &PageError::TooLong.reply());
        }
    }

    fn enter(&mut self, found: Found) {
        let (error, failed) = match found {
            Found::Databases(Ok(databases)) => return self.queue.listed(&databases),
            Found::Databases(Err(error)) => (error, None),
            Found::Page(database, Deleted { next, keys, outcome }) => {
                self.queue.count(database, keys);
                match outcome {
                    Ok(()) => return self.queue.go_on(database, next),
                    Err(error) => (error, Some(database)),
                }
            }
        };
        warn_of(&error);
        match failed {
            None => self.queue.fail_listing(&error.reply()),
            Some(database) => self.queue.fail_scan(database, &error.reply()),
        }
    }
}

fn warn_of(error: &PageError) {
    warn!(%error, "cannot delete keys below the prefix of policy.compat.flush");
}

/// Returns the databases that hold keys, if all of them can be selected.
async fn databases(link: &mut Conversation) -> Result<Result<Vec<u32>, PageError>, UpstreamError> {
    let databases = match read_databases(&link.ask(&ask_for_databases()).await?) {
        Ok(databases) => databases,
        Err(error) => return Ok(Err(error)),
    };
    let tries = link.ask(&try_databases(&databases)).await?;
    Ok(read_tries(&tries).map(|()| databases))
}

/// Returns whether an answer was longer than Redoubt reads, which has closed the connection.
fn is_too_long(failure: &UpstreamError) -> bool {
    matches!(failure, UpstreamError::Broken { source, .. } if source.kind() == ErrorKind::InvalidData)
}

/// Deletes the keys below `prefix` in the page that the request `page` is for.
async fn delete_page(
    link: &mut Conversation,
    prefix: &KeyPrefix,
    page: &Batch,
) -> Result<Deleted, UpstreamError> {
    let page = match prefix.read_page(&link.ask(page).await?) {
        Ok(page) => page,
        Err(error) => return Ok(Deleted { next: 0, keys: 0, outcome: Err(error) }),
    };
    let answers = link.ask(&page.deletion()).await?;
    let (keys, outcome) = Page::read_deletion(&answers);
    Ok(Deleted { next: page.cursor, keys, outcome })
}

/// Returns the error that clients get. It has no address.
fn reply_to(failure: &UpstreamError) -> Bytes {
    match failure {
        UpstreamError::Login(LoginError::NotNow(reply)) => reply.clone(),
        UpstreamError::Timeout { .. } => {
            error("ERR Redis has not answered Redoubt in time; keys may have been deleted")
        }
        UpstreamError::Broken { .. } => {
            error("ERR Redoubt has lost its connection to Redis; keys may have been deleted")
        }
        _ => {
            error("ERR Redoubt cannot connect to Redis or log in; no key was deleted by this step")
        }
    }
}

fn error(text: &str) -> Bytes {
    redoubt_core::resp::reply::error(text.as_bytes())
}
