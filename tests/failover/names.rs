//! A name whose addresses change.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use support::forwarder::Forwarder;
use support::{Redis, Redoubt};

/// Makes the file its first argument the table of host names of this process, and runs the rest.
const WITH_HOSTS: &str = "mount --bind \"$0\" /etc/hosts; exec \"$@\"";

#[test]
fn links_move_when_a_name_gets_another_address() {
    let password = support::secret();
    let [old, new] = [(); 2].map(|()| Redis::setup().password(&password).start());
    // Both at one port, at different addresses of this machine.
    let other = Ipv4Addr::new(127, 9, 9, 9);
    let moved = Forwarder::at(SocketAddr::from((other, old.port())), new.address());
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    let name = |address: Ipv4Addr| format!("{address} redis.example\n");
    fs::write(&hosts, name(Ipv4Addr::LOCALHOST)).unwrap();
    let shown = hosts.display().to_string();
    let redoubt = Redoubt::setup_for(0, &password)
        .set_text("upstream.url", &format!("redis://redis.example:{}", old.port()))
        .through(&[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            WITH_HOSTS,
            &shown,
        ])
        .start();
    redoubt.wait_until_it_serves();
    let mut sessions: Vec<_> = (0..5).map(|_| redoubt.session()).collect();
    for (number, wire) in sessions.iter_mut().enumerate() {
        assert_eq!(wire.command(&["SET", &format!("old:{number}"), "x"]), b"+OK\r\n");
    }
    fs::write(&hosts, name(other)).unwrap();
    let is_seen = |line: &str| line.contains("the name of the upstream has another address");
    assert!(redoubt.log().wait(is_seen).is_some(), "{:?}", redoubt.log().all());
    let moves = support::Deadline::standard().poll(|| {
        let mut wire = redoubt.session();
        wire.command(&["SET", "new", "x"]) == b"+OK\r\n"
            && new.direct().command(&["EXISTS", "new"]) == b":1\r\n"
    });
    assert!(moves && moved.connections() > 0);
    // The sessions of before are still there, and go where the name leads.
    for (number, wire) in sessions.iter_mut().enumerate() {
        assert_eq!(wire.command(&["SET", &format!("new:{number}"), "x"]), b"+OK\r\n");
        assert_eq!(new.direct().command(&["EXISTS", &format!("new:{number}")]), b":1\r\n");
    }
}
