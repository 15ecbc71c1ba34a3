//! Collects the credentials: the user name and passwords of clients, and the upstream's address and
//! login.

use secrecy::{ExposeSecret, SecretString};

use super::error::{ConfigError, Problem, Site};
use super::read::Reader;
use super::secrets::{Candidates, Origin, Password, PreviousPassword, UpstreamUrl, wall_clock};
use super::sections::{ClientKeys, ClientParts, ClientPasswords, ClientSettings, UpstreamLogin};
use super::warning::Warning;

/// The user name and passwords of clients, and the upstream's address and login.
pub(super) struct Credentials {
    pub(super) client: ClientSettings,
    /// The upstream's address and login.
    pub(super) url: UpstreamUrl,
    /// Where the upstream's password was found; `None` if there is none.
    pub(super) origin: Option<Origin>,
    pub(super) warnings: Vec<Warning>,
}

impl Credentials {
    pub(super) fn find(reader: &Reader<'_>, allow_weak: bool) -> Result<Self, ConfigError> {
        let (mut url, password) = login(UpstreamLogin::read(reader)?, allow_weak)?;
        let keys = ClientKeys::read(reader)?;
        let given = ClientPasswords::read(reader)?;
        let own = Candidates::new(given.password, given.password_file).only(|_| true)?;
        let own = own.map(|own| own.resolve(allow_weak)).transpose()?;
        let previous = PreviousPassword::find(
            Candidates::new(given.previous_password, given.previous_password_file),
            given.previous_until,
            allow_weak,
        )?;

        let mut warnings = Vec::new();
        match &password {
            None => warnings.push(Warning::NoUpstreamPassword),
            Some(password) if password.weak => warnings.push(Warning::WeakUpstreamPassword),
            Some(_) => {}
        }
        let own = match (own, &password) {
            (Some(own), Some(upstream))
                if own.secret.expose_secret() == upstream.secret.expose_secret() =>
            {
                warnings.push(Warning::OnePassword);
                own
            }
            (Some(own), _) => own,
            (None, Some(upstream)) => {
                warnings.push(Warning::OnePassword);
                Password { secret: upstream.secret.clone(), origin: Origin::Upstream, ..*upstream }
            }
            (None, None) => return Err(Site::Whole.error(Problem::NoPassword)),
        };
        if own.weak {
            warnings.push(Warning::WeakClientPassword);
        }
        let upstreams = |secret: &SecretString| {
            let found = password.as_ref().map(|password| password.secret.expose_secret());
            found == Some(secret.expose_secret())
        };
        let previous = previous.map(|(previous, weak)| {
            if weak {
                warnings.push(Warning::WeakPreviousPassword);
            }
            if previous.is_over(wall_clock()) {
                warnings.push(Warning::PreviousPasswordOver);
            } else if upstreams(&previous.password) && !warnings.contains(&Warning::OnePassword) {
                warnings.push(Warning::OnePassword);
            }
            previous
        });
        let (secret, origin) = password.map(|found| (found.secret, found.origin)).unzip();
        url.password = secret;
        let parts = ClientParts { password: own.secret, password_origin: own.origin, previous };
        Ok(Self { client: keys.with(parts), url, origin, warnings })
    }
}

/// Returns the upstream's address and user, and its password if one was given.
fn login(
    given: UpstreamLogin,
    allow_weak: bool,
) -> Result<(UpstreamUrl, Option<Password>), ConfigError> {
    let UpstreamLogin { url, user, password, password_file } = given;
    let mut passwords = Candidates::new(password, password_file);
    let in_file = url.file.as_ref();
    if let (Some((site, _)), true) =
        (&user.file, in_file.is_some_and(|(_, url)| url.user.is_some()))
    {
        return Err(site.error(Problem::Twice(url.key.to_owned())));
    }
    for (site, found) in url.environment.iter().chain(in_file) {
        if let Some(secret) = &found.password {
            passwords.add(site, url.key, secret.clone());
        }
    }
    // A URL in the environment replaces all parts of the file's URL, its password included.
    let (overridden, in_url) = (url.environment.is_some(), Origin::Key(url.key));
    let password = passwords.only(|origin| !(overridden && *origin == in_url))?;
    let (site, mut url) = url.winner().ok_or_else(|| Site::Whole.error(Problem::NoUpstream))?;
    let (user_site, user) = user.winner().unzip();
    let user_site = if url.user.is_some() { site } else { user_site.unwrap_or(site) };
    url.user = url.user.take().or(user);
    if url.user.is_some() && password.is_none() {
        return Err(user_site.error(Problem::UserWithoutPassword));
    }
    Ok((url, password.map(|password| password.resolve(allow_weak)).transpose()?))
}
