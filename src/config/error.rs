//! Errors of the configuration: the problem, its place, and what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use redoubt_core::auth::{AclError, AclFileProblem};

/// A configuration that cannot be used. The error has the place and what to write instead, never
/// what was written: any value may be a secret that was put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{site}: {problem}")]
pub struct ConfigError {
    pub(crate) site: Site,
    pub(crate) problem: Problem,
}

impl ConfigError {
    /// Returns the line of the configuration file, counted from 1; `None` if the error has no line.
    pub fn line(&self) -> Option<usize> {
        match &self.site {
            Site::File { line, .. } => *line,
            Site::Variable(_) | Site::Whole => None,
        }
    }

    /// Returns the key or environment variable that is wrong, if the error has one.
    pub fn key(&self) -> Option<&str> {
        match &self.site {
            Site::File { key, .. } => key.as_deref(),
            Site::Variable(name) => Some(name),
            Site::Whole => None,
        }
    }
}

/// The place where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Site {
    /// In the file.
    File { path: PathBuf, line: Option<usize>, key: Option<String> },
    /// In this environment variable.
    Variable(Cow<'static, str>),
    /// The configuration as a whole, if the error has no single place.
    Whole,
}

impl Site {
    pub(crate) fn error(&self, problem: impl Into<Problem>) -> ConfigError {
        ConfigError { site: self.clone(), problem: problem.into() }
    }

    /// Makes the error for a value that the key `short` does not accept: `expects` describes a
    /// valid value and `example` is one.
    pub(crate) fn expected(
        &self,
        short: &str,
        (expects, example): (String, String),
    ) -> ConfigError {
        let write = match self {
            Self::Variable(name) => format!("{name}={}", example.trim_matches(['[', ']', '"'])),
            Self::File { .. } | Self::Whole => format!("{short} = {example}"),
        };
        self.error(Problem::Expected { expects, write })
    }

    /// Returns a short name of the place, for use inside the error of another place.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File { key: Some(key), .. } => key.clone(),
            Self::File { .. } | Self::Whole => "the configuration".to_owned(),
            Self::Variable(name) => name.to_string(),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::Whole => f.write_str("configuration"),
            Self::File { path, line, key } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                match key {
                    Some(key) => write!(f, ": {key}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The problem at a place of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("larger than {0} bytes, the most that is read")]
    TooLarge(usize),
    #[error("not UTF-8 text")]
    NotUtf8,
    #[error("not valid TOML: {0}")]
    Syntax(String),
    #[error("not valid TOML: {problem}; write {write}")]
    SyntaxOfKey { problem: String, write: String },
    #[error("unknown key; {0}")]
    UnknownKey(String),
    #[error(
        "an identity is called by 1 to 64 letters, digits, - and _, which is the user name of AUTH; write \
         [identities.worker]"
    )]
    IdentityName,
    #[error("more than {0} identities")]
    TooManyIdentities(usize),
    #[error(
        "an identity needs rights; write acl = [\"~cache:*\", \"+@read\"] below, or name an ACL file of Redis with \
         acl_file; [\"~*\", \"&*\", \"+@all\"] gives all"
    )]
    NoAcl,
    #[error(
        "an identity needs a password; make one with `openssl rand -hex 32` and name its file with \
         password_file below, or give certificate"
    )]
    NoIdentityPassword,
    #[error("the ACL file has no line \"user {0} …\"; add one, or give the rights in acl")]
    NoAclUser(String),
    #[error(transparent)]
    Acl(AclError),
    #[error(transparent)]
    AclFile(AclFileProblem),
    #[error("[client] has this user name too; take another name, or leave [client] out")]
    ClientIsThis,
    #[error("expected a table; write [{0}] on a line of its own and its keys below it")]
    ExpectedTable(String),
    #[error("expected {expects}; write {write}")]
    Expected { expects: String, write: String },
    #[error("set but empty; give it a value or leave it out")]
    Empty,
    #[error(
        "an empty prefix would delete every key; write prefix = \"cache:\", or leave flush out and take \
         FLUSHDB out of policy.blocked if clients may delete all keys"
    )]
    EmptyPrefix,
    #[error(
        "policy.blocked lacks {0}, which would delete every key and not those below the prefix; add it there, \
         or leave flush out"
    )]
    FlushNotBlocked(&'static str),
    #[error("{0} says the same; keep one of the two")]
    Twice(String),
    #[error("{0} is also in policy.blocked; remove it from one of the two")]
    AlsoBlocked(String),
    #[error("{0} is not refused, so allowing it has no effect; remove it")]
    NotRefused(String),
    #[error("{command} has no subcommands; write {key} = [\"{command}\"]")]
    NoSubcommands { command: String, key: &'static str },
    #[error(
        "a user needs a password; set REDIS_PASSWORD, upstream.password_file or upstream.password"
    )]
    UserWithoutPassword,
    #[error(
        "no upstream; set REDOUBT_UPSTREAM=redis://host:port in the environment, or url = \
         \"redis://host:port\" under [upstream]"
    )]
    NoUpstream,
    #[error(
        "no password for clients; make one with `openssl rand -hex 32` and set it as \
         REDOUBT_PASSWORD in the environment, or name its file with password_file under [client]"
    )]
    NoPassword,
    #[error(
        "a previous password needs an end; set previous_until = \"2030-01-31T12:00:00Z\" under \
         [client] (client.previous_until), or REDOUBT_PREVIOUS_UNTIL in the environment"
    )]
    NoUntil,
    #[error(
        "there is no previous password that could end; set client.previous_password_file or \
         client.previous_password, or leave this out"
    )]
    NothingPrevious,
    #[error("only together with {0}; set both or neither")]
    Needs(String),
    #[error(
        "a tls:// listener needs a certificate; set certificate = \"/path\" and key = \"/path\" under \
         [tls]"
    )]
    NoCertificate,
    #[error("certificates of clients need a CA; set client_ca = \"/path\" under [tls]")]
    NoClientCa,
    #[error("only for TLS; write url = \"rediss://host:port\" under [upstream], or leave this out")]
    NoTlsUpstream,
    #[error(
        "only for Sentinels; write url = \"redis-sentinel://host:26379/name\" under [upstream], or leave \
         this out"
    )]
    NoSentinels,
    #[error("audit.output is not \"file\"; set output = \"file\" under [audit], or leave this out")]
    NotAFile,
    #[error(transparent)]
    Password(#[from] PasswordProblem),
    #[error(transparent)]
    Url(#[from] UrlProblem),
}

/// The reason why a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// The password has fewer than
    /// [`Settings::STRONG_PASSWORD`](crate::config::Settings::STRONG_PASSWORD) characters.
    #[error(
        "shorter than 32 characters; make a password with `openssl rand -hex 32`, or set \
         allow_weak_passwords = true to accept this one"
    )]
    Weak,
    /// The password has more than [`Settings::MAX_PASSWORD`](crate::config::Settings::MAX_PASSWORD)
    /// bytes.
    #[error("longer than 4096 bytes; make a password with `openssl rand -hex 32`")]
    TooLong,
    /// The file is empty or holds only a line break.
    #[error("the password file is empty; fill it with `openssl rand -hex 32`")]
    EmptyFile,
    /// The password holds a line break, a tab or another control character.
    #[error("the password holds a line break or control character; write it on one line, alone")]
    Control,
    /// The password is not UTF-8.
    #[error("the password is not UTF-8 text; make one with `openssl rand -hex 32`")]
    NotUtf8,
    /// The system cannot read the file.
    #[error("the password file cannot be read: {0}")]
    Unreadable(io::ErrorKind),
}

