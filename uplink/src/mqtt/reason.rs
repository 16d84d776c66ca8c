//! Why there is no connection, in words, and who can mend it.

use std::fmt;
use std::io;

use rumqttc::mqttbytes;
use rumqttc::{ConnectReturnCode, ConnectionError, DisconnectReasonCode, StateError};

/// Why there is no connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trouble {
    /// The reason, in words, with the protocol's own code where there is one.
    pub(super) reason: String,
    /// Who can mend it.
    pub(super) remedy: Remedy,
}

/// Who can mend what stands in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remedy {
    /// Time: the broker or the network comes back.
    Time,
    /// The operator of gateway or broker.
    Operator,
    /// We, by doing without retained messages.
    WithoutRetain,
}

impl Trouble {
    pub(super) fn heals(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: Remedy::Time }
    }

    pub(super) fn needs_operator(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: Remedy::Operator }
    }
}

/// A broker's own words, where it gave some.
pub(super) struct Explanation<'a>(pub(super) Option<&'a str>);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |text| write!(f, ": {text:?}"))
    }
}

/// Why a connection was not made or was lost.
pub(super) fn trouble(error: &ConnectionError) -> Trouble {
    match error {
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::MqttState(state) => state_trouble(state),
        ConnectionError::Timeout(_) => Trouble::heals("no connection within the connect timeout"),
        ConnectionError::Io(error) => io_trouble(error, error.to_string()),
        ConnectionError::NotConnAck(packet) => Trouble::needs_operator(format!(
            "the broker answered the connect with {:?}; it does not speak MQTT 5",
            packet.packet_type()
        )),
        other => Trouble::heals(other.to_string()),
    }
}

/// What broke off heals with the network. What TLS has judged, on either side, does not: rustls says
/// it as invalid data.
fn io_trouble(error: &io::Error, reason: String) -> Trouble {
    let remedy = match error.kind() {
        io::ErrorKind::InvalidData => Remedy::Operator,
        _ => Remedy::Time,
    };
    Trouble { reason, remedy }
}

fn state_trouble(error: &StateError) -> Trouble {
    match error {
        StateError::ServerDisconnect { reason_code, reason_string } => {
            disconnect(*reason_code, reason_string.as_deref())
        }
        StateError::ConnectionAborted => Trouble::heals("the broker closed the connection"),
        StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)) => {
            io_trouble(error, format!("the connection broke: {error}"))
        }
        StateError::AwaitPingResp => Trouble::heals("the broker did not answer a ping"),
        StateError::Unsolicited(packet_id) => {
            Trouble::heals(format!("the broker acknowledged packet {packet_id}, which was not sent"))
        }
        StateError::Deserialization(error) => {
            Trouble::needs_operator(format!("the broker sent what is not MQTT 5 ({error})"))
        }
        other => Trouble::heals(other.to_string()),
    }
}

