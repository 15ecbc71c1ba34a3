//! `AUTH` and `HELLO`: Redoubt checks the client's credentials and never forwards them.

use bytes::Bytes;

use super::naming::{is_name, rename};
use super::texts;
use super::{Action, CloseReason, Deciding, Need};
use crate::auth::{Authenticated, DEFAULT_USER};
use crate::resp::{Protocol, Request, integer, is_word, reply};
use crate::session::change::Attempts;
use crate::session::event::ClaimedUser;
use crate::session::replies::expect::{Edit, Expect, Learn, Show};
use crate::session::stand_in::encode;

/// Returns true if the request cannot be forwarded in pieces, because it is not forwarded unchanged.
pub(crate) fn is_held_whole(request: &Request<'_>) -> bool {
    is_word(request.name(), b"hello")
}

/// Decides on `AUTH` where Redoubt answers.
pub(super) fn auth(this: &mut Deciding<'_>) -> Action {
    match claim(this) {
        _ if this.claim.is_elsewhere && this.context.due.remote() > 0 => Action::AwaitReplies,
        _ if this.claim.is_elsewhere => this.local(texts::HOLDS_STATE.clone()),
        None => this.local(texts::SYNTAX_ERROR.clone()),
        Some(true) => this.local(reply::OK.clone()),
        Some(false) => this.local(rejection(this)),
    }
}

/// Returns the error for a claim that is not accepted.
fn rejection(this: &Deciding<'_>) -> Bytes {
    if this.claim.is_elsewhere {
        texts::HOLDS_STATE.clone()
    } else if this.claim.is_certified {
        texts::CERTIFIED.clone()
    } else {
        reply::WRONGPASS.clone()
    }
}

/// Decides on `AUTH` of an authenticated session. In a transaction, and in RESP2's subscribed state,
/// Redis answers a stand-in that succeeds or fails as the client's would.
///
/// From Redis 7.2 to 8.x a wrong password gets no reply while replies are pending, which leaves the
/// link one reply short. So the stand-in is only sent where Redis must queue it, and then the session
/// keeps the link until it ends.
pub(super) fn auth_again(this: &mut Deciding<'_>) -> Action {
    if !this.state.opaque && !this.in_transaction() {
        if this.state.restriction_may_change(this.context.due) {
            return Action::AwaitReplies;
        }
        if !this.state.restricted() {
            return auth(this);
        }
    }
    this.change.pins = true;
    let request = match claim(this) {
        Some(right) => this.context.rules.stand_in.auth(right),
        None => encode(&[b"AUTH", b"", b"", b""]),
    };
    Action::Substitute { request, expect: this.plain(), need: Need::Lease }
}

/// Checks the credentials in an `AUTH`; `None` if it has too many arguments.
fn claim(this: &mut Deciding<'_>) -> Option<bool> {
    let request = this.request;
    let arg = |index| request.arg(index).unwrap_or_default();
    let whole = is_whole(request);
    match request.declared() {
        2 => Some(check(this, DEFAULT_USER.as_bytes(), arg(1), whole)),
        3 => Some(check(this, arg(1), arg(2), whole)),
        _ => None,
    }
}

/// Checks credentials. Incomplete ones, which are larger than Redoubt buffers, are wrong.
///
/// A session that has a lease, whose state belongs to its identity, cannot become another: then this returns false
/// too, and the password does not count as wrong.
///
/// A session that its certificate has authenticated stays that user: for another one this returns false whatever
/// the password is, and that counts as a wrong password.
fn check(this: &mut Deciding<'_>, user: &[u8], password: &[u8], whole: bool) -> bool {
    let certified = this.state.certified_user();
    if certified.is_some_and(|certified| certified.as_bytes() != user) {
        this.claim.is_certified = true;
        this.claim.failed = Some(ClaimedUser::new(user));
        return false;
    }
    let found = this.context.rules.identities.check(user, password).filter(|_| whole);
    if certified.is_some() && found.is_some() {
        return true;
    }
    let is_another = |who: &Authenticated| {
        this.state.authenticated().is_some_and(|now| now.identity != who.identity)
    };
    if this.state.leased && found.as_ref().is_some_and(is_another) {
        this.claim.is_elsewhere = true;
        return false;
    }
    let right = found.is_some();
    if found.is_some() {
        this.claim.authenticates |= !this.state.is_authenticated();
        this.change.authenticated = found;
        this.change.attempts = Some(Attempts::default());
    } else {
        this.claim.failed = Some(ClaimedUser::new(user));
    }
    right
}