/// The reason why the upstream's URL is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// The text does not have the form of a URL of Redis.
    #[error(
        "not a URL of the form redis://host:port; in a user or password, write @ : / ? # % as \
         %40 %3A %2F %3F %23 %25, or keep the password in REDIS_PASSWORD or password_file"
    )]
    Form,
    /// The scheme is none of those that are known.
    #[error(
        "expected a URL that begins with redis://, rediss://, unix://, redis-sentinel:// or \
         rediss-sentinel://; write redis://host:port"
    )]
    Scheme,
    /// The path of a Unix socket is missing or too long.
    #[error(
        "not a URL of a Unix socket; write unix:///path/of/the/socket, of at most 107 bytes, with a \
         login as unix://user:password@/path"
    )]
    SocketPath,
    /// A URL of Sentinels names no primary.
    #[error(
        "the name that the Sentinels have for the primary is missing; write \
         redis-sentinel://host:26379,host2:26379/name"
    )]
    NoPrimaryName,
    /// The URLs of a list do not go together.
    #[error(
        "the URLs of a list must be all with TLS or all without, at most 16, and have the same user \
         and password, or only the first has any"
    )]
    Differ,
    /// A list has a URL of Sentinels.
    #[error(
        "a URL of Sentinels stands alone; write all Sentinels into it, with commas between them"
    )]
    SentinelInList,
    /// The URL holds a path.
    #[error(
        "a path would choose a database, but each session chooses its own with SELECT; write \
         redis://host:port without it (a / in a password is %2F)"
    )]
    Path,
    /// The URL holds a query or a fragment.
    #[error("options after ? or # are not understood; write redis://host:port without them")]
    Options,
    /// The port is 0.
    #[error("port 0 cannot be connected to; write redis://host:6379")]
    PortZero,
    /// The user or the password is not UTF-8.
    #[error("the user or password is not UTF-8 text once %-sequences are decoded")]
    NotUtf8,
}
