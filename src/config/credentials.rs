//! Who logs in where with what: the client's identity and the upstream's address and login.
//!
//! The environment wins over the file. Two sources of one secret on the same level contradict each
//! other, even when the other level decides.

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::environment::{
    Environment, REDIS_PASSWORD, REDIS_PASSWORD_FILE, REDOUBT_PASSWORD, REDOUBT_PASSWORD_FILE,
    REDOUBT_UPSTREAM,
};
use super::error::{ConfigError, Problem, Site};
use super::key::Key;
use super::password::{Candidate, Password};
use super::previous::{PreviousPassword, wall_clock};
use super::schema::{Client, Given, Upstream};
use super::settings::{ClientSettings, Origin, Warning};
use super::source::Source;
use super::upstream_url::UpstreamUrl;

/// Most characters of a user name.
const MAX_USER: usize = 256;

/// All that has to do with logging in.
pub(super) struct Credentials {
    pub(super) client: ClientSettings,
    pub(super) upstream: UpstreamLogin,
    pub(super) warnings: Vec<Warning>,
}

/// The upstream's address and login, and where its password was found.
pub(super) struct UpstreamLogin {
    pub(super) url: UpstreamUrl,
    pub(super) origin: Option<Origin>,
}

impl Credentials {
    pub(super) fn find(
        source: &Source<'_>,
        environment: &Environment,
        client: Client,
        upstream: Upstream,
        allow_weak: bool,
    ) -> Result<Self, ConfigError> {
        let (mut url, password) = login(source, environment, upstream)?;
        let password = password.map(|password| password.resolve(allow_weak)).transpose()?;
        let Client {
            user: name,
            password: text,
            password_file: file,
            previous_password,
            previous_password_file,
            previous_until,
        } = client;
        let own = Candidate::only(from_environment(
            environment,
            REDOUBT_PASSWORD,
            REDOUBT_PASSWORD_FILE,
        )?)?;
        let keys = ["client.password", "client.password_file"];
        let in_file = Candidate::only(from_file(source, keys, text, file))?;
        let own = own.or(in_file).map(|own| own.resolve(allow_weak)).transpose()?;
        let previous = PreviousPassword::find(
            source,
            environment,
            from_file(source, PreviousPassword::KEYS, previous_password, previous_password_file),
            previous_until,
            allow_weak,
        )?;
        let user = user(source, "client.user", name)?;

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
        Ok(Self {
            client: ClientSettings {
                user,
                password: own.secret,
                password_origin: own.origin,
                previous,
            },
            upstream: UpstreamLogin { url, origin },
            warnings,
        })
    }
}

/// The upstream's address and user, and its password if it was given one.
fn login(
    source: &Source<'_>,
    environment: &Environment,
    file: Upstream,
) -> Result<(UpstreamUrl, Option<Candidate>), ConfigError> {
    let mut outer = from_environment(environment, REDIS_PASSWORD, REDIS_PASSWORD_FILE)?;
    let keys = ["upstream.password", "upstream.password_file"];
    let mut inner = from_file(source, keys, file.password, file.password_file);

    let from_file =
        file.url.map(|url| parse_url(source.site("upstream.url", url.span()), &url.into_inner()));
    let from_file = from_file.transpose()?;
    let url_user = from_file.as_ref().and_then(|(_, url)| url.user.clone());
    let user_site = file.user.as_ref().map(|user| source.site("upstream.user", user.span()));
    let mut key_user = user(source, "upstream.user", file.user)?;
    if let (Some(_), Some(site)) = (&url_user, &user_site) {
        return Err(site.error(Problem::Twice("upstream.url".to_owned())));
    }
    if let Some((site, url)) = &from_file {
        let found = url.password.clone();
        inner.extend(
            found.map(|text| Candidate::text(site.clone(), Origin::Key("upstream.url"), text)),
        );
    }
    let from_environment = environment.value(REDOUBT_UPSTREAM)?;
    let from_environment = from_environment
        .map(|url| parse_url(Site::Variable(REDOUBT_UPSTREAM), &url))
        .transpose()?;
    if let Some((site, url)) = &from_environment {
        let found = url.password.clone();
        outer.extend(
            found.map(|text| {
                Candidate::text(site.clone(), Origin::Variable(REDOUBT_UPSTREAM), text)
            }),
        );
    }

    let overridden = from_environment.is_some();
    let inner = Candidate::only(inner)?;
    // A URL in the environment replaces the file's with all that is in it.
    let inner = inner.filter(|found| !(overridden && found.origin == Origin::Key("upstream.url")));
    let password = Candidate::only(outer)?.or(inner);
    let chosen = from_environment.or(from_file);
    let (site, mut url) = chosen.ok_or_else(|| Site::Whole.error(Problem::NoUpstream))?;
    let user_site = if url.user.is_some() { site } else { user_site.unwrap_or(site) };
    url.user = url.user.take().or_else(|| key_user.take());
    if url.user.is_some() && password.is_none() {
        return Err(user_site.error(Problem::UserWithoutPassword));
    }
    Ok((url, password))
}

fn parse_url(site: Site, text: &SecretString) -> Result<(Site, UpstreamUrl), ConfigError> {
    match UpstreamUrl::parse(text.expose_secret()) {
        Ok(url) => Ok((site, url)),
        Err(problem) => Err(site.error(problem)),
    }
}

pub(super) fn from_environment(
    environment: &Environment,
    text: &'static str,
    file: &'static str,
) -> Result<Vec<Candidate>, ConfigError> {
    let path = environment.path(file)?.map(|path| {
        let origin = Origin::VariableFile(file, path.clone());
        Candidate::file(Site::Variable(file), origin, path)
    });
    let text = environment
        .value(text)?
        .map(|secret| Candidate::text(Site::Variable(text), Origin::Variable(text), secret));
    Ok(text.into_iter().chain(path).collect())
}

fn from_file(
    source: &Source<'_>,
    [text, file]: [&'static str; 2],
    secret: Given<SecretString>,
    path: Given<std::path::PathBuf>,
) -> Vec<Candidate> {
    let path = path.map(|path| {
        let site = source.site(file, path.span());
        let path = path.into_inner();
        Candidate::file(site, Origin::KeyFile(file, path.clone()), path)
    });
    let secret = secret.map(|secret| {
        let site = source.site(text, secret.span());
        Candidate::text(site, Origin::Key(text), secret.into_inner())
    });
    secret.into_iter().chain(path).collect()
}

/// A user name, which as in Redis's ACL holds no spaces.
fn user(
    source: &Source<'_>,
    key: &'static str,
    given: Given<String>,
) -> Result<Option<String>, ConfigError> {
    let fits = |name: &str| {
        (1..=MAX_USER).contains(&name.chars().count())
            && !name.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    match (given, Key::find(key)) {
        (Some(given), Some(key)) if !fits(given.get_ref()) => {
            Err(source.site(key.path, given.span()).expected(key))
        }
        (given, _) => Ok(given.map(Spanned::into_inner)),
    }
}
