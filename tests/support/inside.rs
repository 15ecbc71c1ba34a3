//! Redoubt within the test's own process, where its metrics can be read. The recorder is one for the
//! whole process, so what two of them count comes together.

use std::net::SocketAddr;
use std::sync::Once;
use std::thread::JoinHandle;

use redoubt::config::{Environment, Settings};
use redoubt::net::Server;
use redoubt::telemetry::metrics;
use tokio_util::sync::CancellationToken;

use super::{Deadline, Redis, Wire, secret};

/// Redoubt and the Redis behind it; stopped when dropped.
pub struct Inside {
    pub redis: Redis,
    pub address: SocketAddr,
    pub password: String,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// With `more` lines at the end of its configuration.
    pub fn start(redis: Redis, more: &str) -> Self {
        static RECORDER: Once = Once::new();
        RECORDER.call_once(|| metrics::install().unwrap());
        let (password, stop) = (secret(), CancellationToken::new());
        let text = format!(
            "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[client]\n\
             password = \"{password}\"\n[upstream]\nurl = \"redis://127.0.0.1:{}\"\npassword = \"{}\"\n{more}",
            redis.port(),
            redis.password()
        );
        let environment = Environment::from_lookup(|_| None);
        let settings = Settings::parse("test".as_ref(), &text, &environment).unwrap();
        let server = Server::bind(&settings).unwrap();
        let address = server.local_addrs()[0];
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || server.run(stop).unwrap()
        });
        Self { redis, address, password, stop, thread: Some(thread) }
    }

    /// An authenticated client.
    pub fn client(&self) -> Wire {
        Wire::authenticated(self.address, &self.password)
    }

    /// Returns when it has stopped.
    pub fn stop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The value of a series as the scrape writes it; 0 when it is not there.
pub fn value(series: &str) -> f64 {
    let scrape = metrics::render();
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until `series` is `wanted`.
pub fn becomes(series: &str, wanted: f64) {
    Deadline::patient().poll(|| value(series) == wanted);
    assert_eq!(value(series), wanted, "{series}");
}
