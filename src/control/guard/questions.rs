//! Asks the server for what decides on the guard: rights, commands, and whether it checks payloads.

use crate::net::conversation::Conversation;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::command::ServerCommands;
use redoubt_core::session::ClientFields;
use redoubt_core::upstream::guard::{Answer, Batch, Payloads, Rights, ask_payloads};

/// Returns the list of users, and the rights of the user that is logged in.
pub(super) async fn rights(link: &mut Conversation) -> Result<(Answer, Rights), UpstreamError> {
    let mut batch = Batch::of(&["ACL", "WHOAMI"]);
    batch.add(&["ACL", "LIST"]);
    let mut answers = link.ask(&batch).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Answer::Null);
    let (user, list) = (Rights::user(&next())?, next());
    let rights = Rights::find(&list, &user)?;
    Ok((list, rights))
}

/// Returns the rights of the user called `name`.
pub(super) async fn rights_of(
    link: &mut Conversation,
    name: &[u8],
) -> Result<Rights, UpstreamError> {
    let answers = link.ask(&Batch::of(&["ACL", "LIST"])).await?;
    Ok(Rights::find(answers.first().unwrap_or(&Answer::Null), name)?)
}

/// Returns whether the server checks payloads of the configured user, whom `link` is logged in
/// as. A guard has no more rights than that user.
///
/// # Errors
/// The connection broke. A server that does not answer the question is no error: it counts as a
/// server that does not check.
pub(in crate::control) async fn checks_payloads(
    link: &mut Conversation,
) -> Result<bool, UpstreamError> {
    let answers = link.ask(&ask_payloads()).await?;
    let payloads = Payloads::of(&answers);
    let rights = match payloads {
        Payloads::CheckedUnlessSkipped => match rights(link).await {
            Ok((_, rights)) => Some(rights),
            Err(UpstreamError::Guard(_)) => None,
            Err(error) => return Err(error),
        },
        _ => None,
    };
    Ok(payloads.are_checked(rights.as_ref()))
}

/// Returns the fields of the lines in which the server describes its connections; those of Redis 7.0 if it does
/// not show this user's.
///
/// # Errors
/// The connection broke.
pub(in crate::control) async fn client_fields(
    link: &mut Conversation,
) -> Result<ClientFields, UpstreamError> {
    let answers = link.ask(&Batch::of(&["CLIENT", "INFO"])).await?;
    let fields = match answers.first() {
        Some(Answer::BulkString(line)) => ClientFields::of_line(line),
        _ => None,
    };
    Ok(fields.unwrap_or_default())
}

/// Returns the commands of the server behind `link`; `None` if it does not list them for this user.
///
/// # Errors
/// The connection broke.
pub(in crate::control) async fn commands(
    link: &mut Conversation,
) -> Result<Option<ServerCommands>, UpstreamError> {
    let list = link.ask(&Batch::of(&["COMMAND"])).await?;
    let list = list.into_iter().next().unwrap_or(Answer::Null);
    let Some(commands) = ServerCommands::of(&list) else { return Ok(None) };
    let words: Vec<_> = ["COMMAND", "INFO"].into_iter().chain(commands.commands()).collect();
    let info = link.ask(&Batch::of(&words)).await?;
    let info = info.into_iter().next().unwrap_or(Answer::Null);
    Ok(Some(commands.take_info(&info)))
}
