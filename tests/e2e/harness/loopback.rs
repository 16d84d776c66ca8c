//! Addresses for peers.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// The upper half of 127.0.0.0/8, all of which is loopback on Linux. 13 bits tell the process, 10 the peer.
const BASE: u32 = 0x7F80_0000;
const PROCESSES: u32 = 1 << 13;
const PEERS: u32 = 1 << 10;

static HANDED_OUT: AtomicU32 = AtomicU32::new(1);

/// A loopback address that no other peer of any test has, so a peer that stops and starts again finds its port free.
pub(crate) fn own_address() -> Ipv4Addr {
    let process = std::process::id() % PROCESSES;
    let peer = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
    // The last one of the last process would be the network's broadcast.
    assert!(peer < PEERS - 1, "more peers than addresses");
    Ipv4Addr::from(BASE + process * PEERS + peer)
}

/// An address with a port on which nothing listens.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(SocketAddrV4::new(own_address(), 0)).expect("loopback can be bound");
    listener.local_addr().expect("it is bound")
}
