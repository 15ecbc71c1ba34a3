//! Asks the upstream by `ACL DRYRUN` whether an identity may run a command, without running it.
//!
//! Owns: the temporary user on which the identity's rule is tried. Nobody can log in as it, and it is removed
//! whatever happens; if the process is killed, another Redoubt removes it, since it is named as guards are.

use tokio::time::timeout;

use crate::config::{GuardMode, IdentitySettings, Settings, seconds};
use crate::control::guard::{limits_databases, only_in};
use crate::control::rules::{AskError, upstream};
use crate::net::conversation::Conversation;
use crate::net::upstream::Target;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::observe::Tried;
use redoubt_core::upstream::guard::{Answer, Batch, Guard, GuardGroup, Rights, remove};

/// Most characters of Redis's words.
const LONGEST: usize = 300;

/// What the upstream answered about a command of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DryRun {
    /// The identity may run it.
    Allowed,
    /// The identity's `acl` refuses it, in these words of Redis.
    Acl(String),
    /// The identity's `databases` refuse it, in these words of Redis.
    Databases(String),
    /// The command cannot run for other reasons, such as a wrong number of arguments, in these words of Redis.
    Fails(String),
    /// The upstream cannot say, for this reason.
    Unknown(String),
    /// Sessions of the identity are refused, since Redoubt makes no guard and there is no `upstream_user`.
    NoUser,
}

/// Asks the upstream of `settings` whether `identity` may run the command `words`.
///
/// # Errors
/// Returns an [`AskError`].
pub async fn dry_run(
    settings: &Settings,
    identity: &IdentitySettings,
    words: &[&[u8]],
) -> Result<DryRun, AskError> {
    let (target, credentials) = upstream(settings).await?;
    let failed = |error: UpstreamError| AskError::Upstream(error.chain());
    let (mut link, _) = within(&target, target.log_in(&credentials)).await.map_err(failed)?;
    if !matches!(settings.policy.guard, GuardMode::Auto | GuardMode::Require) {
        let Some(account) = identity.upstream.as_ref().filter(|_| identity.databases.is_none())
        else {
            return Ok(DryRun::NoUser);
        };
        let question = Question { user: &account.user, shown: &identity.name, words };
        return within(&target, question.ask(&mut link)).await.map_err(failed);
    }
    let name = name()?;
    let question = Question { user: &name, shown: &identity.name, words };
    let asked = within(&target, question.of_identity(&mut link, identity)).await;
    let removed = within(&target, async {
        if asked.is_err() {
            // A reply may be due on the connection.
            (link, _) = target.log_in(&credentials).await?;
        }
        link.ask(&remove(&[&name])).await
    });
    // A server that has not made it has nothing to remove, and answers with an error.
    removed.await.map_err(|error| {
        let error = error.chain();
        AskError::Upstream(format!("{error}; ACL DELUSER {name} removes the user for the test"))
    })?;
    asked.map_err(failed)
}

/// Waits for `step` no longer than a connection to the upstream may take.
async fn within<T>(
    target: &Target,
    step: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    timeout(target.timeout, step).await.unwrap_or_else(|_| Err(target.timed_out()))
}

/// Returns a name as guards have it, which no other process uses.
fn name() -> Result<String, AskError> {
    let (mut group, mut secret) = ([0; GuardGroup::RANDOM], [0; Guard::RANDOM]);
    let filled = getrandom::fill(&mut group).and_then(|()| getrandom::fill(&mut secret));
    filled.map_err(|_| AskError::Upstream("no random numbers".to_owned()))?;
    let group = GuardGroup::new(&group);
    Ok(Guard::new(seconds(), &group, 0, &secret).name().to_owned())
}

/// A command, and the user of Redis whose rights are tried.
struct Question<'a> {
    user: &'a str,
    /// What is shown in the place of the user's name.
    shown: &'a str,
    words: &'a [&'a [u8]],
}

impl Question<'_> {
    /// Gives the user the rights of `identity` and asks.
    async fn of_identity(
        &self,
        link: &mut Conversation,
        identity: &IdentitySettings,
    ) -> Result<DryRun, UpstreamError> {
        let limits_databases = match identity.databases {
            Some(_) => limits_databases(link, self.user).await?,
            None => false,
        };
        let rights = Rights::of_rules(&identity.acl);
        if let Some(why) = self.give(link, &rights).await? {
            return Ok(DryRun::Unknown(why));
        }
        let by_acl = self.ask(link).await?;
        let (DryRun::Allowed, Some(databases)) = (&by_acl, &identity.databases) else {
            return Ok(by_acl);
        };
        let select = Question { words: &[b"SELECT", b"0"], ..*self };
        let may_select = select.ask(link).await? == DryRun::Allowed;
        let rights = only_in(&rights, databases, limits_databases, may_select);
        if let Some(why) = self.give(link, &rights).await? {
            return Ok(DryRun::Unknown(why));
        }
        Ok(match self.ask(link).await? {
            DryRun::Acl(words) => DryRun::Databases(words),
            other => other,
        })
    }

    /// Gives the user these rights, but nobody can log in as it. Returns Redis's words if it does not take them.
    async fn give(
        &self,
        link: &mut Conversation,
        rights: &Rights,
    ) -> Result<Option<String>, UpstreamError> {
        let words =
            ["ACL", "SETUSER", self.user, "reset", "off"].map(|word| word.as_bytes().to_vec());
        let words: Vec<_> = words.into_iter().chain(rights.without(&[])).collect();
        let answers = link.ask(&Batch::of(&words)).await?;
        Ok(match answers.first() {
            Some(Answer::SimpleString(_)) => None,
            Some(Answer::Error(text)) => Some(self.show(text)),
            _ => Some("ACL SETUSER is not understood".to_owned()),
        })
    }

    async fn ask(&self, link: &mut Conversation) -> Result<DryRun, UpstreamError> {
        let mut batch = Batch::default();
        Tried::ask(self.user, self.words, &mut batch);
        let answers = link.ask(&batch).await?;
        let answer = answers.first().unwrap_or(&Answer::Null);
        Ok(match answer {
            Answer::SimpleString(_) => DryRun::Allowed,
            Answer::BulkString(text) => match Tried::of(answer) {
                Tried::Refused(_) => DryRun::Acl(self.show(&String::from_utf8_lossy(text))),
                _ => DryRun::Unknown(self.show(&String::from_utf8_lossy(text))),
            },
            Answer::Error(text) if has_no_dry_run(text) => DryRun::Unknown(
                "the server has no ACL DRYRUN, which came with Redis 7.0".to_owned(),
            ),
            Answer::Error(text) if text.starts_with("ERR ") && !text.starts_with("ERR User ") => {
                DryRun::Fails(self.show(text))
            }
            Answer::Error(text) => DryRun::Unknown(self.show(text)),
            _ => DryRun::Unknown("ACL DRYRUN is not understood".to_owned()),
        })
    }

    fn show(&self, text: &str) -> String {
        let text = text.replace(self.user, self.shown);
        let text: String = text.chars().flat_map(char::escape_debug).take(LONGEST).collect();
        text.replace("\\'", "'").replace("\\\"", "\"")
    }
}

/// Returns whether the error means that the server does not have `ACL DRYRUN`. The names in the error for a command
/// that the server does not have are in another place.
fn has_no_dry_run(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with("err unknown subcommand") || lower.starts_with("err unknown command")
}
