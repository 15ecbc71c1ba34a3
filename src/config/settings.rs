//! The settings of Redoubt: plain values that have been checked.

use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use super::declare::{flag, settings, time, whole};
use super::secrets;
use super::sections::{
    AuditSettings, ClientSettings, CompatSettings, Endpoint, IdentitySettings, LearnSettings,
    LimitSettings, Listen, LogSettings, PolicySettings, ThrottleSettings, TlsSettings,
    UpstreamSettings, endpoint, listen, networks, octal_mode,
};
use super::warning::Warning;

settings! {
    /// A complete and valid configuration.
    #[derive(Debug, Clone)]
    pub struct Settings in "" {
        /// Where clients connect: host:port, tls://host:port, unix:///path, or a list of these.
        /// Port 0 lets the system choose. In a container that others reach over the network, write
        /// "0.0.0.0:6380", or `"[::]:6380"` for IPv6 and IPv4. "localhost" is 127.0.0.1 and ::1. In
        /// the environment, separate several addresses with commas.
        listen: Vec<Listen> = listen()
            .default(vec![Listen::Tcp(Endpoint { host: "127.0.0.1".to_owned(), port: 6380 })])
            .list_variable("REDOUBT_LISTEN");

        /// The permissions of the files of unix:// sockets, which restrict who may connect.
        unix_socket_mode: u32 = octal_mode().default(0o660);

        /// With true, another Redoubt may listen on the same addresses (SO_REUSEPORT), so that it
        /// can take the place of this process without a gap. Both must run as the same user and
        /// have this set.
        reuse_port: bool = flag().default(false);

        /// Networks (10.0.0.0/8) or addresses whose clients may connect. Other connections are
        /// closed before a byte is read. An empty list allows all. An IPv4 address in IPv6 form
        /// (::ffff:10.0.0.1) counts as IPv4, here and in the other keys.
        allow: Vec<IpNet> = networks().default(Vec::new()).example(r#"["10.0.0.0/8"]"#).live();

        /// Networks or addresses of load balancers whose connections begin with a PROXY protocol
        /// header, version 2. The header has the address of the client, which is then used in the
        /// log and by `allow`, limits and throttle. A connection from a load balancer is closed if
        /// it has no header, or a header that takes longer than `limits.auth_timeout` or is over
        /// 536 bytes. Connections that the load balancers open for themselves (health checks, with
        /// the command LOCAL) count with their own address; if `allow` is not empty, add that
        /// address to it too.
        proxy_protocol_from: Vec<IpNet> =
            networks().default(Vec::new()).example(r#"["10.0.0.1"]"#).live();

        /// Worker threads, 1 to 256. A sidecar needs only one.
        workers: NonZeroUsize =
            whole(1..=256).map(NonZeroUsize::new, |workers| workers.get()).default(NonZeroUsize::MIN);

        /// How long a stop (SIGTERM, SIGINT) still accepts new clients after /readyz has begun to
        /// fail, so that load balancers have time to notice.
        drain_delay: Duration = time().default(Duration::ZERO).example(r#""5s""#).live();

        /// How long a stop then waits for pending replies. "0s" does not wait.
        shutdown_timeout: Duration = time().default(Duration::from_secs(10)).live();

        /// With true, passwords under 32 characters are accepted, with a warning. With false they
        /// are an error.
        allow_weak_passwords: bool = flag().default(false).live();

        /// Where the admin port listens: host:port, or "off". /sessions, /stats and /reload answer
        /// only requests from this machine, whatever address the port has.
        admin: Option<Endpoint> = endpoint()
            .or_word("off")
            .default(Some(Endpoint { host: "127.0.0.1".to_owned(), port: 6390 }))
            .named("admin.listen")
            .variable("REDOUBT_ADMIN_LISTEN");

        /// With true, metrics are collected. With false, /metrics is answered with 404.
        metrics: bool = flag().default(true).named("metrics.enabled");
    }
    from SettingsKeys with SettingsParts {
        /// The user name and passwords of the identity with all rights; `None` if there are only others.
        client: Option<ClientSettings>,
        /// The other identities that clients log in as, in the order of the file.
        identities: Vec<IdentitySettings>,
        /// The address of Redis, and how links log in.
        upstream: UpstreamSettings,
        /// Which commands are refused.
        policy: PolicySettings,
        /// Which refused commands are answered all the same.
        compat: CompatSettings,
        /// Bounds on sessions.
        limits: LimitSettings,
        /// How addresses that send wrong passwords are slowed down and locked out.
        throttle: ThrottleSettings,
        /// The certificate of `tls://` listeners, and the certificates that clients need; `None` if
        /// no certificate is configured.
        tls: Option<TlsSettings>,
        /// Where the audit log goes, and what is in it.
        audit: AuditSettings,
        /// What is recorded of identities.
        learn: LearnSettings,
        /// What is logged, and in which format.
        log: LogSettings,
        /// Settings that are allowed but unwise; each is logged once at the start.
        warnings: Vec<Warning>,
    }
}

impl Settings {
    /// Fewest characters of a password that is accepted without `allow_weak_passwords`.
    pub const STRONG_PASSWORD: usize = secrets::STRONG_PASSWORD;
    /// Most bytes of a password.
    pub const MAX_PASSWORD: usize = secrets::MAX_PASSWORD;
}
