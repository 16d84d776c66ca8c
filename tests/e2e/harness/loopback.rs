//! Addresses for peers.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

static HANDED_OUT: AtomicU8 = AtomicU8::new(1);

/// A loopback address that no other peer of any test has (127.0.0.0/8 is all loopback on Linux), so a peer
/// that stops and starts again finds its port free.
pub(crate) fn own_address() -> Ipv4Addr {
    let [_, _, process_high, process_low] = std::process::id().to_be_bytes();
    let peer = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
    assert!(peer < u8::MAX, "more peers than addresses");
    Ipv4Addr::new(127, process_high | 0x80, process_low, peer)
}

/// An address with a port on which nothing listens.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(SocketAddrV4::new(own_address(), 0)).expect("loopback can be bound");
    listener.local_addr().expect("it is bound")
}
