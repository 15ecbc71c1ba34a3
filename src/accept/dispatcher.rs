//! Takes each accepted connection to a worker: through the connection limiter, and past the header
//! of a load balancer.

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

/// Takes connections from all listeners to the workers.
pub(crate) struct Dispatcher {
    pub(crate) limiter: Arc<ConnectionLimiter>,
    /// The settings for new connections.
    pub(crate) entry: watch::Sender<Entry>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) refusals: Arc<Refusals>,
}

/// The settings for new connections, which a reload may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Networks whose connections begin with a PROXY protocol header.
    pub(crate) proxies: Vec<IpNet>,
    /// How long the header and the TLS handshake may take together.
    pub(crate) timeout: Duration,
    pub(crate) keepalive: Option<Duration>,
}

/// A connection that the limiter has admitted and that no worker has yet.
pub(crate) struct Admitted {
    stream: Arrived,
    /// Present if the listener speaks TLS.
    tls: Option<Arc<tls::Server>>,
    peer: Peer,
    permit: Permit,
    /// `true` if `peer` is a load balancer, whose header gives the client's address.
    proxied: bool,
    at: Instant,
}

impl Dispatcher {
    /// Checks a new connection before a byte of it is read. Returns `None` if it was refused.
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

    /// Turns an admitted connection into a session. Waits only while all workers are busy; a header
    /// is read by a task of its own.
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
                debug!(%peer, %error, "cannot read the PROXY header; connection closed");
                Err(Refusal::NoProxyHeader)
            }
            Err(_) => Err(Refusal::NoProxyHeader),
        };
        match known {
            Ok(()) => self.hand_over(admitted).await,
            Err(refusal) => self.refuse(stream, tls.is_some(), *peer, refusal),
        }
    }

    /// Hands a connection to the worker with the fewest sessions, or to another if that worker's
    /// queue is full.
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
                debug!(%peer, %error, "connection lost before a worker took it");
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

    /// Refuses a connection. As in Redis, a TLS client gets no reply, since its handshake has not
    /// begun.
    fn refuse(&self, stream: &Arrived, in_tls: bool, peer: Peer, refusal: Refusal) {
        if refusal.gets_error_reply() && !in_tls {
            // The socket is new, so its buffer has room. If the client is gone, an error does not
            // matter.
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
    fn panic_ends_one_connection_and_accepting_continues() {
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
