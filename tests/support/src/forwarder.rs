//! An address that forwards to changing servers, as a service that fails over does.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Accepts connections and forwards each to the present server, until the test ends.
pub struct Forwarder {
    port: u16,
    to: Arc<Mutex<SocketAddr>>,
    connections: Arc<AtomicUsize>,
}

impl Forwarder {
    pub fn new(to: SocketAddr) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), to)
    }

    /// The same at this address.
    pub fn at(address: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let port = listener.local_addr().unwrap().port();
        let to = Arc::new(Mutex::new(to));
        let connections = Arc::new(AtomicUsize::new(0));
        let (target, count) = (Arc::clone(&to), Arc::clone(&connections));
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                count.fetch_add(1, Ordering::Relaxed);
                let to = *target.lock().unwrap();
                let Ok(far) = TcpStream::connect(to) else { continue };
                let (back, forth) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || lead(near, forth));
                std::thread::spawn(move || lead(far, back));
            }
        });
        Self { port, to, connections }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Forwards new connections to `to`; existing connections stay.
    pub fn lead_to(&self, to: SocketAddr) {
        *self.to.lock().unwrap() = to;
    }

    /// Returns how many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn lead(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}
