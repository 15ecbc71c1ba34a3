//! `[throttle]`: how addresses that send wrong passwords are slowed down and locked out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use super::super::declare::{settings, time, whole};
use super::values::networks;

/// The addresses of the machine itself, which all its processes share.
fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    vec![v4.into(), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]
}

settings! {
    /// How addresses that send wrong passwords are slowed down and locked out.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ThrottleSettings in "throttle" {
        /// How many wrong passwords lock an address out, 1 to 1000000; a right password halves the
        /// count. From half of this number on, each wrong password is answered late, by 100ms to
        /// 2s. The password that locks the address out gets no answer: its connection is closed,
        /// and new connections from there are closed at once. Authenticated sessions continue;
        /// other open sessions may still authenticate, and are closed at a wrong password.
        failures: u32 = whole(1..=1_000_000).default(10).live();

        /// How long the first lock-out lasts. After it, each wrong password locks out for twice as
        /// long, up to `max_lockout`. "0s" locks no address out.
        lockout: Duration = time().default(Duration::from_secs(1)).live();

        /// The longest lock-out. An address is forgotten this long after its last wrong password or
        /// the end of its lock-out. At most 65536 addresses are remembered; beyond that, the
        /// addresses that were quiet longest are forgotten, unless they are locked out.
        max_lockout: Duration = time().default(Duration::from_secs(15 * 60)).live();

        /// Networks or addresses that are never slowed down and never locked out.
        exempt: Vec<IpNet> =
            networks().default(Vec::new()).example(r#"["127.0.0.0/8"]"#).live();

        /// Networks or addresses that your clients share with others, who could lock them out by wrong
        /// passwords: the addresses of this machine, and those of a NAT or a load balancer. Wrong passwords
        /// from there are answered later and later, as above, but lock nobody out. At most 64 such answers
        /// wait at a time; one more closes its connection. A right password is always accepted at once.
        /// Users of unix:// sockets are treated in the same way. Where a password can be guessed
        /// (`allow_weak_passwords`), write an empty list: then these addresses are locked out too.
        shared: Vec<IpNet> =
            networks().default(loopback()).example(r#"["127.0.0.0/8"]"#).live();
    }
}
