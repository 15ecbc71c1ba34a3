//! `[identities.NAME]`: further identities that clients log in as, each with rights of its own.

use std::fs;
use std::io::Read as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use redoubt_core::auth::{
    AclFileProblem, AclPasswords, AclRules, AclUser, CertificateName, acl_user,
};
use redoubt_core::session::{Rate, SharedLimits};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::super::declare::{
    Access, Form, Node, Wrong, bytes, choice, file, given, quoted, quoted_list, settings, whole,
};
use super::super::error::{ConfigError, PasswordProblem, Problem, Site};
use super::super::read::{Reader, of_identity};
use super::super::secrets::{
    Candidates, Origin, Password, PreviousPassword, STRONG_PASSWORD, Secret, is_in_file, is_in_text,
};
use super::client::{masked, utc};
use super::tls::path;
use super::values::{password, password_file, user};

/// Most bytes of an ACL file.
const MAX_ACL_FILE: usize = 4 << 20;
/// Most identities.
const MOST: usize = 1000;
/// Most databases in a list.
const MOST_DATABASES: usize = 1024;

given! {
    /// What is given of the passwords and rights of an identity.
    struct IdentityGiven of IdentitySettings in "identities.NAME" {
        /// The password of this identity, under the rules of client.password. In the name of the variable, the
        /// identity's name is in upper case, with _ for -. Give only one of `password` and `password_file`.
        password: SecretString = password()
            .optional(r#""…""#)
            .variable("REDOUBT_PASSWORD_<NAME>")
            .live(),
            Access::compared(|old, new| is_in_text(current(old), current(new)))
                .shown(|of| Some(masked("password", &of.password.as_ref()?.1)));

        /// A file that holds the password. A changed file is read within a second, and sessions of the old
        /// password are closed.
        password_file: PathBuf =
            password_file().optional(r#""/run/secrets/worker_password""#).live(),
            Access::compared(|old, new| is_in_file(current(old), current(new)));

        /// A second password that is accepted until `previous_until`.
        previous_password: SecretString = password().optional(r#""…""#).live(),
            Access::compared(|old, new| is_in_text(previous(old), previous(new)))
                .shown(|of| Some(masked("previous_password", &of.previous.as_ref()?.origin)));

        /// A file that holds the second password. Give only one of `previous_password` and
        /// `previous_password_file`.
        previous_password_file: PathBuf =
            password_file().optional(r#""/run/secrets/worker_previous_password""#).live(),
            Access::compared(|old, new| is_in_file(previous(old), previous(new)));

        /// The time in UTC at which the second password ends; its sessions are then closed. Needed with a
        /// second password.
        previous_until: SystemTime = utc().optional(r#""2030-01-31T12:00:00Z""#).live(),
            Access::of(|of: &IdentitySettings| of.previous.as_ref().map(|given| given.until)).shown(|of| {
                let until = humantime::format_rfc3339(of.previous.as_ref()?.until).to_string();
                Some(format!("previous_until = {}", quoted(&until)))
            });

        /// What the identity may do, in the rules of Redis's ACL, selectors included: commands, keys and
        /// channels. They are applied in their order to a user that may do nothing. Redis enforces them, in
        /// scripts and transactions too. What policy.blocked and policy.escapes refuse stays refused. Give
        /// either `acl` or `acl_file`.
        acl: AclRules = acl().optional(r#"["~jobs:*", "&jobs", "+@read", "+@write", "-keys"]"#).live(),
            Access::of(|of: &IdentitySettings| of.acl.clone()).shown(|of| {
                let rules = || quoted_list(of.acl.iter().map(str::to_owned));
                of.acl_file.is_none().then(|| format!("acl = {}", rules()))
            });

        /// A file as Redis's aclfile, with lines "user NAME …". The line of the user called like this identity
        /// gives its rights, its passwords (>password or #digest) and whether it is switched off. The
        /// file is read at the start and at a reload.
        acl_file: PathBuf = file().optional(r#""/etc/redis/users.acl""#).live(),
            Access::of(|of: &IdentitySettings| (of.acl_file.clone(), of.passwords.clone(), of.is_on))
                .shown(|of| Some(format!("acl_file = {}", path(of.acl_file.as_ref()?))));

        /// An ACL user of Redis that connections of this identity log in as where Redoubt can make no guard
        /// for it. Its rights must be made in Redis. Without one, sessions of the identity are refused then.
        upstream_user: String = user().optional(r#""worker""#).live(),
            Access::of(|of: &IdentitySettings| of.upstream.as_ref().map(|of| of.user.clone()))
                .shown(|of| Some(format!("upstream_user = {}", quoted(&of.upstream.as_ref()?.user))));

        /// The password of `upstream_user`. Give only one of `upstream_password` and
        /// `upstream_password_file`.
        upstream_password: SecretString = password().optional(r#""…""#).live(),
            Access::compared(|old, new| is_in_text(upstream(old), upstream(new)))
                .shown(|of| Some(masked("upstream_password", &of.upstream.as_ref()?.origin)));

        /// A file that holds the password of `upstream_user`. It is read at the start and at a reload.
        upstream_password_file: PathBuf =
            password_file().optional(r#""/run/secrets/worker_redis_password""#).live(),
            Access::compared(|old, new| is_in_file(upstream(old), upstream(new)));
    }
}

settings! {
    /// An identity that clients log in as, with rights of its own.
    #[derive(Debug, Clone)]
    pub struct IdentitySettings in "identities.NAME" {
        /// A name in the certificates of clients that are this identity: a URI (which has a colon) or a DNS name
        /// among the subject alternative names. URIs are compared byte by byte, DNS names without regard to
        /// case, and wildcards match nothing. A client on a tls:// listener with such a certificate is this
        /// identity from the handshake until it disconnects, also after RESET. It needs no AUTH; AUTH as
        /// this identity with its password, if it has one, is accepted, and AUTH as another is refused and
        /// counts as a wrong password. A certificate with names of several identities is none of them: its
        /// client needs a password. When this key changes, sessions that came in by it are closed. It needs
        /// `tls.client_ca`.
        certificate: Option<String> =
            certificate().optional(r#""spiffe://example.org/worker""#).live();

        /// The databases that the identity may use; without this key, all. Where the server has no such
        /// rights of its own (Valkey has from 9.1 on), MOVE, SWAPDB and COPY are refused as a whole.
        databases: Option<Vec<u32>> = databases().optional("[0, 1]").live();

        /// - "enforce": what `acl` does not allow is refused.
        /// - "observe": all is served as to an identity with all rights, except what policy refuses, and
        ///   what `acl` would refuse is recorded.
        mode: IdentityMode = choice([
            ("enforce", IdentityMode::Enforce),
            ("observe", IdentityMode::Observe),
        ])
        .default(IdentityMode::Enforce)
        .live();

        /// Bounds on all sessions of the identity together, over all workers. Each may be left out.
        ///
        /// - `sessions`: most sessions. One more is closed with Redis's error for too many clients when it
        ///   has authenticated, as at limits.sessions_per_identity, which holds too.
        /// - `commands_per_second` and `bytes_per_second` (of requests): at the bound, Redoubt does not read
        ///   from the sessions until there is room, which all of them get in turn. What one second allows may
        ///   come at once.
        /// - `leases`: most connections to Redis that one session each has for itself. A session that needs
        ///   one more gets Redis's error for too many clients and is closed, as where upstream.max_links
        ///   leaves no link. Requests of more than 64 KiB need one; sessions that would only be faster with one
        ///   do without.
        /// - `in_flight`: takes the place of limits.in_flight for each session.
        limits: IdentityLimits = limits()
            .default(IdentityLimits::default())
            .example("{ sessions = 200, commands_per_second = 5000, leases = 300 }")
            .live();
    }
    from IdentityKeys with IdentityParts {
        /// The name of the identity, which is the user name of AUTH and HELLO.
        name: String,
        /// The password and where it was found; `None` if none was given as such.
        password: Option<(SecretString, Origin)>,
        /// A second password that clients may use until a given time.
        previous: Option<PreviousPassword>,
        /// What the identity may do.
        acl: AclRules,
        /// The file that says so, if it is not the configuration.
        acl_file: Option<PathBuf>,
        /// The place of `acl` in the configuration, for errors.
        acl_place: String,
        /// The passwords in `acl_file`.
        passwords: AclPasswords,
        /// False if `acl_file` switches the user off.
        is_on: bool,
        /// The user that links log in as where no guard can be made.
        upstream: Option<UpstreamAccount>,
    }
}

/// A user of Redis's ACL that the operator has made.
#[derive(Debug, Clone)]
pub struct UpstreamAccount {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: SecretString,
    /// Where the password was found.
    pub origin: Origin,
}

/// What happens to a request that an identity's `acl` does not allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum IdentityMode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is served and recorded.
    Observe,
}

/// Bounds on the sessions of an identity; `None` is no bound of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdentityLimits {
    /// Most sessions at one time.
    pub sessions: Option<usize>,
    /// Most commands per second, of all sessions together.
    pub commands_per_second: Option<u32>,
    /// Most bytes of requests per second, of all sessions together.
    pub bytes_per_second: Option<u64>,
    /// Most leases at one time.
    pub leases: Option<usize>,
    /// Most requests of one session that wait for replies.
    pub in_flight: Option<usize>,
}

/// The identities of a configuration, and whether one of their passwords is weak.
pub(crate) struct Identities {
    pub(crate) all: Vec<IdentitySettings>,
    pub(crate) is_weak: bool,
    /// The place of each.
    pub(crate) sites: Vec<Site>,
}

impl Identities {
    /// Reads all identities of the file.
    pub(crate) fn find(reader: &Reader<'_>, allow_weak: bool) -> Result<Self, ConfigError> {
        let mut found = Self { all: Vec::new(), is_weak: false, sites: Vec::new() };
        for (name, site) in reader.identities() {
            if found.all.len() >= MOST {
                return Err(site.error(Problem::TooManyIdentities(MOST)));
            }
            let (identity, is_weak) =
                IdentitySettings::find(&reader.of_identity(&name), name, &site, allow_weak)?;
            let same = |other: &IdentitySettings| {
                identity.certificate.is_some()
                    && other.certificate_name() == identity.certificate_name()
            };
            if let Some(other) = found.all.iter().find(|other| same(other)) {
                let other = format!("{}.certificate", of_identity(&other.name));
                return Err(site.error(Problem::Twice(other)));
            }
            found.all.push(identity);
            found.sites.push(site);
            found.is_weak |= is_weak;
        }
        Ok(found)
    }
}

impl IdentitySettings {
    /// Reads the identity whose keys `reader` reads, and returns whether a password is weak.
    fn find(
        reader: &Reader<'_>,
        name: String,
        site: &Site,
        allow_weak: bool,
    ) -> Result<(Self, bool), ConfigError> {
        let keys = IdentityKeys::read(reader)?;
        let given = IdentityGiven::read(reader)?;
        let mut is_weak = false;
        let own = Candidates::new(given.password, given.password_file).only(|_| true)?;
        let own = own.map(|own| own.resolve(allow_weak)).transpose()?;
        is_weak |= own.as_ref().is_some_and(|own| own.weak);
        let previous = PreviousPassword::find(
            Candidates::new(given.previous_password, given.previous_password_file),
            given.previous_until,
            allow_weak,
        )?;
        is_weak |= previous.as_ref().is_some_and(|(_, weak)| *weak);
        let (acl_place, acl_file, user) = match (given.acl.winner(), given.acl_file.winner()) {
            (Some((site, _)), Some(_)) => {
                return Err(site.error(Problem::Twice(format!("{}.acl_file", of_identity(&name)))));
            }
            (None, None) => return Err(site.error(Problem::NoAcl)),
            (Some((site, rules)), None) => {
                let passwords = AclPasswords::default();
                (site.to_string(), None, AclUser { line: 0, rules, passwords, is_on: true })
            }
            (None, Some((site, path))) => {
                let user = read_acl_file(&path, &name, &site)?;
                (format!("{}:{}", path.display(), user.line), Some(path), user)
            }
        };
        let AclUser { rules: acl, passwords, is_on, .. } = user;
        if passwords.shortest.is_some_and(|shortest| shortest < STRONG_PASSWORD) {
            if !allow_weak {
                return Err(site.error(PasswordProblem::Weak));
            }
            is_weak = true;
        }
        if is_on && own.is_none() && passwords.digests.is_empty() && keys.certificate.is_none() {
            return Err(site.error(Problem::NoIdentityPassword));
        }
        let upstream_password =
            Candidates::new(given.upstream_password, given.upstream_password_file)
                .only(|_| true)?;
        let upstream = match (given.upstream_user.winner(), upstream_password) {
            (None, None) => None,
            (Some((_, user)), Some(found)) => {
                let Password { secret, origin, .. } = found.resolve(allow_weak)?;
                Some(UpstreamAccount { user, password: secret, origin })
            }
            (Some((site, _)), None) => {
                let needs = format!("{}.upstream_password_file", of_identity(&name));
                return Err(site.error(Problem::Needs(needs)));
            }
            (None, Some(found)) => {
                let needs = format!("{}.upstream_user", of_identity(&name));
                return Err(found.site.error(Problem::Needs(needs)));
            }
        };
        let parts = IdentityParts {
            name,
            password: own.map(|own| (own.secret, own.origin)),
            previous: previous.map(|(previous, _)| previous),
            acl,
            acl_file,
            acl_place,
            passwords,
            is_on,
            upstream,
        };
        Ok((keys.with(parts), is_weak))
    }

    /// Returns the name by which a client's certificate shows that it is this identity.
    pub(crate) fn certificate_name(&self) -> Option<CertificateName> {
        self.certificate.as_deref().map(CertificateName::configured)
    }

    /// Returns whether `password` is among the identity's passwords, as far as they are known as text.
    pub(crate) fn has_password(&self, password: &SecretString) -> bool {
        let own = self.password.iter().map(|(own, _)| own);
        let all = own.chain(self.previous.iter().map(|previous| &previous.password));
        all.into_iter().any(|own| own.expose_secret() == password.expose_secret())
    }
}

fn current(of: &IdentitySettings) -> Secret<'_> {
    let given = of.password.as_ref();
    Secret { password: given.map(|(own, _)| own), origin: given.map(|(_, origin)| origin) }
}

fn previous(of: &IdentitySettings) -> Secret<'_> {
    let given = of.previous.as_ref();
    Secret { password: given.map(|of| &of.password), origin: given.map(|of| &of.origin) }
}

fn upstream(of: &IdentitySettings) -> Secret<'_> {
    let given = of.upstream.as_ref();
    Secret { password: given.map(|of| &of.password), origin: given.map(|of| &of.origin) }
}

/// Reads the user called `name` in the ACL file at `path`, which is named at `site`.
fn read_acl_file(path: &Path, name: &str, site: &Site) -> Result<AclUser, ConfigError> {
    let unreadable =
        |error: std::io::Error| site.error(Problem::Unreadable(error.kind().to_string()));
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_ACL_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_ACL_FILE {
        return Err(site.error(Problem::TooLarge(MAX_ACL_FILE)));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| site.error(Problem::NotUtf8))?;
    let place = |line| Site::File { path: path.to_owned(), line: Some(line), key: None };
    match acl_user(text, name) {
        Ok(Some(user)) if user.rules.is_empty() && user.is_on => {
            let problem = AclFileProblem::Rule(redoubt_core::auth::AclError::Empty);
            Err(place(user.line).error(Problem::AclFile(problem)))
        }
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(site.error(Problem::NoAclUser(name.to_owned()))),
        Err(error) => Err(place(error.line).error(Problem::AclFile(error.problem))),
    }
}

/// Rules of Redis's ACL: a list of texts, or one text.
fn acl() -> Form<AclRules> {
    let read = |node: &Node<'_>| {
        let texts: Vec<(&str, &Node<'_>)> =
            match (node.get_ref().as_str(), node.get_ref().as_array()) {
                (Some(text), _) => vec![(text, node)],
                (None, Some(items)) => {
                    let text = |item| Node::get_ref(item).as_str().map(|text| (text, item));
                    let texts = items.iter().map(|item| text(item).ok_or_else(|| Wrong::at(item)));
                    texts.collect::<Result<_, _>>()?
                }
                (None, None) => return Err(Wrong::at(node)),
            };
        AclRules::parse(texts.iter().map(|(text, _)| *text)).map_err(|(place, error)| {
            let at = texts.get(place).map_or(node, |(_, item)| item);
            Wrong { at: at.span(), problem: Some(Problem::Acl(error)) }
        })
    };
    let expects = "a list of rules of Redis's ACL, each in quotes";
    Form::new(expects, read, |rules: &AclRules| Some(quoted_list(rules.iter().map(str::to_owned))))
}

/// A name in a certificate.
fn certificate() -> Form<String> {
    let fits = |name: &str| {
        (1..=2048).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic())
            && (name.contains(':') || !name.contains('*'))
    };
    let expects = "a URI such as spiffe://example.org/worker or a DNS name without *, in quotes";
    Form::text(expects, move |text: &str| fits(text).then(|| text.to_owned()), String::clone)
}

/// A list of numbers of databases, not empty; they are sorted.
fn databases() -> Form<Vec<u32>> {
    let number = whole::<u32>(0..=i64::from(i32::MAX));
    let read = move |node: &Node<'_>| {
        let items =
            node.get_ref().as_array().filter(|items| (1..=MOST_DATABASES).contains(&items.len()));
        let items = items.ok_or_else(|| Wrong::at(node))?;
        let numbers = items.iter().map(|item| number.read(item)).collect::<Result<Vec<_>, _>>();
        let mut numbers = numbers?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    };
    Form::new("a list of numbers of databases such as [0, 1]", read, |numbers: &Vec<u32>| {
        Some(format!("{numbers:?}"))
    })
}

/// The bounds on an identity, as a table.
fn limits() -> Form<IdentityLimits> {
    let sessions = whole::<usize>(1..=1_000_000);
    let commands = whole::<u32>(1..=Rate::MAX_PER_SECOND.into());
    let per_second = bytes::<u64>(1 << 10..=1 << 40);
    let in_flight = whole::<usize>(1..=1_000_000_000);
    let read = move |node: &Node<'_>| {
        let table = node.get_ref().as_table().ok_or_else(|| Wrong::at(node))?;
        let mut limits = IdentityLimits::default();
        for (name, value) in table.iter() {
            match &**name.get_ref() {
                "sessions" => limits.sessions = Some(sessions.read(value)?),
                "commands_per_second" => limits.commands_per_second = Some(commands.read(value)?),
                "bytes_per_second" => limits.bytes_per_second = Some(per_second.read(value)?),
                "leases" => limits.leases = Some(sessions.read(value)?),
                "in_flight" => limits.in_flight = Some(in_flight.read(value)?),
                _ => return Err(Wrong { at: name.span(), problem: None }),
            }
        }
        Ok(limits)
    };
    let expects = "a table of sessions, commands_per_second, leases and in_flight, whole numbers from 1, and \
                   bytes_per_second, a size such as \"1mb\"";
    Form::new(expects, read, |limits: &IdentityLimits| limits.to_toml())
}

impl IdentityLimits {
    /// Returns the bounds on all sessions together.
    pub(crate) fn shared(&self) -> SharedLimits {
        SharedLimits {
            sessions: self.sessions,
            leases: self.leases,
            commands_per_second: self
                .commands_per_second
                .and_then(|most| NonZeroU64::new(most.into())),
            bytes_per_second: self.bytes_per_second.and_then(NonZeroU64::new),
        }
    }

    /// Returns the table in TOML; `None` if it is empty.
    fn to_toml(self) -> Option<String> {
        let size = |size| bytes::<u64>(0..=u64::MAX).write(&size);
        let all = [
            ("sessions", self.sessions.map(|number| number.to_string())),
            ("commands_per_second", self.commands_per_second.map(|number| number.to_string())),
            ("bytes_per_second", self.bytes_per_second.and_then(size)),
            ("leases", self.leases.map(|number| number.to_string())),
            ("in_flight", self.in_flight.map(|number| number.to_string())),
        ];
        let given =
            all.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}", value?)));
        let given = given.collect::<Vec<_>>().join(", ");
        (!given.is_empty()).then(|| format!("{{ {given} }}"))
    }
}
