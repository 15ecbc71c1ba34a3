//! Describes a decision in words.

use std::borrow::Cow;

use bytes::Bytes;
use redoubt::config::{GuardMode, PolicySettings, ScriptMode, Settings, Sharing};
use redoubt_core::command::{Effect, ServerKind, Spec};
use redoubt_core::policy::{Origin, RuleName};
use redoubt_core::resp::Request;
use redoubt_core::session::{Action, Decision, Described, Expect, Need, Rules, Special};

/// What happens to a command, in words.
pub(super) struct Verdict {
    /// The command's name in the table; `None` if the table does not have it.
    pub(super) command: Option<&'static str>,
    /// `true` if the command is allowed, whether Redis or Redoubt answers it; `None` if Redis decides by the rights of
    /// an identity, and has not been asked.
    pub(super) allowed: Option<bool>,
    /// What refuses it: `policy`, `acl` for the rights of an identity, or nothing.
    pub(super) layer: Option<&'static str>,
    /// The identity that the client has logged in as; `None` if the arguments give none.
    pub(super) identity: Option<String>,
    /// The rule that refuses it; `None` if none does.
    pub(super) rule: Option<String>,
    /// The setting that the rule comes from.
    pub(super) source: Option<Cow<'static, str>>,
    /// The key by which an operator can have it run, or answered.
    pub(super) opened_by: Option<&'static str>,
    /// The reason.
    pub(super) why: String,
    /// The reply, if Redoubt answers and every session gets the same; `None` if Redis answers, or nobody.
    pub(super) reply: Option<Bytes>,
    /// What the command does to the connection.
    pub(super) connection: String,
    /// The positions of the keys among the arguments; the name has position 0.
    pub(super) keys: Option<String>,
    /// What applies to the commands that a script or function calls.
    pub(super) scripts: Option<&'static str>,
}

impl Verdict {
    pub(super) fn new(
        decision: &Decision,
        spec: Option<&'static Spec>,
        request: &Request<'_>,
        (settings, rules): (&Settings, &Rules),
    ) -> Self {
        let policy = &settings.policy;
        let plain = Special::from(Action::Forward { expect: Expect::PLAIN, need: Need::Shared });
        let Special { action, refused, .. } = match decision {
            Decision::Plain => &plain,
            Decision::Special(special) => special,
        };
        let refusal = refused.as_ref().map(|refused| &refused.refusal);
        let opened_by = refusal.and_then(|refusal| refusal.opened_by);
        let refused = refusal.map(|refusal| &refusal.rule);
        let reply = match action {
            // Each session has a number and a user of its own.
            Action::Reply(_) if spec.is_some_and(|spec| is_own(spec.effect)) => None,
            Action::Reply(reply) => Some(reply.clone()),
            Action::Finish { reply, .. } => reply.clone(),
            Action::Reset { shown: true } => Some(Bytes::from_static(b"+RESET\r\n")),
            _ => None,
        };
        let is_error = reply.as_ref().is_some_and(|reply| reply.starts_with(b"-"));
        let closed = match action {
            Action::Finish { reason, .. } if reason.as_str() != "quit" => Some(reason.as_str()),
            _ => None,
        };
        let allowed = refused.is_none() && !is_error && closed.is_none();
        let (source, why) = match &refused {
            Some(rule) => {
                let (source, why) = origin(rule, policy, rules);
                (Some(Cow::Borrowed(source)), why)
            }
            None => (None, plain_why(action, spec, is_error, closed, server_kind(request, rules))),
        };
        let runs_code = spec.is_some_and(|spec| spec.effect == Effect::Script);
        Self {
            command: spec.map(|spec| spec.name),
            allowed: Some(allowed),
            layer: refused.map(|_| "policy"),
            identity: None,
            rule: refused.map(|rule| rule.to_string()),
            source,
            opened_by,
            why,
            reply,
            connection: connection(
                action,
                spec,
                settings.upstream.sharing,
                server_kind(request, rules),
            ),
            keys: spec.filter(|_| allowed).and_then(|spec| keys(spec, request)),
            scripts: (allowed && runs_code).then(|| inside(policy)),
        }
    }
}

/// Returns true if the reply differs from one session to another.
fn is_own(effect: Effect) -> bool {
    matches!(effect, Effect::ClientId | Effect::WhoAmI)
}

/// Returns the setting that `rule` comes from, and its purpose.
fn origin(rule: &RuleName, policy: &PolicySettings, rules: &Rules) -> (&'static str, String) {
    let origin = rules.policy.origin_of(rule);
    let why = match origin {
        Origin::Blocked => "it is on the list of blocked commands".to_owned(),
        Origin::Escapes(why) => format!("policy.escapes = \"deny\": it {why}"),
        Origin::Upstream => {
            "the upstream calls it administrative or dangerous, and Redoubt does not know it; policy.allow opens it"
                .to_owned()
        }
        Origin::Scripts => match policy.scripts {
            ScriptMode::ReadOnly => {
                "policy.scripts = \"read-only\": only scripts that cannot write run"
            }
            ScriptMode::Pinned => {
                "policy.scripts = \"pinned\": only listed scripts run (which functions the \
                 listed libraries have, only Redis knows)"
            }
            ScriptMode::Deny | ScriptMode::Guarded => "policy.scripts: no scripts run",
        }
        .to_owned(),
        Origin::Always => "a name with a NUL in it can reach another command in Redis".to_owned(),
    };
    (origin.as_str(), why)
}

