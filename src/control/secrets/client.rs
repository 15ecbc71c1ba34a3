//! Watches the passwords of clients as files and time change them.

use std::sync::Arc;
use std::time::SystemTime;

use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::file::PasswordFile;
use super::{changed, check_timer};
use crate::config::{
    ClientSettings, IdentitySettings, Origin, PreviousPassword, Settings, of_identity, wall_clock,
};
use crate::control::identities::KnownIdentity;
use crate::control::in_force::Composer;
use redoubt_core::auth::{
    AclPasswords, CertificateName, DEFAULT_USER, Identities, Identity, IdentityId,
};
use redoubt_core::upstream::Credentials;

/// The passwords that are accepted from clients.
pub(crate) struct ClientPasswords {
    all: Vec<(IdentityId, Passwords)>,
}

/// The passwords of one identity.
struct Passwords {
    user: String,
    /// The table of the configuration that gives them.
    table: String,
    password: Option<SecretString>,
    file: Option<PasswordFile>,
    previous: Option<Previous>,
    /// Passwords that an ACL file gives.
    fixed: AclPasswords,
    /// The name in a certificate that takes the place of a password.
    certificate: Option<CertificateName>,
    /// False if nobody may log in.
    is_on: bool,
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
        settings: &Settings,
        identities: &[KnownIdentity],
        upstream: watch::Receiver<Credentials>,
    ) -> Self {
        let allow_weak = settings.allow_weak_passwords;
        let client = settings.client.as_ref();
        let client = client
            .map(|client| (IdentityId::FIRST, Passwords::of_client(client, allow_weak, upstream)));
        let others = identities
            .iter()
            .map(|identity| (identity.id, Passwords::of_identity(&identity.settings, allow_weak)));
        let mut passwords = Self { all: client.into_iter().chain(others).collect() };
        passwords.expire(wall_clock());
        passwords
    }

    /// Returns who clients may log in as now, with the passwords.
    pub(crate) fn identities(&self) -> Identities {
        let accepted = self.all.iter().filter(|(_, passwords)| passwords.is_on);
        Identities::new(accepted.map(|(id, passwords)| (*id, passwords.identity())))
    }

    /// Gives each change to `composer` until `end`. If this function ends for another reason, it
    /// stops the whole proxy by `stop`, since nothing else would withdraw a password.
    pub(crate) async fn run(
        mut self,
        composer: Arc<Composer>,
        end: CancellationToken,
        stop: CancellationToken,
    ) {
        if !self.all.iter().any(|(_, passwords)| passwords.may_change()) {
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
                composer.accept_clients(self.identities()).await;
            }
            if self.look().await {
                composer.accept_clients(self.identities()).await;
            }
        }
    }

    /// Forgets the previous passwords whose time is over. They stay forgotten if the clock is set
    /// back afterwards. Returns whether there were such.
    fn expire(&mut self, now: SystemTime) -> bool {
        let over = self.all.iter_mut().map(|(_, passwords)| passwords.expire(now));
        over.fold(false, |any, over| any | over)
    }

    /// Reads the files. Returns whether a password has changed.
    async fn look(&mut self) -> bool {
        let mut is_new = false;
        for (_, passwords) in &mut self.all {
            is_new |= passwords.look().await;
        }
        is_new
    }
}

impl Passwords {
    fn of_client(
        settings: &ClientSettings,
        allow_weak: bool,
        upstream: watch::Receiver<Credentials>,
    ) -> Self {
        let shared = settings.password_origin == Origin::Upstream;
        // The upstream's password may have changed since the settings were read.
        let upstreams = upstream.borrow().password.clone().filter(|_| shared);
        Self {
            user: settings.user.clone().unwrap_or_else(|| DEFAULT_USER.to_owned()),
            table: "client".to_owned(),
            password: Some(upstreams.unwrap_or_else(|| settings.password.clone())),
            file: PasswordFile::watch(&settings.password_origin, &settings.password, allow_weak),
            previous: settings.previous.as_ref().map(|given| Previous::new(given, allow_weak)),
            fixed: AclPasswords::default(),
            certificate: None,
            is_on: true,
            upstream: Some(upstream).filter(|_| shared),
        }
    }

    fn of_identity(settings: &IdentitySettings, allow_weak: bool) -> Self {
        let given = settings.password.as_ref();
        Self {
            user: settings.name.clone(),
            table: of_identity(&settings.name),
            password: given.map(|(password, _)| password.clone()),
            file: given
                .and_then(|(password, origin)| PasswordFile::watch(origin, password, allow_weak)),
            previous: settings.previous.as_ref().map(|given| Previous::new(given, allow_weak)),
            fixed: settings.passwords.clone(),
            certificate: settings.certificate_name(),
            is_on: settings.is_on,
            upstream: None,
        }
    }

    fn identity(&self) -> Identity {
        let previous = self.previous.iter().map(|previous| &previous.given.password);
        let given = self.password.iter().chain(previous);
        let identity = given.fold(Identity::without_password(&self.user), Identity::or);
        let identity = self.fixed.digests.iter().copied().fold(identity, Identity::or_digest);
        match &self.certificate {
            Some(name) => identity.certified_by(name.clone()),
            None => identity,
        }
    }

    fn may_change(&self) -> bool {
        self.file.is_some() || self.previous.is_some() || self.upstream.is_some()
    }

    fn expire(&mut self, now: SystemTime) -> bool {
        let over = self.previous.as_ref().is_some_and(|previous| previous.given.is_over(now));
        if over {
            self.previous = None;
            info!(user = self.user, "previous client password is over; its sessions are closed");
            changed(&format!("{}.previous_until", self.table));
        }
        over
    }

    async fn look(&mut self) -> bool {
        let mut is_new = false;
        if let Some(file) = &mut self.file
            && let Some(password) = file.look().await
        {
            info!(source = %file.origin(), "client password changed");
            changed(file.origin().key());
            self.password = Some(password);
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
            self.password = Some(password);
            is_new = true;
        }
        is_new
    }
}

impl Previous {
    fn new(given: &PreviousPassword, allow_weak: bool) -> Self {
        let file = PasswordFile::watch(&given.origin, &given.password, allow_weak);
        Self { given: given.clone(), file }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn accepts(passwords: &Passwords, password: &[u8]) -> bool {
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
        let mut passwords = Passwords::of_client(&settings, true, sender.subscribe());
        assert!(!passwords.look().await && accepts(&passwords, b"first"));
        sender.send_replace(credentials("second"));
        assert!(passwords.look().await);
        assert!(!accepts(&passwords, b"first") && accepts(&passwords, b"second"));
        assert!(!passwords.look().await);
    }

    #[test]
    fn previous_password_ends_for_good() {
        let until = UNIX_EPOCH + Duration::from_secs(100);
        let origin = Origin::Variable("REDOUBT_PREVIOUS_PASSWORD".into());
        let given = PreviousPassword { password: "old".into(), origin, until };
        let mut passwords = Passwords {
            user: DEFAULT_USER.to_owned(),
            table: "client".to_owned(),
            password: Some("new".into()),
            file: None,
            previous: Some(Previous { given, file: None }),
            fixed: AclPasswords::default(),
            certificate: None,
            is_on: true,
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
