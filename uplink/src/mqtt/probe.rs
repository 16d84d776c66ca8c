//! One look at a broker: can it be reached, does it speak MQTT 5, would it let this client in?
//!
//! It is a client of its own, which publishes nothing, leaves no will and goes at once, so that it
//! disturbs neither a gateway that is connected nor those who watch its status.

use rumqttc::{AsyncClient, Broker, ConnectionError, Event, Incoming, MqttOptions, Outgoing, StateError};
use tokio::time::timeout;

use super::dial::Dialer;
use super::reason;
use super::settings::{Settings, SettingsError};

/// How far a client came at a broker.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reach {
    /// No connection.
    Nowhere,
    /// There is a connection, and nothing that speaks MQTT 5 (with TLS, where that was asked for) at
    /// its other end.
    Connected,
    /// The broker answered, and refused the client.
    Answered,
    /// The broker let the client in.
    Accepted,
}

/// What one look at a broker showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probed {
    /// How far it went.
    pub reach: Reach,
    /// Why no further.
    pub reason: Option<String>,
}

/// Connects to the broker as a client of its own, whose id has `-probe` at its end, and goes again.
///
/// Each step may take the settings' connect timeout.
///
/// # Errors
///
/// When a setting is out of its range, or a TLS file cannot be used.
pub async fn probe(settings: &Settings) -> Result<Probed, SettingsError> {
    let keep_alive_s = settings.checked_keep_alive_s()?;
    let dialer = Dialer::new(settings)?;
    let broker = Broker::tcp(settings.broker.host.as_str(), settings.broker.port);
    let mut options = MqttOptions::new(format!("{}-probe", settings.client_id), broker);
    options
        .set_clean_start(true)
        .set_session_expiry_interval(Some(0))
        .set_keep_alive(keep_alive_s)
        .set_connect_timeout(settings.connect_timeout);
    if let Some(credentials) = &settings.credentials {
        options.set_credentials(credentials.username.as_str(), credentials.password.clone());
    }
    let stopped = |reach, reason: String| Ok(Probed { reach, reason: Some(reason) });
    let late = || format!("nothing from {} within {:?}", settings.broker, settings.connect_timeout);
    let limit = settings.connect_timeout;
    match timeout(limit, dialer.connect()).await {
        Ok(Ok(_at_once_closed)) => {}
        Ok(Err(error)) => return stopped(Reach::Nowhere, error.to_string()),
        Err(_elapsed) => return stopped(Reach::Nowhere, late()),
    }
    match timeout(limit, enter(options, dialer)).await {
        Ok(Ok(())) => Ok(Probed { reach: Reach::Accepted, reason: None }),
        Ok(Err(error)) => {
            let refused = matches!(error, ConnectionError::ConnectionRefused(_))
                || matches!(&error, ConnectionError::MqttState(StateError::ServerDisconnect { .. }));
            let reach = if refused { Reach::Answered } else { Reach::Connected };
            stopped(reach, reason::trouble(&error).reason)
        }
        Err(_elapsed) => stopped(Reach::Connected, late()),
    }
}

/// Connects and, once the broker has let the client in, disconnects.
async fn enter(mut options: MqttOptions, dialer: Dialer) -> Result<(), ConnectionError> {
    options.set_socket_connector(move |_, _| {
        let dialer = dialer.clone();
        async move { dialer.dial().await }
    });
    let (client, mut events) =
        AsyncClient::builder(options).capacity(1).try_build().expect("the settings were checked");
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                client.try_disconnect().expect("a queue of one has room for the one message");
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(ConnectionError::RequestsDone) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
}
