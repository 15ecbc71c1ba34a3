//! Asks the server which commands it has.

use super::ask;
use crate::net::conversation::Conversation;
use crate::net::upstream::{Target, UpstreamError};
use redoubt_core::command::ServerCommands;
use redoubt_core::upstream::guard::{Answer, Batch};

/// Returns the commands of the server behind `link`; `None` if it does not list them for this user.
///
/// # Errors
/// The connection broke.
pub(in crate::control) async fn commands(
    link: &mut Conversation,
    target: &Target,
) -> Result<Option<ServerCommands>, UpstreamError> {
    let list = ask(link, &Batch::of(&["COMMAND"]), target).await?;
    let list = list.into_iter().next().unwrap_or(Answer::Null);
    let Some(commands) = ServerCommands::of(&list) else { return Ok(None) };
    let words: Vec<_> = ["COMMAND", "INFO"].into_iter().chain(commands.commands()).collect();
    let info = ask(link, &Batch::of(&words), target).await?;
    let info = info.into_iter().next().unwrap_or(Answer::Null);
    Ok(Some(commands.take_info(&info)))
}
