//! One client's connection, as three loops over one session: the reader takes packets in, the router
//! answers them and hands messages to subscribers, the writer sends.
//!
//! The reader takes PUBACKs itself and never waits for the writer, so a client that both publishes
//! and subscribes cannot bring the three to a standstill.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::v5::{
    Codec, ConnAck, ConnAckProperties, Connect, ConnectReturnCode, DisconnectReasonCode, LastWill, Packet,
    PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode, UnsubAck, UnsubAckReason, Unsubscribe,
};
use rumqttc::mqttbytes::{Error, QoS, valid_filter};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::switchboard::{Delivery, MAX_QOS, SessionId, Switchboard, lower};

/// How long a client may take to send CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest packet that is taken: many times an event, and a bound on a connection's memory.
const MAX_PACKET_BYTES: u32 = 1 << 20;
/// Publishes that a client may have unacknowledged; also how many packets wait for the router, so
/// that the reader always has room for what an obedient client sends.
const RECEIVE_MAXIMUM: u16 = 1_024;
/// Packets that wait for the writer; beyond it publishers wait.
const OUTBOX_CAPACITY: usize = 1_024;
/// CONNACK of MQTT 3.1.1 with "unacceptable protocol version", for the clients that speak it.
const OTHER_VERSION: [u8; 4] = [0x20, 0x02, 0x00, 0x01];

/// What the writer sends.
#[derive(Debug)]
pub(super) enum Outbound {
    /// An answer.
    Answer(Packet),
    /// A message; the writer gives it its packet id.
    Message(Publish),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] Error),
    #[error("the client was silent for too long")]
    Silent,
    #[error("the client closed the connection without DISCONNECT")]
    Closed,
    #[error("the client sent what it must not send at this point")]
    Protocol,
    #[error("another connection took over the client id")]
    TakenOver,
}

type Reader = FramedRead<OwnedReadHalf, Codec>;
type Writer = FramedWrite<OwnedWriteHalf, Codec>;

/// Serves one client until it leaves; publishes its will unless it left with a DISCONNECT.
pub(super) async fn serve(stream: TcpStream, switchboard: Arc<Switchboard>) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let codec = Codec { max_incoming_size: Some(MAX_PACKET_BYTES), max_outgoing_size: None };
    let (read, write) = stream.into_split();
    let mut reader = FramedRead::new(read, codec.clone());
    let mut writer = FramedWrite::new(write, codec);
    let (connect, will) = expect_connect(&mut reader, &mut writer).await?;

    let client_id = if connect.client_id.is_empty() {
        format!("anonymous-{:016x}", fastrand::u64(..))
    } else {
        connect.client_id.clone()
    };
    let (tenant, former) = switchboard.move_in(&client_id);
    if let Some(former) = former {
        // Its will comes before anything that its successor says.
        former.gone.cancelled().await;
    }
    let (outbox, outgoing) = mpsc::channel(OUTBOX_CAPACITY);
    let session = switchboard.open(outbox.clone());
    let window = window(&connect);
    let client = Client { switchboard: &switchboard, session, connect, client_id, outbox, window };
    let ended = tokio::select! {
        ended = client.run(reader, writer, outgoing) => ended,
        () = tenant.evicted.cancelled() => Err(Ended::TakenOver),
    };
    switchboard.close(session);
    if let (Err(_), Some(will)) = (&ended, will) {
        let mut message =
            Publish::new(String::from_utf8_lossy(&will.topic), lower(will.qos, MAX_QOS), will.message, None);
        message.retain = will.retain;
        hand_out(switchboard.route(session, &message)).await;
    }
    switchboard.move_out(&client.client_id, &tenant);
    ended
}