fn plain_why(
    action: &Action,
    spec: Option<&Spec>,
    is_error: bool,
    closed: Option<&'static str>,
    kind: Option<ServerKind>,
) -> String {
    match action {
        _ if closed == Some("cross_protocol") => {
            "a browser sends this when a page misuses it against Redis".to_owned()
        }
        Action::Reply(reply) if reply.starts_with(b"-NOAUTH") => {
            "the client has not authenticated".to_owned()
        }
        Action::Reply(reply) if reply.starts_with(b"-ERR unknown ") => {
            "the upstream has no such command, or no version of Redis that is assumed has"
                .to_owned()
        }
        Action::Reply(_) if spec.is_some_and(|spec| spec.effect == Effect::WhoAmI) => {
            "Redoubt answers it, with the user that the client has logged in as".to_owned()
        }
        _ if is_error => "Redis's own error, which Redoubt replies without Redis".to_owned(),
        Action::Forward { .. } | Action::Substitute { .. } if kind.is_some() => {
            "no rule names it; it is not in Redoubt's table, but the upstream has it".to_owned()
        }
        Action::Forward { .. } | Action::Substitute { .. } if spec.is_none() => {
            "no rule names it; it is not in Redoubt's table, so Redis decides whether it exists"
                .to_owned()
        }
        _ => "no rule refuses it".to_owned(),
    }
}

/// Returns what kind of command it is that only the upstream knows.
fn server_kind(request: &Request<'_>, rules: &Rules) -> Option<ServerKind> {
    rules.known_to_server(request).map(|command| command.kind)
}

fn connection(
    action: &Action,
    spec: Option<&Spec>,
    sharing: Sharing,
    kind: Option<ServerKind>,
) -> String {
    let text = match action {
        Action::Finish { reason, .. } => return format!("closed after this ({reason})"),
        Action::Reply(_) | Action::Silence => "answered by Redoubt; nothing goes to Redis",
        Action::Reset { .. } => {
            "answered by Redoubt, which gives up the session's lease if it has one"
        }
        Action::AwaitReplies => "waits for pending replies",
        Action::AwaitClients(Described::Itself) => "answered by Redoubt; nothing goes to Redis",
        Action::AwaitClients(_) if spec.is_some_and(|spec| spec.effect == Effect::ClientKill) => {
            "Redoubt ends sessions of the client's user; what names no session goes over a link that other \
             sessions share"
        }
        Action::AwaitClients(_) => {
            "goes over a link that other sessions share, separated from them by barriers; Redoubt puts its \
             sessions in the place of its connections"
        }
        Action::AwaitFlush(_) => {
            "the session waits while Redoubt finds and deletes keys over a connection of its own"
        }
        Action::AwaitLease(_) => "waits until the session that it names has a lease",
        Action::Forward { .. } | Action::Substitute { .. } if sharing == Sharing::Off => {
            "goes over the session's own lease, as all commands do (upstream.sharing = \"off\")"
        }
        Action::Forward { need, .. } | Action::Substitute { need, .. } => match need {
            Need::Shared => "goes over a link that other sessions share",
            Need::Fenced => {
                "goes over a link that other sessions share, separated from them by barriers"
            }
            Need::Script => "goes over the shared link for scripts, separated by barriers",
            Need::Moved(_) => "moves to the shared link for the protocol that it requests",
            Need::Lease | Need::NotedLease if kind == Some(ServerKind::Module) => {
                "goes over a lease, until its reply, since a module may answer late"
            }
            Need::Lease | Need::NotedLease => return lease(spec).to_owned(),
        },
    };
    text.to_owned()
}

/// Returns until when the session keeps the link for itself.
fn lease(spec: Option<&Spec>) -> &'static str {
    match spec.map(|spec| spec.effect) {
        Some(Effect::Select) => {
            "goes over a lease the first time that a session selects this database; Redoubt answers \
             it once it knows that the database exists"
        }
        Some(Effect::Multi | Effect::Watch) => {
            "goes over a lease, until EXEC, DISCARD or, for watches, UNWATCH"
        }
        Some(
            Effect::Blocks
            | Effect::BlocksOnOption
            | Effect::Wait
            | Effect::Late
            | Effect::LateOnOption,
        ) => "goes over a lease, until its reply",
        Some(Effect::Subscribe(_)) => "goes over a lease, until nothing is subscribed to",
        Some(Effect::Streams) => "goes over a lease that carries a stream, until the session ends",
        Some(Effect::Pins) | None => "goes over a lease, until RESET or the end of the session",
        _ => "goes over a lease, until its effect ends",
    }
}

fn keys(spec: &Spec, request: &Request<'_>) -> Option<String> {
    let keys = spec.keys;
    let count = i64::try_from(request.declared()).ok()?;
    let last = i64::from(keys.last);
    let last = if last < 0 { count.saturating_add(last) } else { last };
    if keys.first <= 0 || keys.step <= 0 || !spec.arity_holds(request.declared()) {
        return keys.movable.then(|| "found only by reading the arguments".to_owned());
    }
    let step = usize::try_from(keys.step).ok()?;
    let places: Vec<_> = (i64::from(keys.first)..=last)
        .step_by(step)
        .take_while(|place| *place < count)
        .map(|place| place.to_string())
        .collect();
    let more = if keys.movable { " and others, found by reading the arguments" } else { "" };
    (!places.is_empty()).then(|| format!("{}{more}", places.join(", ")))
}

/// Returns what applies to the commands that a script calls.
fn inside(policy: &PolicySettings) -> &'static str {
    match policy.guard {
        GuardMode::Auto => {
            "Redis's ACL refuses in it what the policy refuses; if it cannot, no script runs"
        }
        GuardMode::Require => "Redis's ACL refuses in it what the policy refuses",
        GuardMode::Audit => "the configured user's ACL must refuse in it what the policy refuses",
        GuardMode::Off => "policy.guard = \"off\": it may call what the policy refuses",
    }
}
