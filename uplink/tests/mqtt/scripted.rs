//! A broker that does what the test says: raw MQTT 5 packets over TCP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::soon;

pub(crate) const CONNECT: u8 = 1;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PINGREQ: u8 = 12;
/// The whole packet.
pub(crate) const PINGRESP: [u8; 2] = [0xD0, 0];

/// A broker without manners of its own.
pub(crate) struct ScriptedBroker {
    listener: TcpListener,
}

/// One client of it.
pub(crate) struct Peer {
    stream: TcpStream,
}

/// A packet from the client.
pub(crate) struct Packet {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) body: Vec<u8>,
}

impl Packet {
    /// The packet identifier of a PUBLISH with QoS 1.
    pub(crate) fn packet_id(&self) -> u16 {
        assert_eq!((self.kind, self.flags & 0b110), (PUBLISH, 0b010), "a PUBLISH with QoS 1");
        let topic_bytes = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        u16::from_be_bytes([self.body[2 + topic_bytes], self.body[3 + topic_bytes]])
    }

    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        self.body.windows(bytes.len()).any(|window| window == bytes)
    }
}

impl ScriptedBroker {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Accepts the next client and answers its CONNECT with `code` and these properties.
    pub(crate) async fn accept_with(&self, code: u8, properties: &[u8]) -> (Peer, Packet) {
        let (stream, _) = soon("a client", self.listener.accept()).await.unwrap();
        let mut peer = Peer { stream };
        let connect = peer.packet().await;
        assert_eq!(connect.kind, CONNECT);
        let property_bytes = u8::try_from(properties.len()).unwrap();
        let mut connack = vec![0x20, 3 + property_bytes, 0, code, property_bytes];
        connack.extend_from_slice(properties);
        peer.send(&connack).await;
        (peer, connect)
    }

    /// Accepts someone who says nothing and goes.
    pub(crate) async fn looked_at(&self) {
        let (stream, _) = soon("a look", self.listener.accept()).await.unwrap();
        assert!(Peer { stream }.try_packet().await.is_none(), "nothing is said");
    }

    /// Accepts the next client, and acknowledges the status that it publishes.
    pub(crate) async fn welcome(&self) -> Peer {
        self.welcome_with(&[]).await
    }

    /// The same with properties in the CONNACK.
    pub(crate) async fn welcome_with(&self, properties: &[u8]) -> Peer {
        let (mut peer, _) = self.accept_with(0, properties).await;
        let status = peer.publish().await;
        assert!(status.contains(br#""status":"online""#));
        peer.puback(status.packet_id(), 0).await;
        peer
    }
}

impl Peer {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn puback(&mut self, packet_id: u16, reason: u8) {
        let [high, low] = packet_id.to_be_bytes();
        self.send(&[0x40, 3, high, low, reason]).await;
    }

    /// The next packet. Panics when the client has gone.
    pub(crate) async fn packet(&mut self) -> Packet {
        soon("a packet", self.try_packet()).await.expect("the client is there")
    }

    /// The next packet, or none when the client has gone.
    pub(crate) async fn try_packet(&mut self) -> Option<Packet> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = self.stream.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Packet { kind: first >> 4, flags: first & 0x0F, body })
    }

    /// The next PUBLISH. Pings before it are answered; anything else is a mistake of the client.
    pub(crate) async fn publish(&mut self) -> Packet {
        loop {
            let packet = self.packet().await;
            match packet.kind {
                PUBLISH => return packet,
                PINGREQ => self.send(&PINGRESP).await,
                other => panic!("a packet of type {other} where a PUBLISH was due"),
            }
        }
    }

    /// Reads until the client has gone.
    pub(crate) async fn gone(mut self) {
        soon("the client to go", async { while self.try_packet().await.is_some() {} }).await;
    }
}
