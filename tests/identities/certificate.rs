//! Clients whose certificate says which identity they are.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use support::certificates::{Authority, Kind, Pair};
use support::http::http_get;
use support::lines::field;
use support::redoubt::Setup;
use support::tls::{Caller, Tls};
use support::{Redis, Redoubt, secret, servers};

use crate::texts;

const ALL: &str = "[\"~*\", \"&*\", \"+@all\"]";
const URI: &str = "spiffe://example.org/worker";

/// Issues a certificate for clients with these URIs and DNS names.
fn issue(authority: &Authority, file: &str, uris: &[&str], names: &[&str]) -> Pair {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, file);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    let names = names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
    params.subject_alt_names = names.chain(uris).collect();
    authority.issue_as(file, params, Kind::Good)
}

/// A Redoubt with a listener for TLS and one for plain TCP, before which certificates are optional.
struct Certified {
    authority: Authority,
    redis: Redis,
    redoubt: Redoubt,
}

impl Certified {
    /// Starts it with an identity `worker` of the certificate [`URI`] and without a password.
    fn start(more: impl FnOnce(Setup) -> Setup) -> Self {
        let (authority, redis) =
            (Authority::new(), Redis::setup().server(servers::tested()).start());
        let pair = authority.server("server");
        let setup = Redoubt::setup(&redis)
            .set("listen", "[\"tls://127.0.0.1:0\", \"127.0.0.1:0\"]")
            .set_text("tls.certificate", pair.certificate.to_str().unwrap())
            .set_text("tls.key", pair.key.to_str().unwrap())
            .set_text("tls.client_ca", authority.ca().to_str().unwrap())
            .set_text("tls.client_certificates", "optional")
            .set_text("audit.output", "stdout")
            .set_text("identities.worker.certificate", URI)
            .set("identities.worker.acl", ALL);
        let redoubt = more(setup).start();
        redoubt.wait_until_it_knows_its_server();
        Self { authority, redis, redoubt }
    }

    fn connect(&self, pair: Option<&Pair>) -> Tls {
        let ca = self.authority.ca();
        let caller = match pair {
            Some(pair) => Caller::showing(&ca, pair),
            None => Caller::trusting(&ca),
        };
        caller.connect(self.redoubt.address_of("tls")).unwrap()
    }

    /// Connects with a certificate of these names.
    fn named(&self, uris: &[&str], names: &[&str]) -> Tls {
        self.connect(Some(&issue(&self.authority, "client", uris, names)))
    }
}

#[track_caller]
fn is_refused(session: &mut Tls) {
    let reply = texts(&session.command(&["GET", "a"]));
    assert_eq!(reply, "-NOAUTH Authentication required.\r\n");
}

#[test]
fn certificate_authenticates_a_session_without_auth() {
    let certified = Certified::start(|setup| setup);
    let mut session = certified.named(&["spiffe://other/x", URI], &["any.example.org"]);
    assert_eq!(session.command(&["SET", "a", "1"]), b"+OK\r\n");
    assert_eq!(texts(&session.command(&["ACL", "WHOAMI"])), "$6\r\nworker\r\n");
    let mut hello = certified.named(&[URI], &[]);
    let reply = texts(&hello.command(&["HELLO", "3", "SETNAME", "x"]));
    assert!(reply.starts_with('%'), "{reply}");
    assert_eq!(hello.command(&["GET", "a"]), b"$1\r\n1\r\n");
    assert!(certified.redis.direct().command(&["GET", "a"]).ends_with(b"1\r\n"));
    let logged = certified.redoubt.log().wait(|line| {
        field(line, "message") == Some("authenticated") && field(line, "user") == Some("worker")
    });
    assert_eq!(field(&logged.unwrap(), "method"), Some("certificate"));
    let audited = certified.redoubt.log().wait(|line| line.contains("\"auth_succeeded\""));
    let audited = audited.unwrap();
    assert_eq!(field(&audited, "method"), Some("certificate"), "{audited}");
    assert_eq!(field(&audited, "user"), Some("worker"), "{audited}");
    assert_eq!(field(&audited, "certificate"), Some("spiffe://other/x"), "{audited}");
    drop(session);
    let closed = certified.redoubt.log().wait(|line| line.contains("\"session_closed\""));
    assert_eq!(field(&closed.unwrap(), "user"), Some("worker"));
}

