//! `[upstream]`: the address of Redis, and how links log in. The module `upstream_tls` has the keys
//! for TLS.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::super::declare::{
    Access, Form, Node, Wrong, choice, flag, given, keepalive, quoted, settings, time,
    time_above_zero, whole,
};
use super::super::error::UrlProblem;
use super::super::secrets::{Origin, Secret, UpstreamUrl, is_in_file, is_in_text};
use super::client::masked;
use super::endpoint::Servers;
use super::upstream_tls::UpstreamTls;
use super::values::{password, password_file, user};

given! {
    /// The upstream's address and login.
    struct UpstreamLogin of UpstreamSettings in "upstream" {
        /// Where Redis is: redis://host:port, or rediss://host:port for TLS; port 6379 if it is left out;
        /// unix:///path for a Unix socket. It must be given here or in the environment. It may hold a user
        /// and a password (redis://user:pass@host) with special characters percent-encoded. Of a list of
        /// such URLs, the first that is a primary is used. For Sentinels, it is
        /// redis-sentinel://host:26379,host2:26379/name with the primary's name.
        url: UpstreamUrl = url()
            .optional(r#""redis://127.0.0.1:6379""#)
            .required()
            .variable("REDOUBT_UPSTREAM"),
            Access::of(address)
                .shown(|upstream| {
                    let (servers, tls) = address(upstream);
                    Some(format!("url = {}", quoted(&servers.url(tls))))
                })
                .kept(|new, old| {
                    new.servers.clone_from(&old.servers);
                    new.sentinel.clone_from(&old.sentinel);
                    new.tls.clone_from(&old.tls);
                });

        /// The ACL user of Redis to log in as. Without it, only the password is sent.
        user: String = user().optional(r#""redoubt""#).live(),
            Access::of(|upstream: &UpstreamSettings| upstream.user.clone()).shown(|upstream| {
                Some(match &upstream.user {
                    Some(user) => format!("user = {}", quoted(user)),
                    None => "# no user name".to_owned(),
                })
            });

        /// The password that Redis accepts: the user's password, or `requirepass`. Give only one of
        /// `password` and `password_file`.
        password: SecretString =
            password().optional(r#""…""#).variable("REDIS_PASSWORD").live(),
            Access::compared(|old, new| is_in_text(current(old), current(new))).shown(|upstream| {
                Some(match &upstream.password_origin {
                    Some(origin) => masked("password", origin),
                    None => "# no password".to_owned(),
                })
            });

        /// A file that holds the password that Redis accepts. One line break at its end is ignored.
        /// When the file changes, the new password is used once Redis accepts it; no session is
        /// closed for that.
        password_file: PathBuf = password_file()
            .optional(r#""/run/secrets/redis_password""#)
            .variable("REDIS_PASSWORD_FILE")
            .live(),
            Access::compared(|old, new| is_in_file(current(old), current(new)));
    }
}

given! {
    /// How Sentinels are connected to.
    struct SentinelLogin of UpstreamSettings in "upstream" {
        /// The ACL user that the Sentinels know. Without it, only the password is sent.
        sentinel_user: String = user().optional(r#""redoubt""#),
            Access::of(|upstream: &UpstreamSettings| upstream.sentinel.user.clone()).shown(|upstream| {
                Some(format!("sentinel_user = {}", quoted(upstream.sentinel.user.as_ref()?)))
            })
            .kept(keep_sentinel);

        /// The password that the Sentinels require; it is not that of `url`. Give only one of this and
        /// `sentinel_password_file`.
        sentinel_password: SecretString =
            password().optional(r#""…""#).variable("REDOUBT_SENTINEL_PASSWORD"),
            Access::compared(|old, new| is_in_text(sentinel(old), sentinel(new))).shown(|upstream| {
                Some(masked("sentinel_password", upstream.sentinel.origin.as_ref()?))
            })
            .kept(keep_sentinel);

        /// A file that holds the password that the Sentinels require. One line break at its end is ignored.
        sentinel_password_file: PathBuf = password_file()
            .optional(r#""/run/secrets/sentinel_password""#)
            .variable("REDOUBT_SENTINEL_PASSWORD_FILE"),
            Access::compared(|old, new| is_in_file(sentinel(old), sentinel(new)))
                .kept(keep_sentinel);

        /// Whether the Sentinels are connected to in TLS, with the keys for TLS below. Without it, they are if Redis
        /// is.
        sentinel_tls: bool = flag().optional("true"),
            Access::of(|upstream: &UpstreamSettings| upstream.sentinel.tls.is_some()).shown(|upstream| {
                let differs = upstream.sentinel.tls.is_some() != upstream.tls.is_some();
                differs.then(|| format!("sentinel_tls = {}", upstream.sentinel.tls.is_some()))
            })
            .kept(keep_sentinel);
    }
}

/// How Sentinels are connected to.
#[derive(Debug, Clone, Default)]
pub struct SentinelSettings {
    /// The ACL user; `None` logs in with only the password.
    pub user: Option<String>,
    /// The password; `None` if they require none.
    pub password: Option<SecretString>,
    /// Where the password was found; `None` if there is none.
    pub origin: Option<Origin>,
    /// Present if they are connected to in TLS.
    pub tls: Option<UpstreamTls>,
}

settings! {
    /// The address of Redis, and how links log in.
    #[derive(Debug, Clone)]
    pub struct UpstreamSettings in "upstream" {
        /// How long resolving the name, connecting and logging in may take together; above zero.
        connect_timeout: Duration = time_above_zero().default(Duration::from_secs(2)).live();

        /// How long requests wait for a server that can be used, from when the last one was lost: while another
        /// becomes the primary, or Redis restarts. Clients to which Redis owes nothing notice no more than the
        /// wait; those with replies due are closed, since nobody knows whether their requests ran. "0s" closes
        /// all clients that need Redis at once.
        failover_timeout: Duration = time().default(Duration::from_secs(5)).live();

        /// After this much time without an answer from the host of Redis, connections to it are
        /// closed and new ones are opened, in whole seconds up to "32767s". A host counts as alive
        /// while its kernel answers, however slow Redis is. "0s" leaves this to the system, which
        /// takes a quarter of an hour.
        dead_after: Option<Duration> =
            keepalive().default(Some(Duration::from_secs(15))).live();

        /// The age at which a connection to Redis is replaced by a new one, so that changes of DNS
        /// and of routes take effect. Each connection is replaced up to an eighth of this time
        /// earlier, when no reply is pending on it; a lease is replaced when its session returns
        /// it. "0s" sets no limit.
        max_link_age: Duration = time().default(Duration::from_secs(3600)).live();

        /// How sessions share connections to Redis:
        /// - "auto": commands that neither need nor change the state of a connection go over a few shared
        ///   connections. A session has a connection of its own, a lease, while it is in a transaction,
        ///   blocked, subscribed and the like.
        /// - "off": each session has a connection of its own.
        sharing: Sharing =
            choice([("auto", Sharing::Auto), ("off", Sharing::Off)]).default(Sharing::Auto);

        /// Most connections to Redis at one time, over all workers, 8 to 1000000. This counts
        /// shared connections, leases, connections that are kept for the next lease or are being
        /// opened, and 4 for Redoubt's own use. 0 takes the maxclients of Redis (10000 until it is
        /// known) less an eighth, but at least 16 less, for other clients of Redis. If several
        /// Redoubts share a Redis, give each its part.
        ///
        /// An eighth is reserved for shared connections, and clients that read slowly have a
        /// quarter at most. At the bound, unused connections are closed first, then the connections
        /// of clients that read slowly, with their sessions. A session that needs a lease when
        /// there is none gets Redis's error for too many clients and is closed; a session that
        /// needs a shared connection waits up to 5 seconds for it first.
        max_links: Option<usize> =
            whole(8..=1_000_000).or_zero("Redis's own bound").default(None).live();

        /// How long a reply may be pending on a shared connection while Redis answers Redoubt on
        /// another. After that, the shared connection is closed, and with it the sessions that wait
        /// for replies on it; other sessions continue over a new one. It must be longer than
        /// anything that delays single clients but not Redis as a whole, such as CLIENT PAUSE for
        /// writes. "0s" waits without limit.
        stall_timeout: Option<Duration> =
            time().zero_is_none().default(Some(Duration::from_secs(10))).live();
    }
    from UpstreamKeys with UpstreamParts {
        /// Where Redis is.
        servers: Servers,
        /// The ACL user; `None` logs in with only the password, which Redis 5 understands too.
        user: Option<String>,
        /// The password; `None` if Redis requires none.
        password: Option<SecretString>,
        /// Where the password was found; `None` if there is none.
        password_origin: Option<Origin>,
        /// Present for a `rediss://` URL.
        tls: Option<UpstreamTls>,
        /// How Sentinels are connected to, if there are any.
        sentinel: SentinelSettings,
    }
}

/// How sessions share links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Stateless commands of many sessions share a few links; a session has a link of its own, a
    /// lease, while it is stateful.
    #[default]
    Auto,
    /// Every session has a link of its own for its whole life.
    Off,
}

/// The parts of the URL whose change needs a restart: the servers and the scheme.
fn address(upstream: &UpstreamSettings) -> (Servers, bool) {
    (upstream.servers.clone(), upstream.tls.is_some())
}

fn current(upstream: &UpstreamSettings) -> Secret<'_> {
    Secret { password: upstream.password.as_ref(), origin: upstream.password_origin.as_ref() }
}

fn keep_sentinel(new: &mut UpstreamSettings, old: &UpstreamSettings) {
    new.sentinel.clone_from(&old.sentinel);
}

fn sentinel(upstream: &UpstreamSettings) -> Secret<'_> {
    let SentinelSettings { password, origin, .. } = &upstream.sentinel;
    Secret { password: password.as_ref(), origin: origin.as_ref() }
}

fn url() -> Form<UpstreamUrl> {
    let read = |node: &Node<'_>| {
        let wrong = |at: &Node<'_>, problem: UrlProblem| Wrong {
            at: at.span(),
            problem: Some(problem.into()),
        };
        let list = match (node.get_ref().as_str(), node.get_ref().as_array()) {
            (Some(text), _) => {
                return UpstreamUrl::parse(text).map_err(|problem| wrong(node, problem));
            }
            (None, Some(list)) => list,
            (None, None) => return Err(Wrong::at(node)),
        };
        let mut texts = Vec::new();
        for url in list {
            let text = url.get_ref().as_str().ok_or_else(|| Wrong::at(url))?;
            // The error names the line of the URL that is wrong by itself.
            UpstreamUrl::of_list(&[text]).map_err(|problem| wrong(url, problem))?;
            texts.push(text);
        }
        UpstreamUrl::of_list(&texts).map_err(|problem| wrong(node, problem))
    };
    Form::new("a URL such as redis://host:port, or a list of such", read, |_| None)
}