async fn expect_connect(
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<(Connect, Option<LastWill>), Ended> {
    let first = timeout(CONNECT_TIMEOUT, reader.next()).await.map_err(|_| Ended::Silent)?;
    match first.ok_or(Ended::Closed)? {
        Ok(Packet::Connect(connect, will, _)) => Ok((connect, will)),
        Ok(_) => Err(Ended::Protocol),
        Err(error) => {
            if matches!(error, Error::InvalidProtocolLevel(_)) {
                writer.get_mut().write_all(&OTHER_VERSION).await?;
            }
            Err(error.into())
        }
    }
}

/// How many messages of QoS 1 may be on their way to a client at once.
fn window(connect: &Connect) -> Semaphore {
    let asked = connect.properties.as_ref().and_then(|properties| properties.receive_maximum);
    Semaphore::new(usize::from(asked.unwrap_or(u16::MAX).clamp(1, RECEIVE_MAXIMUM)))
}

/// How long a client may be silent: one and a half times its keep-alive (MQTT 5.0, section 3.1.2.10).
fn silence(connect: &Connect) -> Duration {
    match connect.keep_alive {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds.into()).mul_f32(1.5),
    }
}

/// Waits until every message stands in its subscriber's outbox.
async fn hand_out(deliveries: Vec<Delivery>) {
    for (outbox, message) in deliveries {
        // No place means that the subscriber has left in the meantime.
        if let Ok(place) = outbox.reserve().await {
            place.send(Outbound::Message(message));
        }
    }
}

struct Client<'broker> {
    switchboard: &'broker Switchboard,
    session: SessionId,
    connect: Connect,
    client_id: String,
    outbox: mpsc::Sender<Outbound>,
    window: Semaphore,
}

