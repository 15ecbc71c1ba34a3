//! Finds the user of the process that holds the other end of a connection, as far as the system tells.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use super::access::Ends;

/// Returns the user at the other end: a number, and the name if the system has one. `None` if the system does not
/// tell, as where the process is in another network namespace.
pub(super) async fn caller(ends: Ends) -> Option<String> {
    let found = tokio::task::spawn_blocking(move || {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables = tables.into_iter().filter_map(|path| fs::read_to_string(path).ok());
        let user = tables.into_iter().find_map(|table| user_in(&table, ends))?;
        let names = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(match name_in(&names, user) {
            Some(name) => format!("{name} ({user})"),
            None => user.to_string(),
        })
    });
    found.await.ok()?
}

/// Returns the user of the socket that is the peer's end of the connection, in the kernel's table of sockets.
fn user_in(table: &str, ends: Ends) -> Option<u32> {
    let wanted = (address(ends.peer), address(ends.local));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (local, remote) = (fields.nth(1)?, fields.next()?);
        let is_it = (parsed(local)?, parsed(remote)?) == wanted;
        // After state, queues, timer and retransmissions.
        is_it.then(|| fields.nth(4)?.parse().ok())?
    })
}

fn address(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// Reads an address as the kernel writes it: groups of four bytes in the order of the processor, and the port.
fn parsed(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let groups = hex::decode(address).ok()?;
    let bytes: Vec<u8> = groups
        .chunks(4)
        .flat_map(|group| {
            let group: [u8; 4] = group.try_into().unwrap_or_default();
            u32::from_be_bytes(group).to_ne_bytes()
        })
        .collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

fn name_in(passwd: &str, user: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(user)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_user_of_the_other_end_is_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:18F6 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1\n\
            1: 0100007F:C350 0100007F:18F6 01 00000000:00000000 00:00000000 00000000  1001        0 2\n\
            2: 0100007F:18F6 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 3\n";
        let ends = |peer: &str, local: &str| Ends {
            peer: peer.parse().unwrap(),
            local: local.parse().unwrap(),
        };
        assert_eq!(user_in(table, ends("127.0.0.1:50000", "127.0.0.1:6390")), Some(1001));
        assert_eq!(user_in(table, ends("[::ffff:127.0.0.1]:50000", "127.0.0.1:6390")), Some(1001));
        assert_eq!(user_in(table, ends("127.0.0.1:50001", "127.0.0.1:6390")), None);
        let six = "header\n0: 00000000000000000000000001000000:C350 00000000000000000000000001000000:18F6 01 \
                   00000000:00000000 00:00000000 00000000  7 0 4\n";
        assert_eq!(user_in(six, ends("[::1]:50000", "[::1]:6390")), Some(7));
        assert_eq!(name_in("root:x:0:0::/root:/bin/sh\napp:x:7:7::/:/bin/sh\n", 7), Some("app"));
    }
}
