//! OPC UA servers in `penstock check --probe`: what each offers, how its certificate is judged, whether it lets the
//! gateway in, and what it says of every tag.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use penstock_adapters::Clock;
use penstock_adapters::opcua::pki::Passport;
use penstock_adapters::opcua::{Discovery, Identity, Login, Pace, Security, Server, SlowedTag, discover};
use penstock_events::{Cause, Observation, Sample, SourceId, TagId};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Reached;
use super::advice;
use crate::cli::asked::Asked;
use crate::cli::session;
use crate::config::Config;

/// The first values come with the first publication, which nobody wants to wait for longer.
const LONGEST_PUBLISH: Duration = Duration::from_secs(1);

/// What was found out about a server.
pub(super) struct Report {
    pub(super) discovery: Discovery,
    pub(super) tags: usize,
    /// The tags that are not good, and why.
    pub(super) bad: Vec<(String, Option<Cause>)>,
    /// What the server does much less often than was asked for.
    pub(super) slower: Option<Slower>,
}

/// What a server does less than half as often as asked for.
pub(super) struct Slower {
    /// How often it publishes, if that is so.
    pub(super) publish_ms: Option<u64>,
    /// How many tags it looks at too seldom.
    pub(super) tags: usize,
    /// The one of them that it looks at least often.
    pub(super) slowest: Option<SlowedTag>,
}

/// Visits every server.
pub(super) async fn visit(config: &Config, passport: &Arc<Passport>) -> Vec<Reached> {
    let looks = join_all(config.opcua.iter().map(|server| look(server, passport))).await;
    let is_usable = |(_, look): &(&Server, &Look)| look.trouble.is_none();
    let usable = config.opcua.iter().zip(&looks).filter(is_usable).map(|(server, _)| at_once(server));
    let heard = Heard::listen(usable.collect(), passport).await;
    let judge = |(server, look)| reached(config, server, look, &heard);
    config.opcua.iter().zip(looks).map(judge).collect()
}

/// How far it is without a session.
struct Look {
    is_reached: bool,
    discovery: Discovery,
    trouble: Option<String>,
}

async fn look(server: &Server, passport: &Passport) -> Look {
    let endpoint = &server.endpoint;
    let connecting = TcpStream::connect((endpoint.host(), endpoint.port()));
    let trouble = match timeout(server.connect_timeout, connecting).await {
        Ok(Ok(_at_once_closed)) => None,
        Ok(Err(error)) => Some(format!("cannot connect: {error}")),
        Err(_elapsed) => Some(format!("no connection within {:?}", server.connect_timeout)),
    };
    if trouble.is_some() {
        return Look { is_reached: false, discovery: Discovery::default(), trouble };
    }
    let discovery = discover(server, passport, &Clock::system()).await;
    Look { is_reached: true, trouble: discovery.trouble.clone(), discovery }
}

/// The server as it is configured, save that it does not take its time.
fn at_once(server: &Server) -> Server {
    let sooner = |interval: Duration| interval.min(LONGEST_PUBLISH);
    let (publish, poll) = (sooner(server.publish), sooner(server.poll));
    Server { publish, poll, history: Duration::ZERO, ..server.clone() }
}

/// What servers said, each over a session of its own.
#[derive(Default)]
struct Heard {
    /// The sample of each tag; none of one that stands for conditions, of which the server has told.
    samples: BTreeMap<TagId, Option<Sample>>,
    /// Why servers did not let the gateway in or went away.
    troubles: BTreeMap<SourceId, String>,
    paces: BTreeMap<SourceId, Pace>,
    let_in: Vec<SourceId>,
}

