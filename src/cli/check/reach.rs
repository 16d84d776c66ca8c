//! Who can be reached: for `penstock check --probe`. Every Modbus device and every OPC UA server is read once and every
//! broker visited, all at the same time; nothing is written and nothing published.

mod advice;
mod details;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use penstock_adapters::modbus::{Device, Transport};
use penstock_adapters::opcua::pki::Passport;
use penstock_events::{Cause, Observation, Sample, SourceId};
use penstock_uplink::mqtt::{self, Reach};
use serde_json::{Value, json};

use super::super::asked::{Asked, narrowed};
use super::super::cause::in_words;
use super::super::{install_cryptography, print, runtime, session};
use crate::config::{self, Config, Destination};
use crate::exit::Exit;
use crate::terminal::{Align, Style, Table, counted, printable};

/// As for `penstock read`: the first slot comes soon.
const AT_ONCE: std::time::Duration = std::time::Duration::from_millis(50);
/// How many bad tags are named.
const MAX_TAGS_NAMED: usize = 3;

const COLUMNS: [(&str, Align); 6] = [
    ("KIND", Align::Left),
    ("NAME", Align::Left),
    ("ADDRESS", Align::Left),
    ("REACHED", Align::Left),
    ("ANSWERS", Align::Left),
    ("LETS IN", Align::Left),
];

/// How far a source or a destination can be used.
pub(super) struct Reached {
    kind: &'static str,
    name: String,
    address: String,
    reached: bool,
    /// Not known where it was not reached.
    answers: Option<bool>,
    /// Whether it lets us in; devices let everyone in who reaches them.
    lets_in: Option<bool>,
    /// What is in the way or not as it should be.
    reason: Option<String>,
    /// What to do about it.
    advice: Option<String>,
    /// What else there is to say of an OPC UA server.
    server: Option<server::Report>,
}

/// Visits everyone.
pub(super) fn probe(config: &Config) -> Result<Vec<Reached>, Exit> {
    install_cryptography();
    let passport = Arc::new(session::passport(config, &config.opcua)?);
    runtime()?.block_on(async {
        let servers = server::visit(config, &passport);
        let destinations = join_all(config.mqtt.iter().map(destination));
        let (devices, servers, destinations) =
            tokio::join!(devices(config, &passport), servers, destinations);
        Ok(devices.into_iter().chain(servers).chain(destinations).collect())
    })
}

/// Prints a table, and below it what is wrong and what to do.
pub(super) fn print(all: &[Reached]) -> Result<(), Exit> {
    let mut table = Table::stdout(&COLUMNS);
    for one in all {
        table.row(one.cells()).map_err(|error| print::broken(&error))?;
    }
    table.flush().map_err(|error| print::broken(&error))?;
    drop(table);
    let style = Style::of(&std::io::stdout());
    for one in all {
        if one.reason.is_none() && one.server.is_none() {
            continue;
        }
        print::line("")?;
        let name = match (&one.reason, one.is_usable()) {
            (None, _) => style.bold(&one.name),
            (Some(_), true) => style.doubtful(&one.name),
            (Some(_), false) => style.bad(&one.name),
        };
        match &one.reason {
            Some(reason) => print::line(&format!("{name}: {}", printable(reason)))?,
            None => print::line(&name)?,
        }
        if let Some(advice) = &one.advice {
            print::line(&format!("    {}", printable(advice)))?;
        }
        if let Some(server) = &one.server {
            server.lines(style).iter().try_for_each(|line| print::line(line))?;
        }
    }
    print::line("")
}

/// The same for programs.
pub(super) fn to_json(all: &[Reached]) -> Value {
    all.iter().map(Reached::to_json).collect()
}

/// How the process ends: well only if everyone can be used.
pub(super) fn verdict(all: &[Reached]) -> Result<(), Exit> {
    let unusable = all.iter().filter(|one| !one.is_usable()).count();
    match unusable {
        0 => Ok(()),
        _ => Err(Exit::unreachable(format_args!(
            "{unusable} of {} sources and destinations cannot be used",
            all.len()
        ))),
    }
}

