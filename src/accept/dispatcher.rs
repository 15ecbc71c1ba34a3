//! What a connection passes on its way to a worker: the limiter, and the header of a load balancer.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::accept::proxy_protocol;
use crate::net::accepted::Accepted;
use crate::net::handshake::Handshake;
use crate::net::options::prepare;
use crate::net::peer::Peer;
use crate::net::refusals::Refusals;
use crate::net::stream::Arrived;
use crate::tls;
use crate::worker::handle::WorkerHandle;
use redoubt_core::auth::{ConnectionLimiter, Permit, Refusal, is_in};
use redoubt_core::resp::reply;

/// Leads from every listener to the workers.
pub(crate) struct Dispatcher {
    pub(crate) limiter: Arc<ConnectionLimiter>,
    /// What is in force for whoever comes next.
    pub(crate) entry: watch::Sender<Entry>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) refusals: Arc<Refusals>,
}

/// How connections come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whose connections begin with a header.
    pub(crate) proxies: Vec<IpNet>,
    /// How long the header and the handshake may take together.
    pub(crate) timeout: Duration,
    pub(crate) keepalive: Option<Duration>,
}

/// A connection that has a place and is on its way.
pub(crate) struct Admitted {
    stream: Arrived,
    /// Present if TLS is spoken.
    tls: Option<Arc<tls::Server>>,
    peer: Peer,
    permit: Permit,
    /// Whether `peer` is to tell who the client is.
    proxied: bool,
    at: Instant,
}

impl Dispatcher {
    /// Looks at a new connection before a byte of it is read. `None` when it was refused.
    pub(crate) fn admit(
        &self,
        stream: Arrived,
        peer: Peer,
        tls: Option<Arc<tls::Server>>,
    ) -> Option<Admitted> {
        #[cfg(test)]
        assert_ne!(peer.ip(), Some(tests::PANICS), "as a test asked");
        let at = Instant::now();
        let proxied = peer.ip().is_some_and(|ip| is_in(&self.entry.borrow().proxies, ip));
        let client = peer.ip().filter(|_| !proxied);
        match self.limiter.admit(client, at.into_std()) {
            Ok(mut permit) => {
                peer.user().into_iter().for_each(|user| permit.is_of_user(user));
                Some(Admitted { stream, tls, peer, permit, proxied, at })
            }
            Err(refusal) => {
                self.refuse(&stream, tls.is_some(), peer, refusal);
                None
            }
        }
    }

    /// Has an admitted connection become a session. Waits only while all workers are busy; a header
    /// is waited for by a task of its own.
    pub(crate) async fn enter(self: &Arc<Self>, admitted: Admitted) {
        if admitted.proxied {
            tokio::spawn(Arc::clone(self).introduce(admitted));
        } else {
            self.hand_over(admitted).await;
        }
    }

    async fn introduce(self: Arc<Self>, mut admitted: Admitted) {
        let Admitted { stream, tls, peer, permit, at, .. } = &mut admitted;
        // Only TCP peers are load balancers that send a header.
        let Arrived::Tcp(tcp) = stream else { return };
        let within = self.entry.borrow().timeout;
        let header = timeout_at(*at + within, proxy_protocol::read(tcp)).await;
        let known = match header {
            Ok(Ok(client)) => {
                *peer = client.map_or(*peer, Peer::from);
                let ip = peer.ip().ok_or(Refusal::NoProxyHeader);
                ip.and_then(|ip| permit.identify(ip, Instant::now().into_std()))
            }
            Ok(Err(error)) => {
                debug!(%peer, %error, "cannot tell the client");
                Err(Refusal::NoProxyHeader)
            }
            Err(_) => Err(Refusal::NoProxyHeader),
        };
        match known {
            Ok(()) => self.hand_over(admitted).await,
            Err(refusal) => self.refuse(stream, tls.is_some(), *peer, refusal),
        }
    }

    /// Gives a connection to the worker with the fewest sessions, or to another if that one does not
    /// keep up.
    async fn hand_over(&self, admitted: Admitted) {
        let Admitted { stream, tls, peer, permit, at, .. } = admitted;
        let (keepalive, within) = {
            let entry = self.entry.borrow();
            (entry.keepalive, entry.timeout)
        };
        if let Arrived::Tcp(stream) = &stream
            && let Err(error) = prepare(stream, keepalive)
        {
            debug!(%peer, %error, "cannot set socket options");
        }
        let stream = match stream.pass() {
            Ok(stream) => stream,
            Err(error) => {
                debug!(%peer, %error, "lost a connection");
                return;
            }
        };
        let Some(least) = self.workers.iter().min_by_key(|worker| worker.load.sessions()) else {
            return;
        };
        let handshake = tls.map(|server| Handshake {
            server,
            deadline: at + within,
            refusals: Arc::clone(&self.refusals),
        });
        let mut accepted =
            Accepted { stream, handshake, peer, permit, at: at.into_std(), place: None };
        for worker in std::iter::once(least).chain(&self.workers) {
            match worker.try_accept(accepted) {
                Ok(()) => return,
                Err(back) => accepted = back,
            }
        }
        least.accept(accepted).await;
    }

    /// Refuses a connection. As in Redis, a TLS client gets no reply, since its handshake has not begun.
    fn refuse(&self, stream: &Arrived, in_tls: bool, peer: Peer, refusal: Refusal) {
        if refusal.gets_error_reply() && !in_tls {
            // The socket is new, so its buffer has room; a client that is gone is no loss.
            let _ = stream.try_write(&reply::MAX_CLIENTS);
        }
        debug!(%peer, reason = %refusal, "connection refused");
        self.refusals.count(refusal, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use socket2::{Domain, Socket, Type};
    use tokio_util::sync::CancellationToken;

    use crate::config::{Environment, Settings};
    use crate::control::Server;

    pub(super) const PANICS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99));

    #[test]
    fn a_panic_ends_one_connection_and_not_the_accepting() {
        let environment = Environment::from_lookup(|_| None);
        let text = "listen = \"127.0.0.1:0\"\nallow_weak_passwords = true\n\
                    [upstream]\nurl = \"redis://127.0.0.1:1\"\npassword = \"x\"\n\
                    [admin]\nlisten = \"off\"\n";
        let settings = Settings::parse("test".as_ref(), text, &environment).unwrap();
        let server = Server::bind(&settings).unwrap();
        let address = server.local_addrs()[0];
        let stop = CancellationToken::new();
        let running = std::thread::spawn({
            let stop = stop.clone();
            move || server.run(stop)
        });
        for _ in 0..2 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::new(PANICS, 0).into()).unwrap();
            socket.connect(&address.into()).unwrap();
            assert_eq!(std::net::TcpStream::from(socket).read(&mut [0; 16]).unwrap_or(0), 0);
            let mut other = std::net::TcpStream::connect(address).unwrap();
            other.write_all(b"QUIT\r\n").unwrap();
            let mut reply = Vec::new();
            other.read_to_end(&mut reply).unwrap();
            assert_eq!(reply, b"+OK\r\n");
        }
        stop.cancel();
        running.join().unwrap().unwrap();
    }
}
