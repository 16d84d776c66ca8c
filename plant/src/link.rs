//! A cable between two TCP peers that can be cut and mended. It relays bytes and knows no protocol.
//!
//! While it is down its port refuses connections but stays taken, so that no other program, and no
//! connection that a client makes to itself, can be in its place when it comes up again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many connections may wait to be accepted: more than any test opens at once.
const ACCEPT_BACKLOG: u32 = 64;

/// A relay from a loopback port of its own to a target. Dropping it cuts it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    target: SocketAddr,
    relay: Option<Relay>,
    reserved: Option<TcpSocket>,
}

impl Link {
    /// A link to `target` that is up, on a free loopback port.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, target, relay: Some(Relay::start(listener, target)), reserved: None })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection with a reset and refuses further ones. Returns once that is so.
    ///
    /// # Errors
    ///
    /// When another program took the port in that instant.
    pub async fn down(&mut self) -> io::Result<()> {
        if let Some(relay) = self.relay.take() {
            relay.cut().await?;
            self.reserved = Some(reserve(self.address)?);
        }
        Ok(())
    }

    /// Accepts connections again.
    ///
    /// # Errors
    ///
    /// When the port cannot be opened.
    pub fn up(&mut self) -> io::Result<()> {
        if self.relay.is_none() {
            let socket = match self.reserved.take() {
                Some(socket) => socket,
                None => reserve(self.address)?,
            };
            self.relay = Some(Relay::start(socket.listen(ACCEPT_BACKLOG)?, self.target));
        }
        Ok(())
    }
}

/// Binds a port without listening on it: it refuses connections and nobody else can have it.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were just cut may linger in TIME_WAIT on this port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[derive(Debug)]
struct Relay {
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl Relay {
    fn start(listener: TcpListener, target: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(relay(listener, target, stop.clone()));
        Self { task, stop: stop.drop_guard() }
    }

    async fn cut(self) -> io::Result<()> {
        drop(self.stop);
        self.task.await.map_err(io::Error::other)
    }
}

async fn relay(listener: TcpListener, target: SocketAddr, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => {
                // An error here belongs to a client that has already left.
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, target, stop.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Carries one connection until either end closes it or the cable is cut. A target that refuses
/// shows as a closed connection, as behind any relay.
async fn carry(mut client: TcpStream, target: SocketAddr, stop: CancellationToken) -> io::Result<()> {
    let mut server = tokio::select! {
        () = stop.cancelled() => return client.set_zero_linger(),
        connected = TcpStream::connect(target) => connected?,
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::select! {
        () = stop.cancelled() => {
            client.set_zero_linger()?;
            server.set_zero_linger()
        }
        copied = copy_bidirectional(&mut client, &mut server) => copied.map(drop),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends back whatever it gets, for ever.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    async fn says_back(stream: &mut TcpStream, text: &[u8]) -> io::Result<bool> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer == text)
    }

    #[tokio::test]
    async fn a_cut_link_resets_its_connections_refuses_more_and_comes_back_on_the_same_port() {
        let mut link = Link::to(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(says_back(&mut stream, b"before").await.unwrap());

        link.down().await.unwrap();
        assert!(says_back(&mut stream, b"during").await.is_err());
        let refused = TcpStream::connect(link.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        link.up().unwrap();
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(says_back(&mut stream, b"after").await.unwrap());
    }

    #[tokio::test]
    async fn going_down_or_up_twice_changes_nothing() {
        let mut link = Link::to(echo().await).await.unwrap();
        link.up().unwrap();
        link.down().await.unwrap();
        link.down().await.unwrap();
        assert!(TcpStream::connect(link.address()).await.is_err());
        link.up().unwrap();
        link.up().unwrap();
        assert!(TcpStream::connect(link.address()).await.is_ok());
    }
}
