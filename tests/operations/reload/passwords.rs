//! Reloads that change the identity of clients.

use super::{change, quoted, reloaded};
use support::{Redis, Redoubt, Wire, frame, secret};

const OK: &[u8] = b"+OK\r\n";

/// Returns the reply to a login.
fn auth(redoubt: &Redoubt, password: &str) -> Vec<u8> {
    redoubt.connect().command(&["AUTH", password])
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_new_client_password_closes_the_sessions_of_the_old_one() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let old = redoubt.password().to_owned();
    let mut session = redoubt.session();
    session.command(&["PING"]);
    let new = secret();
    assert_eq!(change(&mut redoubt, "client.password", &quoted(&new)), 1);
    assert_eq!(session.read_to_close(), b"");
    assert!(auth(&redoubt, &old).starts_with(b"-WRONGPASS"));
    assert_eq!(auth(&redoubt, &new), OK);
    let log = redoubt.log().all().join("\n");
    assert!(!log.contains(&new) && !log.contains(&old));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_new_client_user_closes_the_sessions_of_the_old_one() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut session = redoubt.session();
    assert_eq!(change(&mut redoubt, "client.user", "\"app\""), 1);
    assert_eq!(session.read_to_close(), b"");
    assert!(auth(&redoubt, redoubt.password()).starts_with(b"-WRONGPASS"));
    assert_eq!(redoubt.connect().command(&["AUTH", "app", redoubt.password()]), OK);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_new_password_file_is_read_and_watched_instead_of_the_old_one() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    let passwords = [(); 5].map(|()| secret());
    std::fs::write(&one, &passwords[0]).unwrap();
    std::fs::write(&two, &passwords[1]).unwrap();
    let path = |file: &std::path::Path| quoted(file.to_str().unwrap());
    let mut redoubt = Redoubt::setup(&redis).set("client.password_file", path(&one)).start();
    let mut session = Wire::authenticated(redoubt.address(), &passwords[0]);
    session.command(&["PING"]);
    assert_eq!(change(&mut redoubt, "client.password_file", &path(&two)), 1);
    assert_eq!(session.read_to_close(), b"");
    let mut session = Wire::authenticated(redoubt.address(), &passwords[1]);
    // A password that is written into the old file is not accepted.
    std::fs::write(&one, &passwords[2]).unwrap();
    std::fs::write(&two, &passwords[3]).unwrap();
    assert_eq!(session.read_to_close(), b"");
    let mut session = Wire::authenticated(redoubt.address(), &passwords[3]);
    // A watch of the old file would have noticed its change before the next change of the new file.
    std::fs::write(&two, &passwords[4]).unwrap();
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(auth(&redoubt, &passwords[4]), OK);
    for gone in &passwords[..4] {
        assert!(auth(&redoubt, gone).starts_with(b"-WRONGPASS"));
    }
    let of_the_old =
        |line: &String| line.contains("client password changed") && line.contains("/one");
    assert!(!redoubt.log().all().iter().any(of_the_old));
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn weak_passwords_are_accepted_after_a_reload_that_allows_them() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let old = secret();
    std::fs::write(&file, &old).unwrap();
    let path = quoted(file.to_str().unwrap());
    let mut redoubt = Redoubt::setup(&redis).set("client.password_file", path).start();
    change(&mut redoubt, "allow_weak_passwords", "true");
    let mut session = Wire::authenticated(redoubt.address(), &old);
    session.command(&["PING"]);
    std::fs::write(&file, "weak").unwrap();
    assert_eq!(session.read_to_close(), b"");
    assert_eq!(auth(&redoubt, "weak"), OK);
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn reload_changes_the_previous_password_and_its_end() {
    let redis = Redis::start();
    let [first, second, third] = [(); 3].map(|()| secret());
    let mut redoubt = Redoubt::setup(&redis)
        .set_text("client.previous_password", &first)
        .set_text("client.previous_until", "2990-01-01T00:00:00Z")
        .start();
    let mut old = Wire::authenticated(redoubt.address(), &first);
    let mut current = redoubt.session();
    assert_eq!(change(&mut redoubt, "client.previous_password", &quoted(&second)), 1);
    assert_eq!(old.read_to_close(), b"");
    assert!(auth(&redoubt, &first).starts_with(b"-WRONGPASS"));
    let mut old = Wire::authenticated(redoubt.address(), &second);
    assert_eq!(change(&mut redoubt, "client.previous_until", "\"2991-01-01T00:00:00Z\""), 0);
    assert_eq!(old.command(&["PING"]), b"+PONG\r\n");
    assert_eq!(change(&mut redoubt, "client.previous_until", "\"2001-01-01T00:00:00Z\""), 1);
    assert_eq!(old.read_to_close(), b"");
    // The password comes from a file.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("previous");
    std::fs::write(&file, &third).unwrap();
    redoubt.write("client.previous_password", None);
    redoubt.write("client.previous_until", Some("\"2990-01-01T00:00:00Z\""));
    let path = quoted(file.to_str().unwrap());
    redoubt.write("client.previous_password_file", Some(&path));
    let keys = "client.previous_password client.previous_password_file client.previous_until";
    reloaded(&redoubt, keys, "");
    assert_eq!(auth(&redoubt, &third), OK);
    assert_eq!(current.command(&["PING"]), b"+PONG\r\n");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_withdrawn_password_closes_blocked_sessions_too() {
    let redis = Redis::start();
    let mut redoubt = Redoubt::start(&redis);
    let mut blocked = redoubt.session();
    blocked.send(&frame::request(&["BLPOP", "list", "0"]));
    let is_blocked = || {
        let info = redis.direct().command(&["INFO", "clients"]);
        String::from_utf8_lossy(&info).contains("blocked_clients:1")
    };
    assert!(support::Deadline::standard().poll(is_blocked));
    assert_eq!(change(&mut redoubt, "client.password", &quoted(&secret())), 1);
    assert_eq!(blocked.read_to_close(), b"");
}
