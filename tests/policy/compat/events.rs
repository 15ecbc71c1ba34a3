//! `policy.compat.notify_keyspace_events`: `CONFIG SET` of what the server has already.

use support::servers::{ALL, on_each};
use support::{Deadline, Redis};

use super::{ask, start};

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn setting_events_succeeds_if_the_server_has_them() {
    on_each(&ALL, |server| {
        let redis = Redis::setup().server(server).config("notify-keyspace-events Ex").start();
        let redoubt = start(&redis);
        let (mut wire, mut direct) = (redoubt.session(), redis.direct());
        let set =
            |flags: &str| ["CONFIG", "SET", "notify-keyspace-events", flags].map(str::to_owned);
        for flags in ["Ex", "xE", "E", "x", "", "ExExEx", "x\0q"] {
            assert_eq!(ask(&mut wire, &set(flags)), "+OK\\r\\n", "{flags:?}");
        }
        for flags in ["q", "KEq", "AKE!", " Ex", "ex,", "KEé"] {
            let own = ask(&mut direct, &set(flags));
            assert!(own.starts_with("-ERR CONFIG SET failed"), "{own}");
            assert_eq!(ask(&mut wire, &set(flags)), own, "{flags:?}");
        }
        for (flags, lacks, needs) in
            [("KEx", "'K'", "'xKE'"), ("AKE", "'g$lshzetdK'", "'AKE'"), ("Exm", "'m'", "'xEm'")]
        {
            let reply = ask(&mut wire, &set(flags)).replace("\\'", "'");
            assert!(reply.starts_with("-ERR Redoubt does not change"), "{reply}");
            assert!(reply.contains(&format!("lacks {lacks}")), "{reply}");
            assert!(reply.contains(&format!("set it to {needs}")), "{reply}");
            // What the error asks for is what the server needs.
            assert_eq!(ask(&mut direct, &set(needs.trim_matches('\''))), "+OK\\r\\n");
            let mut is_ok = || ask(&mut wire, &set(flags)) == "+OK\\r\\n";
            assert!(Deadline::standard().poll(&mut is_ok), "{flags}");
            assert_eq!(ask(&mut direct, &set("Ex")), "+OK\\r\\n");
            let mut is_back = || ask(&mut wire, &set(flags)) != "+OK\\r\\n";
            assert!(Deadline::standard().poll(&mut is_back), "{flags}");
        }
        assert!(ask(&mut direct, &["CONFIG", "GET", "notify-keyspace-events"]).contains("xE"));
    });
}
