//! Sockets: listener, workers, and the drivers of clients and links.