/// Decides on `HELLO`. Redoubt checks its options in Redis's order; Redis itself sends the reply map.
pub(super) fn hello(this: &mut Deciding<'_>) -> Action {
    let request = this.request;
    if !is_whole(request) {
        return Action::Finish { reply: None, reason: CloseReason::TooLarge };
    }
    if this.state.is_authenticated() && this.state.leased {
        return forward_hello(this);
    }
    if !this.state.leased && this.context.due.remote() > 0 {
        return Action::AwaitReplies;
    }
    if let Some(error) = version_error(request) {
        return this.local(error);
    }
    let dialect = this.context.rules.dialect;
    let (mut renamed, mut claimed) = (None, None);
    let mut options = request.args().skip(2);
    while let Some(option) = options.next() {
        let left = options.len();
        let mut next = || options.next().unwrap_or_default();
        if is_word(option, b"auth") && left >= 2 {
            let (user, password) = (next(), next());
            if dialect.hello_is_atomic {
                claimed = Some((user, password));
            } else if !check(this, user, password, true) {
                return this.local(rejection(this));
            }
        } else if is_word(option, b"setname") && left >= 1 {
            let name = next();
            let accepted = match dialect.hello_is_atomic {
                true if is_name(name, dialect) => Ok(()),
                true => Err(texts::BAD_CLIENT_NAME.clone()),
                false => rename(this, name),
            };
            if let Err(error) = accepted {
                return this.local(error);
            }
            renamed = Some(name);
        } else {
            return this.local(texts::hello_syntax(option));
        }
    }
    if let Some((user, password)) = claimed
        && !check(this, user, password, true)
    {
        return this.local(rejection(this));
    }
    if !this.state.is_authenticated() && this.change.authenticated.is_none() {
        return Action::Reply(texts::noauth_hello(dialect));
    }
    if let Some(name) = renamed
        && let Err(error) = rename(this, name)
    {
        return this.local(error);
    }
    greet(this, renamed)
}

/// Decides on a `HELLO` whose options have been accepted, so that Redis sends its reply.
fn greet(this: &mut Deciding<'_>, renamed: Option<&[u8]>) -> Action {
    let version = this.request.arg(1);
    let leased = this.state.leased;
    let mut words: Vec<&[u8]> = vec![b"HELLO"];
    words.extend(version);
    if let Some(name) = renamed.filter(|_| leased) {
        words.extend([b"SETNAME".as_slice(), name]);
    }
    let before = this.state.protocol;
    let protocol = version.and_then(integer::parse).and_then(Protocol::from_version);
    let mut expect = this.plain();
    let need = match protocol {
        // It is known to succeed, on a link that has this protocol already.
        Some(protocol) if !leased && this.context.rules.speaks_hello() => {
            this.change.protocol = Some(protocol);
            expect.learn = Learn::Moved(before);
            Need::Moved(protocol)
        }
        None if !leased => Need::Moved(before),
        protocol => {
            this.change.left_on_lease.other = true;
            expect.learn = protocol.map_or(Learn::Nothing, Learn::Protocol);
            Need::Lease
        }
    };
    if expect.show == Show::Reply {
        expect.show = Show::Edited(Box::new(Edit::Greeting));
    }
    Action::Substitute { request: encode(&words), expect, need }
}