impl Client<'_> {
    async fn run(
        &self,
        reader: Reader,
        mut writer: Writer,
        outgoing: mpsc::Receiver<Outbound>,
    ) -> Result<(), Ended> {
        writer.send(Packet::ConnAck(self.connack())).await?;
        let (requests, incoming) = mpsc::channel(usize::from(RECEIVE_MAXIMUM));
        // The router ends once it has answered everything that the reader took in.
        let taking_in = async {
            tokio::join!(self.read(reader, requests, silence(&self.connect)), self.answer(incoming))
        };
        tokio::select! {
            (read, answered) = taking_in => answered.and(read),
            failed = self.write(writer, outgoing) => failed,
        }
    }

    fn connack(&self) -> ConnAck {
        let properties = ConnAckProperties {
            session_expiry_interval: Some(0),
            receive_max: Some(RECEIVE_MAXIMUM),
            max_qos: Some(1),
            retain_available: Some(1),
            max_packet_size: Some(MAX_PACKET_BYTES),
            assigned_client_identifier: self.connect.client_id.is_empty().then(|| self.client_id.clone()),
            topic_alias_max: Some(0),
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: Some(1),
            subscription_identifiers_available: Some(0),
            shared_subscription_available: Some(0),
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        };
        ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: Some(properties) }
    }

    async fn read(
        &self,
        mut reader: Reader,
        requests: mpsc::Sender<Packet>,
        silence: Duration,
    ) -> Result<(), Ended> {
        loop {
            let packet = tokio::select! {
                packet = reader.next() => packet,
                () = tokio::time::sleep(silence) => return Err(Ended::Silent),
                () = requests.closed() => return Err(Ended::Protocol),
            };
            match packet.ok_or(Ended::Closed)?? {
                Packet::PubAck(_) => self.window.add_permits(1),
                Packet::Disconnect(bye) if bye.reason_code == DisconnectReasonCode::NormalDisconnection => {
                    return Ok(());
                }
                Packet::Disconnect(_) => return Err(Ended::Closed),
                request => requests.send(request).await.map_err(|_| Ended::Protocol)?,
            }
        }
    }

    async fn answer(&self, mut incoming: mpsc::Receiver<Packet>) -> Result<(), Ended> {
        while let Some(packet) = incoming.recv().await {
            let answer = match packet {
                Packet::Publish(publish) => self.publish(publish).await?,
                Packet::Subscribe(subscribe) => {
                    self.subscribe(subscribe).await;
                    None
                }
                Packet::Unsubscribe(unsubscribe) => Some(self.unsubscribe(&unsubscribe)),
                Packet::PingReq => Some(Packet::PingResp),
                _ => return Err(Ended::Protocol),
            };
            if let Some(answer) = answer {
                self.post(Outbound::Answer(answer)).await;
            }
        }
        Ok(())
    }

    async fn publish(&self, publish: Publish) -> Result<Option<Packet>, Ended> {
        if publish.qos > MAX_QOS || publish.topic.is_empty() {
            return Err(Ended::Protocol);
        }
        hand_out(self.switchboard.route(self.session, &publish)).await;
        let acknowledged = publish.qos == QoS::AtLeastOnce;
        Ok(acknowledged.then(|| Packet::PubAck(PubAck::new(publish.pkid, None))))
    }

    /// SUBACK first, then the retained messages.
    async fn subscribe(&self, subscribe: Subscribe) {
        let mut return_codes = Vec::with_capacity(subscribe.filters.len());
        let mut retained = Vec::new();
        for mut filter in subscribe.filters {
            filter.qos = lower(filter.qos, MAX_QOS);
            return_codes.push(if filter.path.starts_with("$share/") {
                SubscribeReasonCode::SharedSubscriptionsNotSupported
            } else if valid_filter(&filter.path) {
                let granted = SubscribeReasonCode::Success(filter.qos);
                retained.extend(self.switchboard.subscribe(self.session, &filter));
                granted
            } else {
                SubscribeReasonCode::TopicFilterInvalid
            });
        }
        let suback = SubAck { pkid: subscribe.pkid, return_codes, properties: None };
        self.post(Outbound::Answer(Packet::SubAck(suback))).await;
        for message in retained {
            self.post(Outbound::Message(message)).await;
        }
    }

    fn unsubscribe(&self, unsubscribe: &Unsubscribe) -> Packet {
        let remove = |path: &String| match self.switchboard.unsubscribe(self.session, path) {
            true => UnsubAckReason::Success,
            false => UnsubAckReason::NoSubscriptionExisted,
        };
        let reasons = unsubscribe.filters.iter().map(remove).collect();
        Packet::UnsubAck(UnsubAck { pkid: unsubscribe.pkid, reasons, properties: None })
    }

    async fn post(&self, outbound: Outbound) {
        // No place means that the connection has failed; the writer says why.
        if let Ok(place) = self.outbox.reserve().await {
            place.send(outbound);
        }
    }

    /// Sends what the outbox holds, flushing whenever it is empty. Ends only by failing.
    async fn write(&self, mut writer: Writer, mut outgoing: mpsc::Receiver<Outbound>) -> Result<(), Ended> {
        let mut last_id = 0;
        loop {
            let outbound = match outgoing.try_recv() {
                Ok(outbound) => outbound,
                Err(_) => {
                    writer.flush().await?;
                    outgoing.recv().await.ok_or(Ended::Closed)?
                }
            };
            let packet = match outbound {
                Outbound::Answer(packet) => packet,
                Outbound::Message(mut publish) => {
                    if publish.qos == QoS::AtLeastOnce {
                        publish.pkid = self.next_id(&mut writer, &mut last_id).await?;
                    }
                    Packet::Publish(publish)
                }
            };
            writer.feed(packet).await?;
        }
    }

    /// The next packet id, once the client has room for one more. Ids come around after 65,535, by
    /// when the window of at most [`RECEIVE_MAXIMUM`] has long passed them.
    async fn next_id(&self, writer: &mut Writer, last_id: &mut u16) -> Result<u16, Ended> {
        if self.window.available_permits() == 0 {
            writer.flush().await?;
        }
        self.window.acquire().await.expect("the window is never closed").forget();
        *last_id = last_id.checked_add(1).unwrap_or(1);
        Ok(*last_id)
    }
}
