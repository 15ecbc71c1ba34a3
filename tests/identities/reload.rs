//! Reloads under load, with rules that change each time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use support::{frame, servers};

use crate::{Identities, fill};

/// Requests in each pipeline.
const PIPELINE: usize = 30;
const RELOADS: usize = 12;

#[test]
fn reloads_under_load_lose_no_reply_and_open_nothing_that_neither_rule_allows() {
    let rules = ["[\"~a:*\", \"~both:*\", \"+get\"]", "[\"~b:*\", \"~both:*\", \"+get\"]"];
    let all = ("other", &[("acl", "[\"~*\", \"+get\"]")][..]);
    let mut identities =
        Identities::start(servers::tested(), &[("worker", &[("acl", rules[0])]), all]);
    let keys = ["a:1", "b:1", "both:1", "c:1"];
    for key in keys {
        fill(&identities.redis, &[&["SET", key, key]]);
    }
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for (name, is_limited) in [("worker", true), ("worker", true), ("other", false)] {
            let mut session = identities.session(name);
            let (stop, served) = (&stop, &served);
            scope.spawn(move || {
                let keys: Vec<_> = (0..PIPELINE).map(|n| keys[n % keys.len()]).collect();
                let requests: Vec<u8> =
                    keys.iter().flat_map(|key| frame::request(&["GET", key])).collect();
                while !stop.load(Ordering::Relaxed) {
                    session.send(&requests);
                    for key in &keys {
                        let reply = session.frame();
                        let value = frame::bulk(key.as_bytes());
                        let is_refused = reply.starts_with(b"-NOPERM");
                        let (may_be_served, may_be_refused) = match *key {
                            _ if !is_limited => (true, false),
                            "both:1" => (true, false),
                            "c:1" => (false, true),
                            _ => (true, true),
                        };
                        let fits =
                            (may_be_served && reply == value) || (may_be_refused && is_refused);
                        assert!(fits, "{name} {key}: {}", support::shown(&reply));
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=RELOADS {
            identities.redoubt.write("identities.worker.acl", Some(rules[round % 2]));
            let line = identities.redoubt.reload();
            assert!(line.contains("\"closed_sessions\":0"), "{line}");
            let before = served.load(Ordering::Relaxed);
            let goes_on = || served.load(Ordering::Relaxed) > before + 3;
            assert!(support::Deadline::standard().poll(goes_on), "nothing is served");
        }
        stop.store(true, Ordering::Relaxed);
    });
}
