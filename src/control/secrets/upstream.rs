//! Watches the password that links log in with.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::file::PasswordFile;
use super::{LOOK, changed, check_timer};
use crate::control::in_force::Composer;
use crate::net::upstream_error::UpstreamError;
use redoubt_core::upstream::{Credentials, LoginError};

/// The upstream's password in a file, with access to what logs in with it.
pub(crate) struct UpstreamPassword {
    file: PasswordFile,
    composer: Arc<Composer>,
}

/// A new password in the file that Redis has not accepted yet.
struct Offered {
    credentials: Credentials,
    next_try: Instant,
    wait: Duration,
    /// The last error that was logged for it.
    refused: Option<LoginError>,
}

impl UpstreamPassword {
    /// Longest wait between two attempts to log in with a password that Redis rejects.
    const LONGEST_WAIT: Duration = Duration::from_secs(1);

    /// Watches the file of the current settings; `None` if the password is in no file that can be
    /// watched.
    pub(crate) fn new(composer: &Arc<Composer>) -> Option<Self> {
        let settings = composer.settings();
        let password = composer.credentials().borrow().password.clone()?;
        let origin = settings.upstream.password_origin.as_ref()?;
        let file = PasswordFile::watch(origin, &password, settings.allow_weak_passwords)?;
        Some(Self { file, composer: Arc::clone(composer) })
    }

    /// Puts each new password in force once Redis accepts it, until `shutdown`. Whichever of the
    /// file and Redis is changed first, open links stay open, and until both agree new links log in
    /// as before.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&mut self) {
        let mut checks = check_timer();
        let mut offered: Option<Offered> = None;
        loop {
            checks.tick().await;
            if let Some(password) = self.file.look().await {
                offered = self.offer(password);
            }
            if let Some(offer) = &mut offered
                && Instant::now() >= offer.next_try
                && self.is_taken(offer).await
            {
                self.put_in_force(&offer.credentials);
                offered = None;
            }
        }
    }

    /// Returns `None` if the file holds the password in force again.
    fn offer(&self, password: SecretString) -> Option<Offered> {
        let current = self.composer.credentials().borrow().clone();
        let known = current.password.as_ref().map(ExposeSecret::expose_secret);
        (known != Some(password.expose_secret())).then(|| Offered {
            credentials: Credentials { user: current.user.clone(), password: Some(password) },
            next_try: Instant::now(),
            wait: LOOK,
            refused: None,
        })
    }

    /// Tries to log in with the new password, and logs why that fails.
    async fn is_taken(&self, offer: &mut Offered) -> bool {
        let target = self.composer.target().borrow().clone();
        let tried = timeout(target.timeout, target.log_in(&offer.credentials)).await;
        match tried.unwrap_or_else(|_| Err(target.timed_out())) {
            Ok(_) => return true,
            Err(UpstreamError::Login(reason)) if offer.refused.as_ref() != Some(&reason) => {
                warn!(
                    source = %self.file.origin(), %reason,
                    "upstream does not accept the new password yet; links log in as before"
                );
                offer.refused = Some(reason);
            }
            Err(error) => debug!(reason = %error.chain(), "cannot try the new upstream password"),
        }
        offer.next_try = Instant::now() + offer.wait;
        offer.wait = (offer.wait * 2).min(Self::LONGEST_WAIT);
        false
    }

    fn put_in_force(&self, credentials: &Credentials) {
        self.composer.log_in_with(credentials.clone());
        info!(source = %self.file.origin(), "upstream password changed");
        changed(self.file.origin().key());
    }
}
