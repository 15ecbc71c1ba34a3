//! Scrapes while clients are served: their content, and their effect on the clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::turn;
use redoubt_core::command;
use support::{Deadline, Redis, Redoubt, Wire, frame, now, since};

/// A Redoubt that has every series by command that it can have, and more sessions than are busy.
struct Loaded {
    redoubt: Redoubt,
    _idle: Vec<Wire>,
    _redis: Redis,
}

impl Loaded {
    fn start() -> Self {
        let redis = Redis::start();
        let redoubt = Redoubt::start(&redis);
        for spec in command::specs() {
            let mut session = redoubt.session();
            session.send(&frame::request(&spec.name.split('|').collect::<Vec<_>>()));
            // Redis answers some of them by closing the connection.
            session.finish();
            session.read_to_close();
        }
        let idle = (0..200).map(|_| redoubt.session()).collect();
        redoubt.metric_becomes("redoubt_sessions", 200.0);
        let scrape = redoubt.scrape();
        let series = scrape.lines().filter(|line| line.starts_with("redoubt_commands_total"));
        assert!(series.count() >= command::COUNT - 10, "{scrape}");
        Self { redoubt, _idle: idle, _redis: redis }
    }

    /// Makes clients send one request after the other while `meanwhile` runs. Returns how long each
    /// request took, in seconds, shortest first.
    fn under_load(&self, meanwhile: impl FnOnce()) -> Vec<f64> {
        let stop = AtomicBool::new(false);
        let mut times = std::thread::scope(|scope| {
            let stopper = Stopper(&stop);
            let clients = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut client = self.redoubt.session();
                    let mut times = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let began = now();
                        client.command(&["INCR", "counter"]);
                        times.push(since(began));
                    }
                    times
                })
            });
            meanwhile();
            drop(stopper);
            clients.map(|client| client.join().unwrap()).concat()
        });
        times.sort_by(f64::total_cmp);
        times
    }
}

/// Stops the clients when dropped, also when a check fails.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The duration of a scrape is a goal of benches/peers, since no limit would suit every machine.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scrapes_under_load_are_complete() {
    let _turn = turn();
    let loaded = Loaded::start();
    let times = loaded.under_load(|| {
        for _ in 0..20 {
            let scrape = loaded.redoubt.scrape();
            assert!(scrape.len() > 10_000, "{scrape}");
        }
    });
    assert!(times.len() > 20, "{} requests", times.len());
}

/// Windows with a scrape and without alternate, so that other load on the machine affects both. It can
/// only make the ratio worse, so one good try is enough; benches/peers measures the exact ratio.
#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn scrapes_do_not_delay_requests() {
    let _turn = turn();
    const TRIES: usize = 3;
    let loaded = Loaded::start();
    let p99 = |scrape: bool| {
        let times = loaded.under_load(|| {
            let window = Deadline::after(Duration::from_millis(200));
            if scrape {
                loaded.redoubt.scrape();
            }
            window.poll(|| false);
        });
        times[times.len() * 99 / 100]
    };
    let ratio = || median((0..5).map(|_| p99(true) / p99(false)).collect());
    let ratios: Vec<_> = (0..TRIES).map(|_| ratio()).collect();
    assert!(ratios.iter().any(|ratio| *ratio < 1.5), "p99 grows by {ratios:?}");
}
