//! Commands that show or take the numbers of clients: `CLIENT ID`, `INFO`, `LIST`, `KILL`, `TRACKING`,
//! `GETREDIR`, `TRACKINGINFO` and `UNBLOCK`.
//!
//! Clients know each other by the numbers of their sessions ([`ClientIds`](crate::session::ClientIds)). A
//! request with such a number is sent with that of the session's lease in its place.

use bytes::{Bytes, BytesMut};

use super::known::refused;
use super::texts;
use super::{Action, Deciding, Described, Need};
use crate::command::Spec;
use crate::resp::reply::{self, Value};
use crate::resp::{Request, encode_command, integer, is_word};
use crate::session::clients::ids::Tracking;
use crate::session::clients::kill::Kill;
use crate::session::clients::list::{ClientLine, Filter, Tracked};
use crate::session::decision::Given;
use crate::session::event::CloseReason;
use crate::session::replies::expect::{Edit, Expect, Learn, Show};

/// Decides on `CLIENT ID`. A session without a lease costs nothing: the lease that it may get later is asked
/// for its number then.
pub(super) fn id(this: &mut Deciding<'_>, need: Need) -> Action {
    if this.state.asks_redis(this.context.due) || need == Need::Lease && !this.state.leased {
        // Redis shows the link's number, as the reply to EXEC shows it; or it refuses the command.
        this.change.pins = true;
        return Action::Forward { expect: this.plain(), need: Need::Lease };
    }
    this.change.tells_id = true;
    let shown = reply::compose(&Value::Integer(this.state.client_id), this.state.protocol);
    if !this.state.leased {
        return this.local(shown);
    }
    let show = if this.state.shows_replies() { Show::Instead(shown) } else { Show::Nothing };
    Action::Forward { expect: Expect { show, learn: Learn::Id }, need: Need::Lease }
}

/// Decides on `CLIENT INFO`, which Redoubt answers once the program has described the session.
pub(super) fn info(this: &mut Deciding<'_>, spec: &'static Spec, need: Need) -> Action {
    if this.state.asks_redis(this.context.due) || need == Need::Lease {
        this.change.pins = true;
        return Action::Forward { expect: this.plain(), need: Need::Lease };
    }
    let Some(clients) = this.context.known.clients() else {
        return Action::AwaitClients(Described::Itself);
    };
    let own = clients.iter().filter(|line| line.id == this.state.client_id);
    let text = lines(this, own, spec);
    this.local(reply::text(&text, this.state.protocol))
}

/// Decides on `CLIENT LIST`: the server lists its connections, and Redoubt puts its sessions in the place of
/// its own.
pub(super) fn list(this: &mut Deciding<'_>, spec: &'static Spec, need: Need) -> Action {
    let mut expect = this.plain();
    if this.state.asks_redis(this.context.due) || expect.show != Show::Reply {
        return Action::Forward { expect, need };
    }
    let Some(clients) = this.context.known.clients() else {
        return Action::AwaitClients(Described::All);
    };
    let text = Filter::of(this.request).map(|filter| {
        let listed = clients.iter().filter(|line| filter.takes(line, this.state.client_id));
        lines(this, listed, spec)
    });
    expect.show = Show::Edited(Box::new(Edit::Clients(text.unwrap_or_default().freeze())));
    Action::Forward { expect, need }
}

/// Returns the lines of sessions, of which the asking one is running `spec`.
fn lines<'a>(
    this: &Deciding<'_>,
    listed: impl Iterator<Item = &'a ClientLine>,
    spec: &'static Spec,
) -> BytesMut {
    let mut text = BytesMut::new();
    for line in listed {
        let runs = if line.id == this.state.client_id { Some(spec.name) } else { line.command };
        line.write(&this.context.rules.client_fields, runs, &mut text);
    }
    text
}

