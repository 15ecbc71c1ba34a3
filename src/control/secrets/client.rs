//! Watches the passwords of clients as files and time change them.

use std::sync::Arc;
use std::time::SystemTime;

use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::file::PasswordFile;
use super::{changed, check_timer};
use crate::config::{ClientSettings, Origin, PreviousPassword, wall_clock};
use crate::control::in_force::Composer;
use redoubt_core::auth::Identity;
use redoubt_core::upstream::Credentials;

/// The passwords that are accepted from clients.
pub(crate) struct ClientPasswords {
    user: Option<String>,
    password: SecretString,
    file: Option<PasswordFile>,
    previous: Option<Previous>,
    /// The upstream's credentials; present if clients have no password of their own.
    upstream: Option<watch::Receiver<Credentials>>,
}

struct Previous {
    given: PreviousPassword,
    file: Option<PasswordFile>,
}

impl ClientPasswords {
    /// Takes the passwords of `settings`. A previous password whose time is over is ignored.
    pub(crate) fn new(
        settings: &ClientSettings,
        allow_weak: bool,
        upstream: watch::Receiver<Credentials>,
    ) -> Self {
        let watched = |origin, password| PasswordFile::watch(origin, password, allow_weak);
        let previous = settings.previous.as_ref().map(|given| {
            let file = watched(&given.origin, &given.password);
            Previous { given: given.clone(), file }
        });
        let shared = settings.password_origin == Origin::Upstream;
        // The upstream's password may have changed since the settings were read.
        let upstreams = upstream.borrow().password.clone().filter(|_| shared);
        let mut passwords = Self {
            user: settings.user.clone(),
            password: upstreams.unwrap_or_else(|| settings.password.clone()),
            file: watched(&settings.password_origin, &settings.password),
            previous,
            upstream: Some(upstream).filter(|_| shared),
        };
        passwords.expire(wall_clock());
        passwords
    }

    /// Returns the passwords that clients may log in with now.
    pub(crate) fn identity(&self) -> Identity {
        let identity = Identity::new(self.user.as_deref(), &self.password);
        match &self.previous {
            Some(previous) => identity.or(&previous.given.password),
            None => identity,
        }
    }

    /// Gives each change to `composer` until `end`. If this function ends for another reason, it
    /// stops the whole proxy by `stop`, since nothing else would withdraw a password.
    pub(crate) async fn run(
        mut self,
        composer: Arc<Composer>,
        end: CancellationToken,
        stop: CancellationToken,
    ) {
        if self.file.is_none() && self.previous.is_none() && self.upstream.is_none() {
            return;
        }
        let stop_all = stop.drop_guard();
        let mut checks = check_timer();
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => {
                    stop_all.disarm();
                    return;
                }
                _ = checks.tick() => {}
            }
            // The time is checked first: a slow file must not delay it.
            if self.expire(wall_clock()) {
                info!("previous client password is over; its sessions are closed");
                changed("client.previous_until");
                composer.accept_clients(self.identity()).await;
            }
            if self.look().await {
                composer.accept_clients(self.identity()).await;
            }
        }
    }

    /// Forgets the previous password when its time is over. It stays forgotten if the clock is set
    /// back afterwards.
    fn expire(&mut self, now: SystemTime) -> bool {
        let over = self.previous.as_ref().is_some_and(|previous| previous.given.is_over(now));
        if over {
            self.previous = None;
        }
        over
    }

    /// Reads the files. Returns whether a password has changed.
    async fn look(&mut self) -> bool {
        let mut is_new = false;
        if let Some(file) = &mut self.file
            && let Some(password) = file.look().await
        {
            info!(source = %file.origin(), "client password changed");
            changed(file.origin().key());
            self.password = password;
            is_new = true;
        }
        if let Some(Previous { given, file: Some(file) }) = &mut self.previous
            && let Some(password) = file.look().await
        {
            info!(source = %file.origin(), "previous client password changed");
            changed(file.origin().key());
            given.password = password;
            is_new = true;
        }
        if let Some(upstream) = &mut self.upstream
            && upstream.has_changed().unwrap_or(false)
            && let Some(password) = upstream.borrow_and_update().password.clone()
        {
            info!(source = %Origin::Upstream, "client password changed");
            self.password = password;
            is_new = true;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn accepts(passwords: &ClientPasswords, password: &[u8]) -> bool {
        passwords.identity().check(b"default", password).is_some()
    }

    #[tokio::test]
    async fn clients_without_own_password_follow_the_upstream_password() {
        let credentials =
            |password: &str| Credentials { user: None, password: Some(password.to_owned().into()) };
        let sender = watch::Sender::new(credentials("first"));
        let settings = ClientSettings {
            user: None,
            password: "first".into(),
            password_origin: Origin::Upstream,
            previous: None,
        };
        let mut passwords = ClientPasswords::new(&settings, true, sender.subscribe());
        assert!(!passwords.look().await && accepts(&passwords, b"first"));
        sender.send_replace(credentials("second"));
        assert!(passwords.look().await);
        assert!(!accepts(&passwords, b"first") && accepts(&passwords, b"second"));
        assert!(!passwords.look().await);
    }

    #[test]
    fn previous_password_ends_for_good() {
        let until = UNIX_EPOCH + Duration::from_secs(100);
        let origin = Origin::Variable("REDOUBT_PREVIOUS_PASSWORD");
        let given = PreviousPassword { password: "old".into(), origin, until };
        let mut passwords = ClientPasswords {
            user: None,
            password: "new".into(),
            file: None,
            previous: Some(Previous { given, file: None }),
            upstream: None,
        };
        let just_before = until - Duration::from_millis(1);
        assert!(!passwords.expire(just_before));
        assert!(accepts(&passwords, b"old") && accepts(&passwords, b"new"));
        assert!(passwords.expire(until));
        assert!(!passwords.expire(until) && !passwords.expire(just_before));
        assert!(!accepts(&passwords, b"old") && accepts(&passwords, b"new"));
    }
}
