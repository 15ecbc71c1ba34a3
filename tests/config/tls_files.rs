//! Certificates and keys in files: which are accepted, and the errors for others.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use redoubt::config::{ClientCertificates, TlsSettings, TlsVersion, UpstreamTls, Verification};
use redoubt::tls::{Client, Server};
use support::certificates::{Authority, Kind, Pair};
use tokio::net::{TcpListener, TcpStream};

fn settings(pair: &Pair) -> TlsSettings {
    TlsSettings {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
        client_ca: None,
        client_certificates: ClientCertificates::None,
        min_version: TlsVersion::V12,
    }
}

fn trusting(ca: &Path) -> UpstreamTls {
    UpstreamTls {
        ca: Some(ca.to_owned()),
        identity: None,
        name: None,
        verification: Verification::Full,
    }
}

/// Makes a handshake and returns the client's TLS version and the name that the server reads from its
/// certificate.
async fn handshake(
    server: &TlsSettings,
    client: &UpstreamTls,
) -> (Result<Option<TlsVersion>, String>, Result<Option<String>, String>) {
    let (server, client) = (Server::new(server).unwrap(), Client::new(client).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepts = async {
        let (stream, _) = listener.accept().await.unwrap();
        match server.accept(stream).await {
            Ok(stream) => Ok(stream.peer_name().map(|name| name.to_string())),
            Err((error, _)) => Err(error.to_string()),
        }
    };
    let connects = async {
        let stream = TcpStream::connect(address).await.unwrap();
        match client.connect(stream, "127.0.0.1").await {
            Ok(stream) => {
                assert!(
                    stream.peer_not_after().unwrap()
                        > UNIX_EPOCH + Duration::from_secs(1_000_000_000)
                );
                Ok(stream.version())
            }
            Err(error) => Err(error.to_string()),
        }
    };
    tokio::join!(connects, accepts)
}

#[tokio::test]
async fn private_keys_of_all_formats_are_accepted() {
    let authority = Authority::new();
    let pair = authority.server("server");
    // The test authority writes PKCS#8; openssl converts it to SEC1 and RSA.
    let sec1 = authority.dir().join("sec1.key");
    openssl(&["ec", "-in", path(&pair.key), "-out", path(&sec1)]);
    assert!(fs::read_to_string(&sec1).unwrap().contains("BEGIN EC PRIVATE KEY"));
    let rsa =
        Pair { certificate: authority.dir().join("rsa.crt"), key: authority.dir().join("rsa.key") };
    openssl(&["genrsa", "-traditional", "-out", path(&rsa.key), "2048"]);
    openssl(&[
        "req",
        "-x509",
        "-key",
        path(&rsa.key),
        "-out",
        path(&rsa.certificate),
        "-subj",
        "/CN=rsa",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]);
    assert!(fs::read_to_string(&rsa.key).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    for (pair, ca) in [
        (pair.clone(), authority.ca()),
        (Pair { key: sec1, ..pair.clone() }, authority.ca()),
        (rsa.clone(), rsa.certificate.clone()),
    ] {
        let (version, name) = handshake(&settings(&pair), &trusting(&ca)).await;
        assert_eq!(version, Ok(Some(TlsVersion::V13)), "{pair:?}");
        assert_eq!(name, Ok(None));
    }
}

#[tokio::test]
async fn a_certificates_name_is_its_uri_then_dns_name_then_common_name() {
    let authority = Authority::new();
    let server = TlsSettings {
        client_ca: Some(authority.ca()),
        client_certificates: ClientCertificates::Required,
        ..settings(&authority.server("server"))
    };
    let named = |common: &str, names: Vec<SanType>| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        params.subject_alt_names = names;
        params
    };
    let dns = || SanType::DnsName("app.example".try_into().unwrap());
    let uri = SanType::URI("spiffe://example/app".try_into().unwrap());
    let long = "n".repeat(600);
    for (params, wanted) in [
        (named("common", vec![dns(), uri]), "spiffe://example/app"),
        (named("common", vec![dns()]), "app.example"),
        (named("common", vec![]), "common"),
        (named("two\nlines \"and\" ü", vec![]), "two\\nlines \\\"and\\\" ü"),
        (named(&long, vec![]), &long[..256]),
        (named("", vec![]), "sha256:"),
    ] {
        let pair = authority.issue_as("client", params, Kind::Good);
        let client = UpstreamTls {
            identity: Some((pair.certificate, pair.key)),
            ..trusting(&authority.ca())
        };
        let (_, name) = handshake(&server, &client).await;
        let name = name.unwrap().unwrap();
        assert!(name == wanted || (wanted == "sha256:" && name.len() == 7 + 64), "{name}");
    }
}

#[test]
fn errors_name_tls_files_that_cannot_be_used() {
    let authority = Authority::new();
    let (pair, other) = (authority.server("server"), authority.server("other"));
    let file = |name: &str, text: &[u8]| {
        let path = authority.dir().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let key = fs::read_to_string(&pair.key).unwrap();
    let half = &key[..key.len() / 2];
    let encrypted = authority.dir().join("encrypted.key");
    openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        path(&pair.key),
        "-out",
        path(&encrypted),
        "-passout",
        "pass:canary",
    ]);
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let good = settings(&pair);
    let with_ca = |ca| TlsSettings {
        client_ca: Some(ca),
        client_certificates: ClientCertificates::Required,
        ..good.clone()
    };
    let none = authority.dir().join("none");
    let cases = [
        (
            TlsSettings { certificate: none.clone(), ..good.clone() },
            "tls.certificate",
            "cannot read",
        ),
        (TlsSettings { key: none.clone(), ..good.clone() }, "tls.key", "cannot read"),
        (with_ca(none), "tls.client_ca", "cannot read"),
        (with_ca(authority.dir().to_owned()), "tls.client_ca", "cannot read"),
        (with_ca(file("empty", b"")), "tls.client_ca", "holds no certificate"),
        (with_ca(file("no_der", no_der.as_bytes())), "tls.client_ca", "cannot be used"),
        (with_ca(file("huge", &vec![b'\n'; (4 << 20) + 1])), "tls.client_ca", "larger than 4 MiB"),
        (
            TlsSettings { certificate: pair.key.clone(), ..good.clone() },
            "tls.certificate",
            "holds no cert",
        ),
        (
            TlsSettings { certificate: file("x", no_der.as_bytes()), ..good.clone() },
            "tls.certificate",
            "cannot be used",
        ),
        (TlsSettings { key: pair.certificate, ..good.clone() }, "tls.key", "holds no private key"),
        (TlsSettings { key: encrypted, ..good.clone() }, "tls.key", "holds no private key"),
        (
            TlsSettings { key: file("half.key", half.as_bytes()), ..good.clone() },
            "tls.key",
            "damaged",
        ),
        (
            TlsSettings { key: other.key, ..good.clone() },
            "tls.key",
            "is not the key of the certificate",
        ),
    ];
    for (settings, key, problem) in cases {
        let error = Server::new(&settings).expect_err(problem);
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with(key) && shown.contains(problem), "{key} {problem}: {shown}");
        assert!(!shown.contains(half.lines().nth(1).unwrap()), "key material in {shown}");
    }
    let error = Client::new(&trusting(&file("empty", b""))).unwrap_err().to_string();
    assert!(
        error.starts_with("upstream.tls_ca: ") && error.contains("holds no certificate"),
        "{error}"
    );
    let client = Client::new(&trusting(&authority.ca())).unwrap();
    assert!(client.check("redis.example").is_ok() && client.check("::1").is_ok());
    assert!(client.check("no..name").unwrap_err().to_string().contains("upstream.tls_name"));
}

