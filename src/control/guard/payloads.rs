//! Finding out whether the server checks what `RESTORE` brings.

use super::{GuardProvisioner, ask};
use crate::net::conversation::Conversation;
use crate::net::upstream::UpstreamError;
use redoubt_core::upstream::guard::{Payloads, ask_payloads};

impl GuardProvisioner {
    /// Returns whether the server checks payloads of the user that `link` is logged in as, the configured
    /// one. A guard has no more rights than that user.
    ///
    /// # Errors
    /// The connection broke. That the server does not say is no error: it then counts as one that
    /// does not check.
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
