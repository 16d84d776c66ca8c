//! A small MQTT 5 broker in memory, for the demo and the tests.
//!
//! It does QoS 0 and 1, wildcards, retained messages, wills, keep-alive and session takeover. It
//! says in CONNACK what it does not do: QoS 2, sessions that outlive their connection, topic aliases,
//! shared subscriptions and subscription identifiers. It ignores message expiry and will delay, asks
//! for no password and speaks no TLS.
//!
//! It loses nothing on the way to a connected subscriber: a message is acknowledged to its publisher
//! once it stands in the outbox of every subscriber, and a full outbox holds the publisher back. A
//! subscriber that stops reading therefore stops its publishers until its keep-alive throws it out.
//!
//! To make it go away and come back, put a [`crate::link::Link`] before it.

mod connection;
mod switchboard;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use switchboard::Switchboard;

/// A running broker. Dropping it closes the port and every connection, without wills.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Broker {
    /// A broker on `listen` (port 0 for a free one).
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener)));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener) {
    let switchboard = Arc::new(Switchboard::default());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error here belongs to a client that has already left.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(stream, Arc::clone(&switchboard)));
                }
            }
            // How a client left is its own affair.
            Some(_) = connections.join_next() => {}
        }
    }
}
