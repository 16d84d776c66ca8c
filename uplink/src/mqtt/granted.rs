//! What a broker grants in its CONNACK (MQTT 5.0, section 3.2.2.3), and how large packets are. Pure.

use std::time::Duration;

use rumqttc::ConnAck;

use super::handle::CONTENT_TYPE;
use super::reason::Trouble;

/// The largest packet of the protocol (MQTT 5.0, section 2.1.4): a remaining length of 268,435,455
/// after the type and the four bytes of the length itself.
const PROTOCOL_MAX_PACKET_BYTES: u32 = 268_435_455 + 5;

/// What a broker grants for one connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Granted {
    /// The largest packet that it takes.
    pub(super) max_packet_bytes: u32,
    /// The keep alive that holds; none when the broker wants no pings.
    pub(super) keep_alive: Option<Duration>,
    /// Whether it keeps retained messages.
    pub(super) retain: Retain,
}

/// Whether retained messages are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Retain {
    Kept,
    NotSupported,
}

impl Granted {
    /// What `connack` grants to a client that asked for `keep_alive`, or why nothing can be
    /// published on such a connection.
    pub(super) fn by(connack: &ConnAck, keep_alive: Duration) -> Result<Self, Trouble> {
        let mut granted = Self {
            max_packet_bytes: PROTOCOL_MAX_PACKET_BYTES,
            keep_alive: Some(keep_alive),
            retain: Retain::Kept,
        };
        let Some(properties) = &connack.properties else { return Ok(granted) };
        if properties.max_qos == Some(0) {
            return Err(Trouble::needs_operator(
                "the broker takes QoS 0 only (maximum QoS 0); without PUBACKs nothing can be delivered safely",
            ));
        }
        if properties.receive_max == Some(0) {
            return Err(Trouble::needs_operator(
                "the broker grants a receive maximum of 0, which MQTT 5 forbids",
            ));
        }
        if let Some(bytes) = properties.max_packet_size {
            granted.max_packet_bytes = bytes.min(PROTOCOL_MAX_PACKET_BYTES);
        }
        if let Some(seconds) = properties.server_keep_alive {
            granted.keep_alive = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        }
        if properties.retain_available == Some(0) {
            granted.retain = Retain::NotSupported;
        }
        Ok(granted)
    }
}

/// The size of the PUBLISH packet that carries an event (MQTT 5.0, section 3.3).
pub(super) fn publish_packet_bytes(topic_bytes: usize, payload_bytes: usize) -> u64 {
    const PACKET_ID: usize = 2;
    const LENGTH_PREFIX: usize = 2;
    // The length of the properties fits one byte; each property is its identifier and its value.
    const PROPERTIES: usize = 1 + 1 + LENGTH_PREFIX + CONTENT_TYPE.len();
    let remaining = (LENGTH_PREFIX + topic_bytes + PACKET_ID + PROPERTIES + payload_bytes) as u64;
    1 + variable_byte_integer_bytes(remaining) + remaining
}

/// MQTT 5.0, section 1.5.5: seven bits a byte.
const fn variable_byte_integer_bytes(value: u64) -> u64 {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::{prop_assert_eq, proptest};
    use rumqttc::{ConnAckProperties, ConnectReturnCode, Publish, PublishProperties, QoS};

    use super::*;

    const ASKED: Duration = Duration::from_secs(30);

    fn connack(grant: impl FnOnce(&mut ConnAckProperties)) -> ConnAck {
        let mut properties = ConnAckProperties {
            session_expiry_interval: None,
            receive_max: None,
            max_qos: None,
            retain_available: None,
            max_packet_size: None,
            assigned_client_identifier: None,
            topic_alias_max: None,
            reason_string: None,
            user_properties: Vec::new(),
            wildcard_subscription_available: None,
            subscription_identifiers_available: None,
            shared_subscription_available: None,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        };
        grant(&mut properties);
        ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: Some(properties) }
    }

    #[test]
    fn a_silent_connack_grants_the_protocols_own_limits() {
        let silent = ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: None };
        let expected =
            Granted { max_packet_bytes: 268_435_460, keep_alive: Some(ASKED), retain: Retain::Kept };
        assert_eq!(Granted::by(&silent, ASKED), Ok(expected));
        assert_eq!(Granted::by(&connack(|_| ()), ASKED), Ok(expected));
    }

    #[test]
    fn what_the_broker_restricts_is_respected() {
        let granted = Granted::by(
            &connack(|properties| {
                properties.max_packet_size = Some(2048);
                properties.server_keep_alive = Some(5);
                properties.retain_available = Some(0);
            }),
            ASKED,
        );
        let keep_alive = Some(Duration::from_secs(5));
        assert_eq!(granted, Ok(Granted { max_packet_bytes: 2048, keep_alive, retain: Retain::NotSupported }));
        let no_pings = Granted::by(&connack(|properties| properties.server_keep_alive = Some(0)), ASKED);
        assert_eq!(no_pings.expect("granted").keep_alive, None);
    }

    #[test]
    fn a_broker_that_gives_no_pubacks_is_refused() {
        assert!(Granted::by(&connack(|properties| properties.max_qos = Some(0)), ASKED).is_err());
        assert!(Granted::by(&connack(|properties| properties.receive_max = Some(0)), ASKED).is_err());
        assert!(Granted::by(&connack(|properties| properties.max_qos = Some(1)), ASKED).is_ok());
    }

    proptest! {
        #[test]
        fn packet_sizes_are_those_that_are_written(topic_bytes in 1..300_usize, payload_bytes in 0..40_000_usize) {
            let properties =
                PublishProperties { content_type: Some(CONTENT_TYPE.to_owned()), ..PublishProperties::default() };
            let mut publish =
                Publish::new("t".repeat(topic_bytes), QoS::AtLeastOnce, vec![0; payload_bytes], Some(properties));
            publish.pkid = 1;
            let mut written = BytesMut::new();
            publish.write(&mut written).expect("a valid packet");
            prop_assert_eq!(publish_packet_bytes(topic_bytes, payload_bytes), written.len() as u64);
        }
    }
}
