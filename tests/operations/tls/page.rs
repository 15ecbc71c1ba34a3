//! The commands of the page on TLS that create certificates.

use std::process::Command;

use super::{path, speaking};
use support::Redis;
use support::certificates::Pair;
use support::tls::Caller;

#[test]
fn the_certificates_created_by_the_tls_page_are_valid() {
    let page = include_str!("../../../docs/tls.md");
    let (_, lines) = page.split_once("```sh\n").expect("lines");
    let (lines, _) = lines.split_once("```").expect("their end");
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-ec", lines]).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pair = |name: &str| Pair {
        certificate: dir.path().join(format!("{name}.crt")),
        key: dir.path().join(format!("{name}.key")),
    };
    let (ca, redis) = (dir.path().join("ca.crt"), Redis::start());
    let redoubt = speaking(&redis, &pair("redoubt")).set_text("tls.client_ca", path(&ca)).start();
    let mut session =
        Caller::showing(&ca, &pair("app")).session(redoubt.address(), redoubt.password());
    assert_eq!(session.command(&["PING"]), b"+PONG\r\n");
}