/// Forwards a `HELLO` for Redis to run or queue, with each `AUTH` pair replaced by a stand-in.
fn forward_hello(this: &mut Deciding<'_>) -> Action {
    let (request, rules, due) = (this.request, this.context.rules, this.context.due);
    let queues = this.state.opaque || this.in_transaction();
    // From Redis 7.2 to 8.x a wrong password gets no reply while other replies are pending.
    let claims = request.args().skip(2).any(|option| is_word(option, b"auth"));
    if !queues && (this.state.restriction_may_change(due) || (claims && due.remote() > 0)) {
        return Action::AwaitReplies;
    }
    let mut args: Vec<&[u8]> = request.args().collect();
    let atomic = rules.dialect.hello_is_atomic;
    // Redis stops at the first option that it rejects, so the options after it need not be forwarded.
    let mut accepted = version_error(request).is_none();
    let (mut wrong, mut renamed) = (false, None);
    let mut claimed = None;
    let mut kept = 2;
    while let Some(option) = args.get(kept).filter(|_| accepted) {
        let left = args.len().saturating_sub(kept).saturating_sub(1);
        if is_word(option, b"setname") && left >= 1 {
            accepted =
                args.get(kept.saturating_add(1)).is_some_and(|name| is_name(name, rules.dialect));
            renamed = args.get(kept.saturating_add(1)).copied().filter(|_| accepted);
            kept = kept.saturating_add(2);
        } else if is_word(option, b"auth") && left >= 2 {
            let end = kept.saturating_add(3);
            let Some([_, user, password]) = args.get_mut(kept..end) else { break };
            if atomic {
                claimed = Some((kept, *user, *password));
                [*user, *password] = rules.stand_in.pair(false);
            } else {
                let right = check(this, user, password, true);
                [*user, *password] = rules.stand_in.pair(right);
                accepted = right;
                wrong = !right;
            }
            kept = end;
        } else {
            kept = kept.saturating_add(1);
            accepted = false;
        }
    }
    // Only the last of several claims counts then, and only if all options are right.
    if let Some((at, user, password)) = claimed.filter(|_| accepted) {
        let right = check(this, user, password, true);
        if let Some([_, user, password]) = args.get_mut(at..at.saturating_add(3)) {
            [*user, *password] = rules.stand_in.pair(right);
        }
        accepted = right;
        wrong = !right;
    }
    if wrong && !queues && !this.state.restricted() {
        // Redis would send no reply while messages are pending, too.
        let error = rejection(this);
        let Some(name) = renamed.filter(|_| !atomic) else {
            return this.local(error);
        };
        // Redis 7.0 applies the options before the wrong one, too.
        let error = rename(this, name).err().unwrap_or(error);
        let shows = this.state.shows_replies();
        let show = if shows { Show::Instead(error) } else { Show::Nothing };
        return Action::Substitute {
            request: encode(&[b"CLIENT", b"SETNAME", name]),
            expect: Expect { show, learn: Learn::Name },
            need: Need::Lease,
        };
    }
    args.truncate(kept);
    let protocol = request.arg(1).and_then(integer::parse).and_then(Protocol::from_version);
    let learn = match protocol {
        Some(protocol) if this.in_transaction() => {
            // An option that fails when it runs is an error inside the reply to EXEC.
            if accepted {
                this.change.queued_protocol = Some(Some(protocol));
            }
            Learn::Nothing
        }
        Some(protocol) => Learn::Protocol(protocol),
        None => Learn::Nothing,
    };
    this.change.left_on_lease.other = true;
    // It may be unknown when it takes effect, or whether it does.
    this.change.pins |= this.state.asks_redis(due) || request.declared() > 2;
    let mut expect = Expect { learn, ..this.plain() };
    if !queues && expect.show == Show::Reply {
        expect.show = Show::Edited(Box::new(Edit::Greeting));
    }
    Action::Substitute { request: encode(&args), expect, need: Need::Lease }
}

/// Returns Redis's error for a protocol version that it does not support.
fn version_error(request: &Request<'_>) -> Option<Bytes> {
    match integer::parse(request.arg(1)?) {
        None => Some(texts::NOT_A_VERSION.clone()),
        Some(version) if Protocol::from_version(version).is_none() => Some(texts::NOPROTO.clone()),
        Some(_) => None,
    }
}

/// Returns true if the request has arrived completely; a request that is too large to buffer never
/// does.
fn is_whole(request: &Request<'_>) -> bool {
    request.len() == request.declared() && !request.is_cut()
}
