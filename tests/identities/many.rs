//! 200 identities at once.

use support::{servers, shown};

use crate::{Identities, texts};

const MANY: usize = 200;

#[test]
fn two_hundred_identities_have_their_own_rights_and_few_links() {
    let names: Vec<_> =
        (0..MANY).map(|n| (format!("app{n}"), format!("[\"~app{n}:*\", \"+@all\"]"))).collect();
    let keys: Vec<_> = names.iter().map(|(_, acl)| [("acl", acl.as_str())]).collect();
    let identities: Vec<_> =
        names.iter().zip(&keys).map(|((name, _), keys)| (name.as_str(), &keys[..])).collect();
    let mut identities = Identities::start(servers::tested(), &identities);
    let mut sessions: Vec<_> = names.iter().map(|(name, _)| identities.session(name)).collect();
    for (n, session) in sessions.iter_mut().enumerate() {
        assert_eq!(session.command(&["SET", &format!("app{n}:k"), "1"]), b"+OK\r\n");
        let other = format!("app{}:k", (n + 1) % MANY);
        assert!(texts(&session.command(&["GET", &other])).starts_with("-NOPERM"), "{other}");
    }
    let links = texts(&identities.redis.direct().command(&["CLIENT", "LIST"]));
    let links = links.lines().filter(|line| line.contains("user=redoubt-")).count();
    assert!(links <= 2 * MANY + 8, "{links} connections to the server");
    identities.redoubt.write("identities.app7.acl", Some("[\"~app8:*\", \"+@all\"]"));
    let line = identities.redoubt.reload();
    assert!(line.contains("\"closed_sessions\":0"), "{line}");
    assert_eq!(sessions[7].command(&["GET", "app8:k"]), b"$1\r\n1\r\n");
    assert!(texts(&sessions[7].command(&["GET", "app7:k"])).starts_with("-NOPERM"));
    for (n, session) in sessions.iter_mut().enumerate().filter(|(n, _)| *n != 7) {
        let reply = session.command(&["GET", &format!("app{n}:k")]);
        assert_eq!(shown(&reply), shown(b"$1\r\n1\r\n"), "app{n}");
    }
}
