//! What the rest of the program is given: plain values that have been checked.

use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use super::declare::{flag, settings, time, whole};
use super::secrets;
use super::sections::{
    AuditSettings, ClientSettings, Endpoint, LimitSettings, Listen, LogSettings, PolicySettings,
    ThrottleSettings, TlsSettings, UpstreamSettings, endpoint, listen, networks, octal_mode,
};
use super::warning::Warning;

settings! {
    /// A complete and valid configuration.
    #[derive(Debug, Clone)]
    pub struct Settings in "" {
        /// Where clients connect: host:port, tls://host:port, unix:///path, or a list of such. Port 0 lets
        /// the system choose. In a container that others reach over the network, write "0.0.0.0:6380", or
        /// `"[::]:6380"` for IPv6 and IPv4. "localhost" is 127.0.0.1 and ::1. In the environment, commas
        /// separate several.
        listen: Vec<Listen> = listen()
            .default(vec![Listen::Tcp(Endpoint { host: "127.0.0.1".to_owned(), port: 6380 })])
            .list_variable("REDOUBT_LISTEN");

        /// Who may connect to unix:// sockets: the permissions of their files.
        unix_socket_mode: u32 = octal_mode().default(0o660);

        /// Whether another Redoubt may listen on the same addresses (SO_REUSEPORT), so that it can take the
        /// place of this one without a gap. Both must run as the same user and have this set.
        reuse_port: bool = flag().default(false);

        /// Networks (10.0.0.0/8) or addresses whose clients may connect. Connections from elsewhere are
        /// closed before a byte is read. An empty list admits all. An IPv4 address in IPv6 form
        /// (::ffff:10.0.0.1) counts as IPv4, here and in the other keys.
        allow: Vec<IpNet> = networks().default(Vec::new()).example(r#"["10.0.0.0/8"]"#).live();

        /// Networks or addresses of load balancers whose connections begin with a PROXY protocol header,
        /// version 2. The header has the address of the client, which then counts for the log, `allow`,
        /// limits and throttle. A connection from there is closed if it has no header, or one that takes
        /// longer than `limits.auth_timeout` or is over 536 bytes. Connections of the load balancers
        /// themselves (health checks, with the command LOCAL) count with their own address; if `allow` is
        /// not empty, add it there too.
        proxy_protocol_from: Vec<IpNet> =
            networks().default(Vec::new()).example(r#"["10.0.0.1"]"#).live();

        /// Worker threads, 1 to 256. One is enough for a sidecar.
        workers: NonZeroUsize =
            whole(1..=256).map(NonZeroUsize::new, |workers| workers.get()).default(NonZeroUsize::MIN);

        /// How long a stop (SIGTERM, SIGINT) still accepts new clients after /readyz says that Redoubt is
        /// not ready, so that whoever sends them has time to notice.
        drain_delay: Duration = time().default(Duration::ZERO).example(r#""5s""#).live();

        /// How long a stop then waits for replies that are due. "0s" waits for none.
        shutdown_timeout: Duration = time().default(Duration::from_secs(10)).live();

        /// Whether passwords under 32 characters are accepted, with a warning. With false they stop the
        /// start.
        allow_weak_passwords: bool = flag().default(false).live();

        /// Where the admin port listens: host:port, or "off". /sessions, /stats and /reload answer requests
        /// from this machine alone, wherever the port listens.
        admin: Option<Endpoint> = endpoint()
            .or_word("off")
            .default(Some(Endpoint { host: "127.0.0.1".to_owned(), port: 6390 }))
            .named("admin.listen")
            .variable("REDOUBT_ADMIN_LISTEN");

        /// Whether metrics are collected. With false, /metrics is answered with 404.
        metrics: bool = flag().default(true).named("metrics.enabled");
    }
    from SettingsKeys with SettingsParts {
        /// Who may connect.
        client: ClientSettings,
        /// The Redis that Redoubt stands before.
        upstream: UpstreamSettings,
        /// What nobody may run.
        policy: PolicySettings,
        /// Bounds on sessions.
        limits: LimitSettings,
        /// What happens to an address from which wrong passwords come.
        throttle: ThrottleSettings,
        /// What clients of `tls://` listeners are shown; present if there is a certificate.
        tls: Option<TlsSettings>,
        /// Where the audit log goes, and what is in it.
        audit: AuditSettings,
        /// What is logged, and how.
        log: LogSettings,
        /// What is allowed but unwise, to be logged once at the start.
        warnings: Vec<Warning>,
    }
}

impl Settings {
    /// Fewest characters of a password that passes without `allow_weak_passwords`.
    pub const STRONG_PASSWORD: usize = secrets::STRONG_PASSWORD;
    /// Most bytes of a password.
    pub const MAX_PASSWORD: usize = secrets::MAX_PASSWORD;
}