#[tokio::test]
async fn reread_tls_files_are_used_and_a_bad_file_changes_nothing() {
    let authority = Authority::new();
    let pair = authority.server("server");
    let server = Server::new(&settings(&pair)).unwrap();
    let client = Client::new(&trusting(&authority.ca())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shown = async || {
        let accepts = async { server.accept(listener.accept().await.unwrap().0).await };
        let connects = async {
            let stream = TcpStream::connect(address).await.unwrap();
            client.connect(stream, "127.0.0.1").await.map(|stream| stream.peer_name().unwrap())
        };
        tokio::join!(connects, accepts).0.unwrap().to_string()
    };
    assert_eq!(shown().await, "localhost");
    let next = authority.issue("next", &["127.0.0.1", "next"], Kind::Good);
    fs::rename(&next.certificate, &pair.certificate).unwrap();
    assert!(server.read().err().unwrap().to_string().contains("is not the key"));
    assert_eq!(shown().await, "localhost", "a certificate without its key is not used");
    server.look();
    fs::rename(&next.key, &pair.key).unwrap();
    server.look();
    assert_eq!(shown().await, "localhost", "a file is used only after two equal reads");
    server.look();
    assert_eq!(shown().await, "next");
    fs::write(&pair.key, "").unwrap();
    server.look();
    server.look();
    assert_eq!(shown().await, "next");
    let third = authority.server("third");
    fs::rename(&third.key, &pair.key).unwrap();
    fs::rename(&third.certificate, &pair.certificate).unwrap();
    let fresh = server.read().unwrap();
    assert_eq!(shown().await, "next", "reading the files changed the certificate in use");
    server.put(fresh);
    assert_eq!(shown().await, "localhost");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(args: &[&str]) {
    let ran = Command::new("openssl").args(args).output();
    let ran = ran.expect("openssl is missing: apt-get install -y openssl");
    assert!(ran.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
}