#[test]
fn only_the_exact_name_of_a_verified_certificate_authenticates() {
    let certified = Certified::start(|setup| {
        setup
            .set_text("identities.reader.certificate", "Reader.example.org")
            .set("identities.reader.acl", ALL)
    });
    let mut reader = certified.named(&[], &["other.example.org", "reader.EXAMPLE.org"]);
    assert_eq!(texts(&reader.command(&["ACL", "WHOAMI"])), "$6\r\nreader\r\n");
    for (uris, names) in [
        (&["spiffe://example.org/worker2"][..], &[][..]),
        (&["spiffe://example.org/Worker"], &[]),
        (&["spiffe://example.org/worker/"], &[]),
        (
            &["https://reader.example.org"],
            &["*.example.org", "example.org", "a.reader.example.org"],
        ),
        (&["reader.example.org"], &[]),
        (&[], &[]),
    ] {
        is_refused(&mut certified.named(uris, names));
    }
    is_refused(&mut certified.connect(None));
    let mut common_name = certified.connect(Some(&{
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "reader.example.org");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        certified.authority.issue_as("common", params, Kind::Good)
    }));
    is_refused(&mut common_name);
    let stranger = Authority::new();
    let strange = issue(&stranger, "strange", &[URI], &[]);
    let caller = Caller::showing(&certified.authority.ca(), &strange);
    assert!(caller.ping(certified.redoubt.address_of("tls")).is_err());
    let mut plain = support::Wire::connect(certified.redoubt.address_of("127"));
    assert_eq!(texts(&plain.command(&["GET", "a"])), "-NOAUTH Authentication required.\r\n");
}

#[test]
fn certificate_of_several_identities_is_none_of_them() {
    let certified = Certified::start(|setup| {
        setup
            .set_text("identities.reader.certificate", "reader.example.org")
            .set("identities.reader.acl", ALL)
    });
    let mut session = certified.named(&[URI], &["reader.example.org"]);
    is_refused(&mut session);
    assert!(certified.redoubt.log().wait(|line| line.contains("of several identities")).is_some());
    assert_eq!(session.command(&["AUTH", certified.redoubt.password()]), b"+OK\r\n");
}

#[test]
fn certificate_session_can_become_nobody_else() {
    let (own, other) = (secret(), secret());
    let certified = Certified::start(|setup| {
        setup
            .set_text("identities.worker.password", &own)
            .set_text("identities.other.password", &other)
            .set("identities.other.acl", ALL)
            .set("throttle.failures", 100)
    });
    let refusal = "-NOPERM the client's certificate says who the user is; AUTH as another user is refused\r\n";
    let client = certified.redoubt.password();
    let whoami = |session: &mut Tls| texts(&session.command(&["ACL", "WHOAMI"]));
    let mut session = certified.named(&[URI], &[]);
    for words in [
        &["AUTH", "other", &other][..],
        &["AUTH", "other", "wrong"],
        &["AUTH", client],
        &["AUTH", "default", client],
        &["HELLO", "3", "AUTH", "other", &other],
        &["HELLO", "2", "AUTH", "default", client, "SETNAME", "x"],
    ] {
        assert_eq!(texts(&session.command(words)), refusal, "{words:?}");
        assert_eq!(whoami(&mut session), "$6\r\nworker\r\n");
    }
    assert_eq!(session.command(&["AUTH", "worker", &own]), b"+OK\r\n");
    assert!(texts(&session.command(&["AUTH", "worker", "wrong"])).starts_with("-WRONGPASS"));
    // While the session has a lease, and in a transaction.
    session.command(&["WATCH", "a"]);
    assert_eq!(texts(&session.command(&["AUTH", "other", &other])), refusal);
    assert_eq!(texts(&session.command(&["HELLO", "2", "AUTH", "other", &other])), refusal);
    assert_eq!(session.command(&["MULTI"]), b"+OK\r\n");
    session.command(&["AUTH", "other", &other]);
    session.command(&["ACL", "WHOAMI"]);
    let replies = texts(&session.command(&["EXEC"]));
    assert!(replies.contains("WRONGPASS") && !replies.contains("other\r\n"), "{replies}");
    assert_eq!(session.command(&["RESET"]), b"+RESET\r\n");
    assert_eq!(whoami(&mut session), "$6\r\nworker\r\n", "RESET leaves who the session is");
    assert_eq!(session.command(&["SET", "a", "1"]), b"+OK\r\n");
    let failed = certified.redoubt.log().wait(|line| line.contains("\"auth_failed\""));
    assert_eq!(field(&failed.unwrap(), "claimed_user"), Some("other"));
    // Without the certificate, the identity's password is one like others.
    let mut by_password = certified.connect(None);
    assert_eq!(by_password.command(&["AUTH", "worker", &own]), b"+OK\r\n");
    assert_eq!(by_password.command(&["AUTH", "other", &other]), b"+OK\r\n");
}

