//! Collects the credentials: the user name and passwords of clients, and the upstream's address and
//! login.

use redoubt_core::auth::DEFAULT_USER;
use secrecy::{ExposeSecret, SecretString};

use super::error::{ConfigError, Problem, Site};
use super::read::Reader;
use super::secrets::{Candidates, Origin, Password, PreviousPassword, UpstreamUrl, wall_clock};
use super::sections::{
    ClientKeys, ClientParts, ClientPasswords, ClientSettings, Identities, IdentitySettings,
    SentinelLogin, SentinelSettings, Servers, UpstreamLogin,
};
use super::warning::Warning;

/// The user name and passwords of clients, and the upstream's address and login.
pub(super) struct Credentials {
    /// `None` if there are other identities, and nothing is given for this one.
    pub(super) client: Option<ClientSettings>,
    pub(super) identities: Vec<IdentitySettings>,
    /// The upstream's address and login.
    pub(super) url: UpstreamUrl,
    /// Where the upstream's password was found; `None` if there is none.
    pub(super) origin: Option<Origin>,
    /// How Sentinels are logged in to, without their TLS.
    pub(super) sentinel: SentinelSettings,
    /// Whether they are connected to in TLS, if that is given.
    pub(super) sentinel_tls: Option<bool>,
    pub(super) warnings: Vec<Warning>,
}

impl Credentials {
    pub(super) fn find(reader: &Reader<'_>, allow_weak: bool) -> Result<Self, ConfigError> {
        let (mut url, password) = login(UpstreamLogin::read(reader)?, allow_weak)?;
        let (sentinel, sentinel_tls) = sentinel(SentinelLogin::read(reader)?, &url)?;
        let keys = ClientKeys::read(reader)?;
        let given = ClientPasswords::read(reader)?;
        let own = Candidates::new(given.password, given.password_file).only(|_| true)?;
        let own = own.map(|own| own.resolve(allow_weak)).transpose()?;
        let previous = PreviousPassword::find(
            Candidates::new(given.previous_password, given.previous_password_file),
            given.previous_until,
            allow_weak,
        )?;

        let identities = Identities::find(reader, allow_weak)?;
        let has_client = identities.all.is_empty()
            || (own.is_some() || previous.is_some() || keys.user.is_some());
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
                Some(own)
            }
            (Some(own), _) => Some(own),
            (None, _) if !has_client => None,
            (None, Some(upstream)) if identities.all.is_empty() => {
                warnings.push(Warning::OnePassword);
                let secret = upstream.secret.clone();
                Some(Password { secret, origin: Origin::Upstream, ..*upstream })
            }
            (None, _) => return Err(Site::Whole.error(Problem::NoPassword)),
        };
        if own.as_ref().is_some_and(|own| own.weak) || identities.is_weak {
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
        let is_upstreams = |identity: &IdentitySettings| {
            password.as_ref().is_some_and(|password| identity.has_password(&password.secret))
        };
        if identities.all.iter().any(is_upstreams) && !warnings.contains(&Warning::OnePassword) {
            warnings.push(Warning::OnePassword);
        }
        let (secret, origin) = password.map(|found| (found.secret, found.origin)).unzip();
        url.password = secret;
        let client = own.map(|own| {
            keys.with(ClientParts { password: own.secret, password_origin: own.origin, previous })
        });
        if let Some(client) = &client {
            let name = client.user.as_deref().unwrap_or(DEFAULT_USER);
            let mut named = identities.all.iter().zip(&identities.sites);
            if let Some((_, site)) = named.find(|(identity, _)| identity.name == name) {
                return Err(site.error(Problem::ClientIsThis));
            }
        }
        let identities = identities.all;
        Ok(Self { client, identities, url, origin, sentinel, sentinel_tls, warnings })
    }
}

/// Returns how Sentinels are logged in to, and whether that is in TLS, if it is given.
fn sentinel(
    given: SentinelLogin,
    url: &UpstreamUrl,
) -> Result<(SentinelSettings, Option<bool>), ConfigError> {
    let SentinelLogin { sentinel_user, sentinel_password, sentinel_password_file, sentinel_tls } =
        given;
    let sites = [
        sentinel_user.file.as_ref().map(|given| &given.0),
        sentinel_password.file.as_ref().map(|given| &given.0),
        sentinel_password_file.file.as_ref().map(|given| &given.0),
        sentinel_tls.file.as_ref().map(|given| &given.0),
    ];
    if let (Servers::Nodes(_), Some(site)) = (&url.servers, sites.into_iter().flatten().next()) {
        return Err(site.error(Problem::NoSentinels));
    }
    let password = Candidates::new(sentinel_password, sentinel_password_file).only(|_| true)?;
    // It is not Redis's, and the Sentinels decide what is enough.
    let password = password.map(|password| password.resolve(true)).transpose()?;
    let (user_site, user) = sentinel_user.winner().unzip();
    if let (Some(site), None) = (user_site, &password) {
        return Err(site.error(Problem::UserWithoutPassword));
    }
    let (password, origin) = password.map(|found| (found.secret, found.origin)).unzip();
    let is_tls = sentinel_tls.winner().map(|(_, is_tls)| is_tls);
    Ok((SentinelSettings { user, password, origin, tls: None }, is_tls))
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
        return Err(site.error(Problem::Twice(url.key.to_string())));
    }
    for (site, found) in url.environment.iter().chain(in_file) {
        if let Some(secret) = &found.password {
            passwords.add(site, url.key.clone(), secret.clone());
        }
    }
    // A URL in the environment replaces all parts of the file's URL, its password included.
    let (overridden, in_url) = (url.environment.is_some(), Origin::Key(url.key.clone()));
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
