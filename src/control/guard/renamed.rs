//! Finds out whether the server has a refused command under another name.

use super::{GuardProvisioner, ask};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::policy::Policy;
use redoubt_core::upstream::guard::{
    Answer, Rights, ask_all, ask_names, refused_commands, renamed,
};

/// Stands for the names if the server does not report them.
const ANY: &str = "any command that may have another name";

impl GuardProvisioner {
    /// Returns the refused commands that the configured user may run under another name, as far as
    /// `rights` show it. If the server does not report names, any command may have another name.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn renamed(
        &self,
        link: &mut Conversation,
        policy: &Policy,
        rights: Option<&Rights>,
    ) -> Result<Vec<String>, UpstreamError> {
        let names = refused_commands(policy);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = ask(link, &ask_names(&names), &self.target()).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Answer::Null);
        let (info, mut all) = (next(), next());
        if matches!(all, Answer::Error(_)) {
            let older = ask(link, &ask_all(), &self.target()).await?;
            all = older.into_iter().next().unwrap_or(Answer::Null);
        }
        let Some(renamed) = renamed(&names, &info, &all) else { return Ok(vec![ANY.to_owned()]) };
        let may_run = |name: &&str| rights.is_none_or(|rights| !rights.take_away(name));
        let open = renamed.into_iter().filter(may_run);
        Ok(open.map(|name| format!("{name} (under another name)")).collect())
    }
}
