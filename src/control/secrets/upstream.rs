//! The password that links log in with, as its file changes.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::file::PasswordFile;
use super::{LOOK, changed, looks};
use crate::control::in_force::Composer;
use crate::net::upstream::UpstreamError;
use redoubt_core::upstream::{Credentials, LoginError};

/// The upstream's password in a file, and all that log in with it.
pub(crate) struct UpstreamPassword {
    file: PasswordFile,
    composer: Arc<Composer>,
}

/// A password that is new in the file and that Redis has not taken yet.
struct Offered {
    credentials: Credentials,
    next_try: Instant,
    wait: Duration,
    /// What was logged of it last.
    refused: Option<LoginError>,
}

impl UpstreamPassword {
    /// Longest wait between tries of a password that Redis does not take.
    const LONGEST_WAIT: Duration = Duration::from_secs(1);

    /// Those in the file that the settings of now name; `None` if they are in no file that can be watched.
    pub(crate) fn new(composer: &Arc<Composer>) -> Option<Self> {
        let settings = composer.settings();
        let password = composer.credentials().borrow().password.clone()?;
        let origin = settings.upstream.password_origin.as_ref()?;
        let file = PasswordFile::watch(origin, &password, settings.allow_weak_passwords)?;
        Some(Self { file, composer: Arc::clone(composer) })
    }

    /// Puts each new password in force once Redis takes it, until `shutdown`. However the file and
    /// Redis are changed one after the other, links that are open stay open, and until both agree
    /// new ones log in as before.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&mut self) {
        let mut looks = looks();
        let mut offered: Option<Offered> = None;
        loop {
            looks.tick().await;
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

    /// `None` when the file holds again what is in force.
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

    /// Tries to log in with what is offered, and says why that fails.
    async fn is_taken(&self, offer: &mut Offered) -> bool {
        let target = self.composer.target().borrow().clone();
        let tried = timeout(target.timeout, target.log_in(&offer.credentials)).await;
        match tried.unwrap_or_else(|_| Err(target.timed_out())) {
            Ok(_) => return true,
            Err(UpstreamError::Login(reason)) if offer.refused.as_ref() != Some(&reason) => {
                warn!(
                    source = %self.file.origin(), %reason,
                    "upstream does not take the new password yet; links log in as before"
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
