//! `AUTH` and `HELLO`: what the client claims is checked here, and never travels upstream.

use bytes::Bytes;

use super::naming::{is_printable, rename};
use super::texts;
use super::{Action, CloseReason, Deciding, Need};
use crate::auth::{Authenticated, DEFAULT_USER};
use crate::resp::{Protocol, Request, integer, is_word, reply};
use crate::session::change::Attempts;
use crate::session::event::ClaimedUser;
use crate::session::replies::expect::{Expect, Learn, Show};
use crate::session::stand_in::encode;

/// Returns whether the request cannot be passed on in pieces, because it does not travel as it came.
pub(crate) fn is_held_whole(request: &Request<'_>) -> bool {
    is_word(request.name(), b"hello")
}

/// `AUTH` where Redoubt answers.
pub(super) fn auth(this: &mut Deciding<'_>) -> Action {
    match claim(this) {
        None => this.local(texts::SYNTAX_ERROR.clone()),
        Some(true) => this.local(reply::OK.clone()),
        Some(false) => this.local(reply::WRONGPASS.clone()),
    }
}

/// `AUTH` of a session that is authenticated already. In a transaction, and in RESP2's subscribed
/// state, Redis answers, to a stand-in that ends as the client's would.
///
/// From Redis 7.2 to 8.x a wrong one gets no reply while replies are pending, which leaves the link
/// one reply short. So it travels only where Redis must queue it, and then the link stays with the
/// session for life.
pub(super) fn auth_again(this: &mut Deciding<'_>) -> Action {
    if !this.state.opaque && !this.in_transaction() {
        if this.state.restriction_unsettled(this.context.due) {
            return Action::Unsettled;
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

/// Checks the claim of an `AUTH`; `None` when it has too many arguments.
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

/// A claim of which part is missing, being larger than Redoubt holds, is wrong.
fn check(this: &mut Deciding<'_>, user: &[u8], password: &[u8], whole: bool) -> bool {
    let identity = &this.context.rules.identity;
    let credential = identity.check(user, password).filter(|_| whole);
    let right = credential.is_some();
    if let Some(credential) = credential {
        this.claim.authenticates |= !this.state.is_authenticated();
        this.change.authenticated =
            Some(Authenticated { user: identity.user().clone(), credential });
        this.change.attempts = Some(Attempts::default());
    } else {
        this.claim.failed = Some(ClaimedUser::new(user));
    }
    right
}

/// `HELLO`. Its options are taken in order, as Redis does, and answered here up to the reply map,
/// which is Redis's.
pub(super) fn hello(this: &mut Deciding<'_>) -> Action {
    let request = this.request;
    if !is_whole(request) {
        return Action::Finish { reply: None, reason: CloseReason::TooLarge };
    }
    if this.state.is_authenticated() && this.state.leased {
        return forward_hello(this);
    }
    if !this.state.leased && this.context.due.remote() > 0 {
        return Action::Unsettled;
    }
    if let Some(error) = version_error(request) {
        return this.local(error);
    }
    let mut renamed = None;
    let mut options = request.args().skip(2);
    while let Some(option) = options.next() {
        let left = options.len();
        let mut next = || options.next().unwrap_or_default();
        if is_word(option, b"auth") && left >= 2 {
            let (user, password) = (next(), next());
            if !check(this, user, password, true) {
                return this.local(reply::WRONGPASS.clone());
            }
        } else if is_word(option, b"setname") && left >= 1 {
            let name = next();
            if let Err(error) = rename(this, name) {
                return this.local(error);
            }
            renamed = Some(name);
        } else {
            return this.local(texts::hello_syntax(option));
        }
    }
    if !this.state.is_authenticated() && this.change.authenticated.is_none() {
        return Action::Reply(texts::NOAUTH_HELLO.clone());
    }
    greet(this, renamed)
}

/// Has Redis say its part of a `HELLO` of which all options have been taken.
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
        // Known to work, on a link that speaks it already.
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
    if need != Need::Lease && expect.show == Show::Reply {
        expect.show = Show::Greeting;
    }
    Action::Substitute { request: encode(&words), expect, need }
}

/// Passes a `HELLO` on with each `AUTH` pair replaced by a stand-in, for Redis to take or queue.
fn forward_hello(this: &mut Deciding<'_>) -> Action {
    let (request, rules, due) = (this.request, this.context.rules, this.context.due);
    let queues = this.state.opaque || this.in_transaction();
    // From Redis 7.2 to 8.x a wrong password gets no reply while others are pending.
    let claims = request.args().skip(2).any(|option| is_word(option, b"auth"));
    if !queues && (this.state.restriction_unsettled(due) || (claims && due.remote() > 0)) {
        return Action::Unsettled;
    }
    let mut args: Vec<&[u8]> = request.args().collect();
    // Redis stops at the first option that it refuses, so what follows need not travel.
    let mut accepted = version_error(request).is_none();
    let (mut wrong, mut renamed) = (false, None);
    let mut kept = 2;
    while let Some(option) = args.get(kept).filter(|_| accepted) {
        let left = args.len().saturating_sub(kept).saturating_sub(1);
        if is_word(option, b"setname") && left >= 1 {
            accepted = args.get(kept.saturating_add(1)).is_some_and(|name| is_printable(name));
            renamed = args.get(kept.saturating_add(1)).copied().filter(|_| accepted);
            kept = kept.saturating_add(2);
        } else if is_word(option, b"auth") && left >= 2 {
            let end = kept.saturating_add(3);
            let Some([_, user, password]) = args.get_mut(kept..end) else { break };
            let right = check(this, user, password, true);
            [*user, *password] = rules.stand_in.pair(right);
            kept = end;
            accepted = right;
            wrong = !right;
        } else {
            kept = kept.saturating_add(1);
            accepted = false;
        }
    }
    if wrong && !queues && !this.state.restricted() {
        // Redis would say nothing while messages are pending, too.
        let Some(name) = renamed else { return this.local(reply::WRONGPASS.clone()) };
        // As Redis 7.0, which takes the options before the wrong one.
        let error = rename(this, name).err().unwrap_or_else(|| reply::WRONGPASS.clone());
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
            // What will fail when it runs is an error inside the reply to EXEC.
            if accepted {
                this.change.queued_protocol = Some(Some(protocol));
            }
            Learn::Nothing
        }
        Some(protocol) => Learn::Protocol(protocol),
        None => Learn::Nothing,
    };
    this.change.left_on_lease.other = true;
    // It may be unsure when, and whether, it takes effect.
    this.change.pins |= this.state.asks_redis(due) || request.declared() > 2;
    let expect = Expect { learn, ..this.plain() };
    Action::Substitute { request: encode(&args), expect, need: Need::Lease }
}

/// Returns what Redis says of a version that it does not speak.
fn version_error(request: &Request<'_>) -> Option<Bytes> {
    match integer::parse(request.arg(1)?) {
        None => Some(texts::NOT_A_VERSION.clone()),
        Some(version) if Protocol::from_version(version).is_none() => Some(texts::NOPROTO.clone()),
        Some(_) => None,
    }
}

/// Returns whether all of it has arrived; a request too large to hold has not.
fn is_whole(request: &Request<'_>) -> bool {
    request.len() == request.declared() && !request.is_cut()
}
