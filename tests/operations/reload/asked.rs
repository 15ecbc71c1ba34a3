//! A reload that is requested within the process is answered and counted.

use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;

use redoubt::config::{Environment, Settings};
use redoubt::control::Server;
use redoubt::reload::{ReloadRequest, ReloadSender, Reloaded, Reloads};
use redoubt::telemetry::metrics;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use support::{Redis, Wire, scrape, secret};

fn value(series: &str) -> f64 {
    scrape::value(&metrics::render(), series)
}

/// A Redoubt within this process, with a configuration that is text.
struct Asked {
    text: Arc<Mutex<String>>,
    asks: ReloadSender,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Asked {
    fn ask(&self) -> Result<Reloaded, String> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .blocking_send(ReloadRequest { reply })
            .expect("the control task receives reload requests");
        answer.blocking_recv().expect("an answer")
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[test]
#[cfg_attr(feature = "redis-stands-in", ignore = "tests a feature that only Redoubt has")]
fn a_requested_reload_answers_with_its_changes_or_its_error() {
    static RECORDER: Once = Once::new();
    RECORDER.call_once(|| metrics::install().unwrap());
    let redis = Redis::start();
    let (old, new) = (secret(), secret());
    let with = |password: &str, more: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\n{more}[admin]\nlisten = \"off\"\n[client]\n\
             password = \"{password}\"\n[upstream]\nurl = \"redis://127.0.0.1:{}\"\n\
             password = \"{}\"\n",
            redis.port(),
            redis.password()
        )
    };
    let text = Arc::new(Mutex::new(with(&old, "")));
    let load = {
        let text = Arc::clone(&text);
        move || {
            let environment = Environment::from_lookup(|_| None);
            Settings::parse("test".as_ref(), &text.lock().unwrap(), &environment)
        }
    };
    let server = Server::bind(&load().unwrap()).unwrap().reloading(Reloads::from(load));
    let (address, asks, stop) =
        (server.local_addrs()[0], server.reload_sender(), CancellationToken::new());
    let thread = std::thread::spawn({
        let stop = stop.clone();
        move || server.run(stop).unwrap()
    });
    let asked = Asked { text, asks, stop, thread: Some(thread) };
    let mut sessions = [(); 3].map(|()| Wire::authenticated(address, &old));

    assert_eq!(asked.ask(), Ok(Reloaded::default()));
    *asked.text.lock().unwrap() = with(&new, "workers = 2\ndrain_delay = \"1ms\"\n");
    let done = asked.ask().unwrap();
    assert_eq!(done.changed, ["drain_delay", "client.password"]);
    assert_eq!(done.needs_restart, ["workers"]);
    assert_eq!(done.closed_sessions, 3);
    for session in &mut sessions {
        assert_eq!(session.read_to_close(), b"");
    }
    *asked.text.lock().unwrap() = with(&old, "worker = 2\n");
    let error = asked.ask().unwrap_err();
    assert!(error.contains("worker") && !error.contains(&old), "{error}");
    assert_eq!(Wire::authenticated(address, &new).command(&["PING"]), b"+PONG\r\n");
    assert_eq!(value("redoubt_reloads_total{outcome=\"ok\"}"), 2.0);
    assert_eq!(value("redoubt_reloads_total{outcome=\"failed\"}"), 1.0);
}
