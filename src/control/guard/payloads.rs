//! Finds out whether the server checks the payloads of `RESTORE`.

use super::{GuardProvisioner, ask};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::upstream::guard::{Payloads, ask_payloads};

impl GuardProvisioner {
    /// Returns whether the server checks payloads of the configured user, whom `link` is logged in
    /// as. A guard has no more rights than that user.
    ///
    /// # Errors
    /// The connection broke. A server that does not answer the question is no error: it counts as a
    /// server that does not check.
    pub(in crate::control) async fn checks_payloads(
        &self,
        link: &mut Conversation,
    ) -> Result<bool, UpstreamError> {
        let answers = ask(link, &ask_payloads(), &self.target()).await?;
        let payloads = Payloads::of(&answers);
        let rights = match payloads {
            Payloads::CheckedUnlessSkipped => match self.rights(link).await {
                Ok((_, _, rights)) => Some(rights),
                Err(UpstreamError::Guard(_)) => None,
                Err(error) => return Err(error),
            },
            _ => None,
        };
        Ok(payloads.are_checked(rights.as_ref()))
    }
}