async fn devices(config: &Config, passport: &Arc<Passport>) -> Vec<Reached> {
    let lines = narrowed(&config.modbus, AT_ONCE, |_| true);
    let devices: BTreeMap<SourceId, (Transport, &Device)> = config
        .modbus
        .iter()
        .flat_map(|line| line.devices.iter().map(|device| (line.transport.clone(), &**device)))
        .map(|(transport, device)| (device.source, (transport, device)))
        .collect();
    let mut asked = Asked::polling(lines, Vec::new(), passport);
    let mut heard: BTreeMap<SourceId, Observation> = BTreeMap::new();
    while heard.len() < devices.len() {
        let Some(observation) = asked.next().await else { break };
        heard.entry(observation.source()).or_insert(observation);
    }
    let judge = |(source, (transport, device)): (SourceId, (Transport, &Device))| {
        let is_reached = |observation: &Observation| {
            !matches!(observation, Observation::Lost { cause: Cause::Disconnected, .. })
        };
        let was_connected = asked.was_connected(source) || heard.get(&source).is_some_and(is_reached);
        let detail = asked.trouble(source);
        let mut reached = Reached::device(&transport, device, was_connected);
        match heard.get(&source) {
            Some(Observation::Polled { readings, .. }) => {
                let bad = readings.iter().filter_map(|reading| match &reading.sample {
                    Sample::Bad(cause) => Some((&config.plan.tags[reading.tag.0 as usize].path, *cause)),
                    Sample::Good(_) | Sample::Uncertain(..) => None,
                });
                let bad: Vec<String> =
                    bad.map(|(path, cause)| format!("{path}: {}", in_words(cause))).collect();
                reached.tags(readings.len(), &bad);
            }
            Some(Observation::Lost { cause, .. }) => reached.lost(*cause, detail, device.unit, &transport),
            Some(Observation::Told { .. } | Observation::ToldAll { .. }) | None => {}
        }
        reached
    };
    devices.into_iter().map(judge).collect()
}

async fn destination(destination: &Destination) -> Reached {
    let settings = &destination.settings;
    let probed = mqtt::probe(settings).await;
    let (reach, reason) = match probed {
        Ok(probed) => (probed.reach, probed.reason),
        Err(error) => (Reach::Nowhere, Some(error.to_string())),
    };
    let advice = match reach {
        Reach::Nowhere => Some("Is the broker up, are name and port right, is a firewall in between?"),
        Reach::Connected => {
            Some("Is it a broker for MQTT 5, and is its port for TLS (mqtts://) or plain (mqtt://)?")
        }
        Reach::Answered => {
            Some("Ask whoever runs the broker about user name, password, certificate and client id.")
        }
        Reach::Accepted => None,
    };
    Reached {
        kind: "mqtt",
        name: destination.name.to_string(),
        address: settings.broker.to_string(),
        reached: reach >= Reach::Connected,
        answers: (reach >= Reach::Connected).then_some(reach >= Reach::Answered),
        lets_in: (reach >= Reach::Answered).then_some(reach >= Reach::Accepted),
        reason,
        advice: advice.map(str::to_owned),
        server: None,
    }
}

impl Reached {
    fn device(transport: &Transport, device: &Device, reached: bool) -> Self {
        Self {
            kind: "modbus",
            name: device.name.to_string(),
            address: format!("{} unit {}", config::modbus_address(transport), device.unit),
            reached,
            answers: None,
            lets_in: None,
            reason: None,
            advice: None,
            server: None,
        }
    }

    /// The device answered, with so many tags of which these are bad.
    fn tags(&mut self, all: usize, bad: &[String]) {
        self.answers = Some(true);
        if !bad.is_empty() {
            let named = bad[..bad.len().min(MAX_TAGS_NAMED)].join(", ");
            let more = if bad.len() > MAX_TAGS_NAMED { " …" } else { "" };
            self.reason = Some(format!("{} of {} not good: {named}{more}", bad.len(), counted(all, "tag")));
            self.advice = Some(format!("`penstock read {}` shows all of them.", self.name));
        }
    }

    /// The device did not answer.
    fn lost(&mut self, cause: Cause, detail: Option<String>, unit: u8, transport: &Transport) {
        self.answers = self.reached.then_some(false);
        self.reason = Some(detail.unwrap_or_else(|| cause.to_string()));
        self.advice = Some(match cause {
            Cause::Timeout | Cause::ModbusException(_) => {
                format!("Is the unit id {unit} right? `penstock probe modbus '{}'` finds those that answer.", config::modbus_address(transport))
            }
            Cause::Malformed => "Is the port right? What answers there does not speak Modbus as it should.".to_owned(),
            _ if self.reached => "It hangs up. Some devices only let in addresses that they know.".to_owned(),
            _ => "Is it on, and is the address right? A device that bears one connection refuses a second while the \
                  gateway runs."
                .to_owned(),
        });
    }

    fn is_usable(&self) -> bool {
        self.reached && self.answers != Some(false) && self.lets_in != Some(false)
    }

    fn cells(&self) -> [String; 6] {
        let word = |known: Option<bool>| match known {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => "–".to_owned(),
        };
        let Self { kind, name, address, .. } = self;
        [
            (*kind).to_owned(),
            name.clone(),
            address.clone(),
            word(Some(self.reached)),
            word(self.answers),
            word(self.lets_in),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "name": self.name,
            "address": self.address,
            "usable": self.is_usable(),
            "reached": self.reached,
            "answers": self.answers,
            "lets_in": self.lets_in,
            "reason": self.reason,
            "advice": self.advice,
            "opcua": self.server.as_ref().map(server::Report::to_json),
        })
    }
}