impl Heard {
    /// Listens until every tag is known, a server is lost, or its time is up.
    async fn listen(servers: Vec<Server>, passport: &Arc<Passport>) -> Self {
        let mut heard = Self::default();
        let Some(patience) = servers.iter().map(session::patience).max() else { return heard };
        let mut awaited: BTreeMap<SourceId, Vec<TagId>> = servers
            .iter()
            .map(|server| (server.source, server.tags.iter().map(|tag| tag.id).collect()))
            .collect();
        let sources: Vec<SourceId> = awaited.keys().copied().collect();
        let until = Instant::now() + patience;
        let mut asked = Asked::polling(Vec::new(), servers, passport);
        while !awaited.is_empty() {
            match timeout_at(until, asked.next()).await {
                Ok(Some(Observation::Polled { source, readings, .. })) => {
                    let samples = readings.into_iter().map(|reading| (reading.tag, Some(reading.sample)));
                    heard.take(source, samples.collect(), &mut awaited);
                }
                Ok(Some(Observation::ToldAll { source, tag, .. })) => {
                    heard.take(source, vec![(tag, None)], &mut awaited);
                }
                Ok(Some(Observation::Told { .. })) => {}
                Ok(Some(Observation::Lost { source, .. })) => {
                    awaited.remove(&source);
                    heard.troubles.extend(asked.trouble(source).map(|trouble| (source, trouble)));
                }
                Ok(None) | Err(_) => break,
            }
        }
        heard.paces.extend(sources.iter().filter_map(|source| Some((*source, asked.pace(*source)?))));
        heard.let_in.extend(sources.iter().filter(|source| asked.was_connected(**source)));
        asked.end().await;
        heard
    }

    fn take(
        &mut self,
        source: SourceId,
        samples: Vec<(TagId, Option<Sample>)>,
        awaited: &mut BTreeMap<SourceId, Vec<TagId>>,
    ) {
        self.samples.extend(samples);
        if let Some(tags) = awaited.get_mut(&source) {
            tags.retain(|tag| !self.samples.contains_key(tag));
        }
        awaited.retain(|_, tags| !tags.is_empty());
    }
}

fn reached(config: &Config, server: &Server, look: Look, heard: &Heard) -> Reached {
    let Look { is_reached, discovery, trouble } = look;
    let is_let_in = heard.let_in.contains(&server.source);
    let trouble = trouble.or_else(|| heard.troubles.get(&server.source).cloned());
    let bad = |id: TagId| match heard.samples.get(&id) {
        Some(None | Some(Sample::Good(_) | Sample::Uncertain(..))) => None,
        Some(Some(Sample::Bad(cause))) => Some(Some(*cause)),
        None => Some(None),
    };
    let path = |id: TagId| config.plan.tags[id.0 as usize].path.to_string();
    let bad: Vec<_> = if is_let_in {
        server.tags.iter().filter_map(|tag| Some((path(tag.id), bad(tag.id)?))).collect()
    } else {
        Vec::new()
    };
    let slower = heard.paces.get(&server.source).and_then(|pace| slower(server, pace));
    let answers = discovery.answers;
    let reason = trouble.or_else(|| advice::tags_in_words(&bad, server.tags.len()));
    let report = Report { discovery, tags: server.tags.len(), bad, slower };
    Reached {
        kind: "opcua",
        name: server.name.to_string(),
        address: server.endpoint.to_string(),
        reached: is_reached,
        answers: is_reached.then_some(answers),
        lets_in: answers.then_some(is_let_in),
        advice: reason.is_some().then(|| advice::of(server, &report, is_reached)).flatten(),
        reason,
        server: Some(report),
    }
}

/// What takes more than twice the time that is configured.
fn slower(server: &Server, pace: &Pace) -> Option<Slower> {
    let is_slow = u128::from(pace.publish_ms) > 2 * server.publish.as_millis();
    let publish_ms = is_slow.then_some(pace.publish_ms);
    let (tags, slowest) = (pace.slowed_tags, pace.slowest.clone());
    (publish_ms.is_some() || tags > 0).then_some(Slower { publish_ms, tags, slowest })
}

/// The kind of user that a server is configured with.
pub(super) const fn user_of(server: &Server) -> Login {
    match server.identity {
        Identity::Anonymous => Login::Anonymous,
        Identity::UserName { .. } => Login::UserName,
        Identity::Certificate { .. } => Login::Certificate,
    }
}

/// The line of the configuration for a security.
pub(super) fn line_of(security: Security) -> String {
    format!("security = \"{security}\"")
}