/// Decides on `CLIENT KILL`: it ends sessions of the asking session's user. The server is asked about the id or
/// the address of another client of it, about a form that Redoubt does not know, and inside a transaction; it
/// must end none of Redoubt's connections then.
pub(super) fn kill(this: &mut Deciding<'_>, need: Need) -> Action {
    let expect = this.plain();
    let forwarded = Action::Forward { expect: this.plain(), need };
    if !this.context.known.is_whole {
        return forwarded;
    }
    let kill = Kill::of(this.request, this.state.user());
    let Some(kill) = kill.filter(|_| !this.state.asks_redis(this.context.due)) else {
        return match Kill::of_nobody(this.request) {
            Some(request) => Action::Substitute { request, expect, need },
            None => forwarded,
        };
    };
    match this.context.known.given {
        None | Some(Given::Flushed(_)) => Action::AwaitClients(Described::All),
        Some(Given::Clients(lines)) => {
            let id = this.state.client_id;
            let is_own = |line: &ClientLine| this.state.user() == Some(&line.user);
            let chosen = lines.iter().filter(|line| is_own(line) && kill.takes(line, id));
            let chosen = chosen.map(|line| line.id);
            let chosen: Vec<i64> = chosen.collect();
            if !chosen.is_empty() {
                Action::AwaitClients(Described::Ended(chosen))
            } else if kill.names_other(&this.context.rules.own_connections) {
                forwarded
            } else {
                this.local(kill.reply(0))
            }
        }
        Some(Given::Ended { count, itself: false }) => this.local(kill.reply(*count)),
        Some(Given::Ended { count, itself: true }) => {
            let reply = this.state.shows_replies().then(|| kill.reply(*count));
            Action::Finish { reply, reason: CloseReason::Killed }
        }
    }
}

/// Decides on `CLIENT TRACKING`. The session keeps its lease, to which the server sends invalidations, or whose
/// reads it tracks.
pub(super) fn tracking(this: &mut Deciding<'_>, need: Need) -> Action {
    let redirected = match this.context.rules.client_ids.track(this.request, this.state.identity())
    {
        Tracking::Unchanged => None,
        Tracking::Redirected(request, ids) => Some((request, ids)),
        Tracking::Waits => return Action::AwaitLease(texts::NO_SUCH_CLIENT.clone()),
        Tracking::Refused(error) => return refused(this, error),
    };
    this.change.pins = true;
    let learn = Learn::Tracking { tracked: tracked(this.request), redirects: redirected.is_some() };
    let expect = Expect { learn, ..this.plain() };
    match redirected {
        None => Action::Forward { expect, need },
        Some((request, ids)) => {
            this.change.redirects_to = Some(Box::new(ids));
            Action::Substitute { request, expect, need }
        }
    }
}

/// Returns what the server tracks after a `CLIENT TRACKING` that it accepts.
fn tracked(request: &Request<'_>) -> Tracked {
    if !request.arg(2).is_some_and(|word| is_word(word, b"on")) {
        return Tracked::No;
    }
    let mut options = request.args().skip(3);
    while let Some(option) = options.next() {
        if is_word(option, b"bcast") {
            return Tracked::Prefixes;
        }
        if is_word(option, b"redirect") || is_word(option, b"prefix") {
            options.next();
        }
    }
    Tracked::Keys
}

/// Decides on `CLIENT GETREDIR` and `TRACKINGINFO`, whose replies show the number of the session that
/// invalidations are redirected to.
pub(super) fn redirection(this: &mut Deciding<'_>, need: Need) -> Action {
    this.change.pins = true;
    let mut expect = this.plain();
    if let Some(ids) = this.state.redirects_to.as_deref().filter(|_| expect.show == Show::Reply) {
        expect.show = Show::Edited(Box::new(Edit::Redirection(*ids)));
    }
    Action::Forward { expect, need }
}

/// Decides on `CLIENT UNBLOCK`. A session that has not asked for its number, or that has no lease, waits for
/// nothing that could end, as for a number that no client has.
pub(super) fn unblock(this: &mut Deciding<'_>, spec: &'static Spec) -> Action {
    let request = this.request;
    let is_option = |word: &[u8]| is_word(word, b"timeout") || is_word(word, b"error");
    let id = request.arg(2).and_then(integer::parse);
    let in_order = this.in_transaction();
    let need = if in_order { Need::Lease } else { Need::Fenced };
    let Some(id) = id.filter(|_| {
        spec.arity_holds(request.declared())
            && request.declared() <= 4
            && request.arg(3).is_none_or(is_option)
    }) else {
        return Action::Forward { expect: this.plain(), need };
    };
    // A number that no connection of the server has.
    let lease =
        this.context.rules.client_ids.keep_lease(id, this.state.identity()).unwrap_or_default();
    let lease = lease.to_string();
    let mut words: Vec<&[u8]> = request.args().collect();
    if let Some(word) = words.get_mut(2) {
        *word = lease.as_bytes();
    }
    let mut sent = BytesMut::new();
    encode_command(words.iter().copied(), &mut sent);
    Action::Substitute { request: Bytes::from(sent), expect: this.plain(), need }
}
