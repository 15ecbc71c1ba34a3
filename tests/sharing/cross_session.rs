//! Attackers that try to get another session's replies, database, transaction, name, subscriptions,
//! tracking or errors, while the victims run and check every reply.
//!
//! The victims (see `victims`) never stop while the attacks run, one after another, each in a fresh
//! session. After each attack a new session, which may get the attacker's connection to Redis, looks
//! for anything that was left on it. With shared links and without.

mod attacks;
mod forged;
mod heir;
mod siege;
mod victims;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attacks::{Attack, End, Heard};
use support::{Redis, Redoubt, frame, shown};

/// A part of every reply to victims, and of nothing else.
const SECRET: &str = "for-a-victim-only";

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_attack_reaches_another_session_over_shared_links() {
    run("auto");
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn no_attack_reaches_another_session_without_shared_links() {
    run("off");
}

/// Redis sends invalidations to any connection that a client names by its number.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn invalidations_sent_to_a_shared_link_close_no_session() {
    let redis = Redis::start();
    let redoubt = Redoubt::start(&redis);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let victims: Vec<_> = (0..3)
            .map(|number| {
                let (done, redoubt) = (&done, &redoubt);
                scope.spawn(move || {
                    let mut wire = redoubt.session();
                    wire.command(&["HELLO", "3"]);
                    // There are so many requests that some are always pending when Redis serves the
                    // attacker.
                    while !done.load(Ordering::Relaxed) {
                        let word = format!("{SECRET}:{number}");
                        wire.send(&frame::request(&["ECHO", &word]).repeat(2000));
                        wire.expect(&frame::bulk(word.as_bytes()).repeat(2000));
                    }
                })
            })
            .collect();
        let mut attacker = redoubt.session();
        for id in (1..20).chain(1..20) {
            let id = id.to_string();
            attacker.command(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id, "BCAST"]);
            attacker.send(&frame::request(&["SET", "k", &id]).repeat(20));
            attacker.expect(&b"+OK\r\n".repeat(20));
        }
        done.store(true, Ordering::Relaxed);
        let ended = victims.into_iter().filter_map(|victim| victim.join().err()).count();
        assert_eq!(ended, 0, "an invalidation ended {ended} sessions");
    });
}

fn run(sharing: &str) {
    let redis = Redis::start();
    let redoubt = Redoubt::setup(&redis).set_text("upstream.sharing", sharing).start();
    let done = AtomicBool::new(false);
    let attacks = attacks::all();
    assert!(attacks.len() >= 40, "{} attacks", attacks.len());
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        let victims: Vec<_> = victims::ALL
            .iter()
            .map(|(name, victim)| {
                let (done, redoubt) = (&done, &redoubt);
                (*name, scope.spawn(move || victim(redoubt, done)))
            })
            .collect();
        for attack in &attacks {
            for _ in 0..3 {
                let attacked =
                    catch_unwind(AssertUnwindSafe(|| run_attack(&redis, &redoubt, attack)));
                if let Err(cause) = attacked {
                    wrong.push(format!("{}: {}", attack.name, text(&cause)));
                }
            }
            let killed = victims.iter().find(|(_, victim)| victim.is_finished());
            if let Some((name, _)) = killed {
                wrong.push(format!("{name} had to stop after {}", attack.name));
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        for (name, victim) in victims {
            match victim.join() {
                Ok(rounds) => assert!(rounds > 0, "{name} has done nothing"),
                Err(cause) => wrong.push(format!("{name}: {}", text(&cause))),
            }
        }
    });
    assert!(wrong.is_empty(), "with sharing {sharing}:\n{}", wrong.join("\n"));
}

/// Runs one attack, and checks what its heir finds.
fn run_attack(redis: &Redis, redoubt: &Redoubt, attack: &Attack) {
    let mut wire = redoubt.session();
    wire.set_time_limit(Duration::from_secs(10));
    match attack.end {
        End::HearsAll => {
            let step = attack.said.len().max(1);
            assert!(wire.exchange(&attack.said, step, true, |_| false), "it hangs");
        }
        End::Leaves => drop(wire.offer(&attack.said)),
        End::LeavesAfter(least) => {
            let step = attack.said.len().max(1);
            assert!(wire.exchange(&attack.said, step, false, |heard| heard.len() >= least));
        }
    }
    let heard = String::from_utf8_lossy(wire.received()).into_owned();
    assert!(!heard.contains(SECRET), "it hears {heard:?}");
    match attack.heard {
        Heard::Parts(parts) => {
            for part in parts {
                assert!(heard.contains(part), "{part:?} is missing in {}", shown(heard.as_bytes()));
            }
        }
        Heard::AsServer => {
            let mut direct = redis.direct();
            assert!(direct.exchange(&attack.said, attack.said.len(), true, |_| false), "it hangs");
            assert_eq!(shown(wire.received()), shown(direct.received()));
        }
    }
    drop(wire);
    heir::inspect(redoubt);
}

fn text(cause: &Box<dyn std::any::Any + Send>) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default().chars().take(400).collect()
}