/// A refused CONNECT (MQTT 5.0, section 3.2.2.2).
fn refusal(code: ConnectReturnCode) -> Trouble {
    use ConnectReturnCode as Code;
    use Remedy::{Operator, Time, WithoutRetain};
    let (words, number, remedy) = match code {
        Code::Success => ("success", 0x00, Time),
        Code::UnspecifiedError => ("unspecified error", 0x80, Time),
        Code::MalformedPacket => ("malformed packet", 0x81, Operator),
        Code::ProtocolError => ("protocol error", 0x82, Operator),
        Code::ImplementationSpecificError => ("implementation specific error", 0x83, Time),
        Code::RefusedProtocolVersion => ("unsupported protocol version", 0x01, Operator),
        Code::UnsupportedProtocolVersion => ("unsupported protocol version", 0x84, Operator),
        Code::BadClientId => ("client identifier not valid", 0x02, Operator),
        Code::ClientIdentifierNotValid => ("client identifier not valid", 0x85, Operator),
        Code::BadUserNamePassword => ("bad user name or password", 0x86, Operator),
        Code::NotAuthorized => ("not authorized; check user name and password", 0x87, Operator),
        Code::ServiceUnavailable => ("server unavailable", 0x03, Time),
        Code::ServerUnavailable => ("server unavailable", 0x88, Time),
        Code::ServerBusy => ("server busy", 0x89, Time),
        Code::Banned => ("banned", 0x8A, Operator),
        Code::BadAuthenticationMethod => ("bad authentication method", 0x8C, Operator),
        Code::TopicNameInvalid => ("topic name of the status invalid", 0x90, Operator),
        Code::PacketTooLarge => ("packet too large", 0x95, Operator),
        Code::QuotaExceeded => ("quota exceeded", 0x97, Operator),
        Code::PayloadFormatInvalid => ("payload format invalid", 0x99, Operator),
        Code::RetainNotSupported => ("retained messages not supported", 0x9A, WithoutRetain),
        Code::QoSNotSupported => ("QoS 1 not supported", 0x9B, Operator),
        Code::UseAnotherServer => ("use another server", 0x9C, Operator),
        Code::ServerMoved => ("server moved", 0x9D, Operator),
        Code::ConnectionRateExceeded => ("connection rate exceeded", 0x9F, Time),
    };
    Trouble { reason: format!("the broker refuses the client: {words} (0x{number:02X})"), remedy }
}

/// A DISCONNECT from the broker (MQTT 5.0, section 3.14.2.1).
fn disconnect(code: DisconnectReasonCode, explanation: Option<&str>) -> Trouble {
    use DisconnectReasonCode as Code;
    use Remedy::{Operator, Time};
    let (words, remedy) = match code {
        Code::NotAuthorized => ("not authorized", Operator),
        Code::ServerBusy => ("server busy", Time),
        Code::ServerShuttingDown => ("server shutting down", Time),
        Code::KeepAliveTimeout => ("keep alive timeout", Time),
        Code::SessionTakenOver => ("another client with the same client id took over", Operator),
        Code::ReceiveMaximumExceeded => ("receive maximum exceeded", Operator),
        Code::PacketTooLarge => ("packet too large", Operator),
        Code::MessageRateTooHigh => ("message rate too high", Time),
        Code::QuotaExceeded => ("quota exceeded", Operator),
        Code::AdministrativeAction => ("administrative action", Operator),
        Code::PayloadFormatInvalid => ("payload format invalid", Operator),
        Code::TopicNameInvalid => ("topic name invalid", Operator),
        Code::RetainNotSupported => ("retained messages not supported", Operator),
        Code::QoSNotSupported => ("QoS 1 not supported", Operator),
        Code::UseAnotherServer => ("use another server", Operator),
        Code::ServerMoved => ("server moved", Operator),
        Code::ConnectionRateExceeded => ("connection rate exceeded", Time),
        Code::MaximumConnectTime => ("maximum connect time", Time),
        Code::MalformedPacket => ("malformed packet", Operator),
        Code::ProtocolError => ("protocol error", Operator),
        _ => ("closed", Time),
    };
    let (code, more) = (code as u8, Explanation(explanation));
    Trouble { reason: format!("the broker closed the connection: {words} (0x{code:02X}){more}"), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_the_code_and_who_can_mend_it() {
        let refused = |code| trouble(&ConnectionError::ConnectionRefused(code));
        assert_eq!(
            refused(ConnectReturnCode::BadUserNamePassword),
            Trouble::needs_operator("the broker refuses the client: bad user name or password (0x86)")
        );
        assert_eq!(refused(ConnectReturnCode::ServerBusy).remedy, Remedy::Time);
        assert_eq!(refused(ConnectReturnCode::Banned).remedy, Remedy::Operator);
    }

    #[test]
    fn a_disconnect_from_the_broker_says_why() {
        let error = ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            reason_string: None,
        });
        assert_eq!(
            trouble(&error).reason,
            "the broker closed the connection: another client with the same client id took over (0x8E)"
        );
    }
}