#[test]
fn identity_without_a_password_accepts_none() {
    let certified = Certified::start(|setup| setup);
    for password in ["", URI, "worker"] {
        let mut session = certified.connect(None);
        let reply = texts(&session.command(&["AUTH", "worker", password]));
        assert!(reply.starts_with("-WRONGPASS"), "{password}: {reply}");
        let mut session = certified.named(&[URI], &[]);
        let reply = texts(&session.command(&["AUTH", "worker", password]));
        assert!(reply.starts_with("-WRONGPASS"), "{password}: {reply}");
    }
}

#[test]
fn reload_that_changes_the_certificate_closes_its_sessions_only() {
    let own = secret();
    let mut certified =
        Certified::start(|setup| setup.set_text("identities.worker.password", &own));
    let pair = issue(&certified.authority, "worker", &[URI], &[]);
    let mut by_certificate = certified.connect(Some(&pair));
    let mut both = certified.connect(Some(&pair));
    let mut by_password = certified.connect(None);
    assert_eq!(by_password.command(&["AUTH", "worker", &own]), b"+OK\r\n");
    assert_eq!(both.command(&["AUTH", "worker", &own]), b"+OK\r\n");
    for session in [&mut by_certificate, &mut both, &mut by_password] {
        assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
    }
    certified.redoubt.write("identities.worker.certificate", Some("\"spiffe://example.org/new\""));
    let line = certified.redoubt.reload();
    assert!(line.contains("\"closed_sessions\":2"), "{line}");
    assert!(by_certificate.is_closed() && both.is_closed());
    assert_eq!(by_password.command(&["PING"]), b"+PONG\r\n");
    is_refused(&mut certified.connect(Some(&pair)));
    let mut new = certified.named(&["spiffe://example.org/new"], &[]);
    assert_eq!(new.command(&["PING"]), b"+PONG\r\n");
    certified.redoubt.write("identities.worker.certificate", None);
    let line = certified.redoubt.reload();
    assert!(line.contains("\"closed_sessions\":1"), "{line}");
    assert!(new.is_closed());
}

#[test]
fn certificate_session_over_the_limit_gets_the_error_at_once() {
    let certified =
        Certified::start(|setup| setup.set("identities.worker.limits", "{ sessions = 1 }"));
    let mut first = certified.named(&[URI], &[]);
    assert_eq!(first.command(&["PING"]), b"+PONG\r\n");
    let mut second = certified.named(&[URI], &[]);
    assert_eq!(texts(&second.frame()), "-ERR max number of clients reached\r\n");
    assert!(second.is_closed());
    let admin = certified.redoubt.admin();
    let (_, _, sessions) = http_get(admin, "/sessions?identity=worker");
    assert_eq!(sessions.matches("\"user\":\"worker\"").count(), 1, "{sessions}");
    let (_, _, sessions) = http_get(admin, "/sessions?identity=other");
    assert!(!sessions.contains("\"user\""), "{sessions}");
    let (status, _, _) = http_get(admin, "/sessions?user=worker");
    assert_eq!(status, 400);
}
