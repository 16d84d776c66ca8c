//! The account that an observer keeps of its server: status, metrics and log. It logs transitions, never every
//! message.

use std::collections::HashMap;
use std::time::Duration;

use opcua::types::StatusCode;
use penstock_events::{SourceName, Timestamp};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::failure::Failure;
use super::history::Gaps;
use super::link::Ends;
use super::skew::ClockSkew;
use super::status::{AlarmStatus, Pace, ServerLink, ServerStatus, SlowedTag};

const CONNECTS: &str = "penstock_connects_total";
const RESUMED: &str = "penstock_opcua_sessions_resumed_total";
const FAILED: &str = "penstock_opcua_attempts_failed_total";
const SKIPPED: &str = "penstock_polls_skipped_total";
const VALUES: &str = "penstock_opcua_values_total";
const MISSING: &str = "penstock_opcua_messages_missing_total";
const RECOVERED: &str = "penstock_opcua_values_recovered_total";
const GAPS: &str = "penstock_opcua_gaps_total";
const OVERFLOWS: &str = "penstock_opcua_queue_overflows_total";
const CONDITIONS: &str = "penstock_opcua_conditions_total";
const UNUSABLE: &str = "penstock_opcua_events_unusable_total";
const EVENTS_LOST: &str = "penstock_opcua_event_overflows_total";
const DROPPED: &str = "penstock_opcua_messages_dropped_total";

/// Describes this module's metrics to the recorder that is installed. Call it once, after that.
pub fn describe_metrics() {
    metrics::describe_counter!(CONNECTS, "Connections opened to the source");
    metrics::describe_counter!(RESUMED, "Sessions that went on after their connection was lost");
    metrics::describe_counter!(FAILED, "Attempts to open a session with its subscriptions that failed");
    metrics::describe_counter!(SKIPPED, "Poll slots that passed without a poll");
    metrics::describe_counter!(VALUES, "Values received from the server");
    metrics::describe_counter!(MISSING, "Messages of the server that never came");
    metrics::describe_counter!(RECOVERED, "Values that were missed and came from the server's history");
    metrics::describe_counter!(GAPS, "Times that values of a tag may be missing, since no history had them");
    metrics::describe_counter!(
        OVERFLOWS,
        "Values before which the server gave up others, its queue being full"
    );
    metrics::describe_counter!(CONDITIONS, "Events about conditions received from the server");
    metrics::describe_counter!(UNUSABLE, "Events about conditions that do not say about which, or how it is");
    metrics::describe_counter!(EVENTS_LOST, "Times that the server gave up events, its queue being full");
    metrics::describe_counter!(DROPPED, "Messages that came faster than they could be stored");
}

/// A server whose queues are always full has values read from its history all the time, which is said this often.
const QUIET: Duration = Duration::from_secs(60);

/// The account of one server.
pub(super) struct Ledger {
    source: SourceName,
    status: watch::Sender<ServerStatus>,
    connects: metrics::Counter,
    resumed: metrics::Counter,
    failed: metrics::Counter,
    skipped: metrics::Counter,
    values: metrics::Counter,
    missing: metrics::Counter,
    recovered: metrics::Counter,
    gaps: metrics::Counter,
    overflows: metrics::Counter,
    dropped: metrics::Counter,
    conditions: metrics::Counter,
    unusable: metrics::Counter,
    events_lost: metrics::Counter,
    /// When values last came from the history.
    recovery: Option<Timestamp>,
    /// Why the server told nothing of it.
    refusal: Option<StatusCode>,
    /// Why the server refuses tags, by their paths.
    refused: HashMap<String, String>,
}

/// What events told, to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventCounts {
    /// About conditions.
    pub(super) told: u64,
    /// About conditions, but not about which, or how it is.
    pub(super) unusable: u64,
    /// That the server gave up others.
    pub(super) overflows: u64,
}

/// What a failure changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// The server answered until then, or was never asked.
    Lost,
    /// It was known not to answer.
    StillDown,
}

impl Ledger {
    /// An account that goes on from what `status` shows.
    pub(super) fn new(source: &SourceName, status: watch::Sender<ServerStatus>) -> Self {
        let counter = |name| metrics::counter!(name, "source" => source.to_string());
        Self {
            source: source.clone(),
            status,
            connects: counter(CONNECTS),
            resumed: counter(RESUMED),
            failed: counter(FAILED),
            skipped: counter(SKIPPED),
            values: counter(VALUES),
            missing: counter(MISSING),
            recovered: counter(RECOVERED),
            gaps: counter(GAPS),
            overflows: counter(OVERFLOWS),
            dropped: counter(DROPPED),
            conditions: counter(CONDITIONS),
            unusable: counter(UNUSABLE),
            events_lost: counter(EVENTS_LOST),
            recovery: None,
            refusal: None,
            refused: HashMap::new(),
        }
    }

    /// A session was opened, with certificates that end then.
    pub(super) fn connected(&self, ends: Option<Ends>) {
        self.connects.increment(1);
        self.status.send_modify(|status| {
            status.connects += 1;
            status.certificate_ends = ends.map(|ends| ends.server);
            status.own_certificate_ends = ends.map(|ends| ends.own);
        });
    }

    /// The server has said how often it looks and publishes.
    pub(super) fn paced(&self, pace: Pace) {
        if let Some(SlowedTag { tag, asked_ms, granted_ms }) = &pace.slowest {
            let tags = pace.slowed_tags;
            info!(source = %self.source, tags, slowest = %tag, asked_ms, granted_ms, "the server samples tags more slowly than asked for");
        }
        self.status.send_modify(|status| status.pace = Some(pace));
    }

    /// The server's clock was compared with the gateway's; without a skew it cannot be. That they do not agree, or do
    /// again, is said once.
    pub(super) fn clocks_compared(&self, skew: Option<ClockSkew>) {
        self.status.send_modify(|status| {
            let known = std::mem::replace(&mut status.clock_skew_ms, skew);
            let Some(skew) = skew.filter(|skew| skew.is_news(known)) else { return };
            let skew_ms = skew.as_millis();
            if skew.side().is_eq() {
                info!(source = %self.source, skew_ms, "the server's clock agrees with the gateway's again");
            } else {
                warn!(source = %self.source, server_clock = %skew, skew_ms, "the server's clock is not the gateway's: set the one that is wrong, best by NTP; events have the server's times as they are");
            }
        });
    }

    /// The session goes on over another connection.
    pub(super) fn resumed(&self) {
        self.resumed.increment(1);
        self.status.send_modify(|status| status.resumed += 1);
        debug!(source = %self.source, "the session goes on over another connection");
    }

    /// So many subscriptions of a session that was lost go on in another one.
    pub(super) fn taken_over(&self, subscriptions: usize) {
        info!(source = %self.source, subscriptions, "subscriptions of the lost session go on");
        self.status.send_modify(|status| status.taken_over += subscriptions as u64);
    }

    /// The server answers: its session is there with all subscriptions.
    pub(super) fn answers(&self, now: Timestamp) {
        self.status.send_modify(|status| {
            if status.link != ServerLink::Up {
                info!(source = %self.source, "server answers");
                (status.link, status.since) = (ServerLink::Up, now);
            }
            status.last_message = Some(now);
        });
    }

    /// The server said something: so many values, before which so many queues had overflowed.
    pub(super) fn heard(&self, now: Timestamp, values: u64, overflows: u64, bad_tags: usize) {
        self.values.increment(values);
        self.overflows.increment(overflows);
        self.status.send_modify(|status| {
            status.last_message = Some(now);
            status.values += values;
            status.overflows += overflows;
            status.bad_tags = bad_tags;
        });
    }

    /// So many slots passed in which the tags that are read cyclically were not.
    pub(super) fn skipped(&self, slots: u64) {
        debug!(source = %self.source, slots, "poll slots skipped");
        self.skipped.increment(slots);
        self.status.send_modify(|status| status.skipped += slots);
    }

    /// The polling grid restarted at an earlier time.
    pub(super) fn clock_stepped_back(&self) {
        warn!(source = %self.source, "clock stepped back, slots may repeat");
    }

    /// The server's alarms are watched; so many are active.
    pub(super) fn alarms(&self, counts: EventCounts, active: usize, complete: Option<Timestamp>) {
        let EventCounts { told, unusable, overflows } = counts;
        self.conditions.increment(told);
        self.unusable.increment(unusable);
        self.events_lost.increment(overflows);
        if overflows > 0 {
            warn!(source = %self.source, "the server gave up events: it is asked which alarms are active");
        }
        self.status.send_modify(|status| {
            let alarms = status.alarms.get_or_insert_default();
            if alarms.unusable == 0 && unusable > 0 {
                warn!(source = %self.source, "events of conditions do not say which condition, or how it is");
            }
            alarms.active = active;
            alarms.told += told;
            alarms.unusable += unusable;
            alarms.overflows += overflows;
            alarms.last_complete = complete.or(alarms.last_complete);
        });
    }

    /// Why the server does not tell which alarms are active; none when it does.
    pub(super) fn refresh_refused(&self, reason: Option<String>) {
        self.status.send_modify(|status| {
            let AlarmStatus { incomplete_because: known, .. } = status.alarms.get_or_insert_default();
            if let Some(reason) = reason.as_ref().filter(|reason| known.as_ref() != Some(*reason)) {
                warn!(
                    source = %self.source, reason,
                    "the server does not tell which alarms are active: one that ends while it is out of reach \
                     stays raised until the server says so"
                );
            }
            *known = reason;
        });
    }

    /// So many messages never came.
    pub(super) fn missing(&self, messages: u32) {
        warn!(source = %self.source, messages, "messages of the server are lost");
        self.missing.increment(messages.into());
        self.status.send_modify(|status| status.missing += u64::from(messages));
    }

    /// So many values that were missed came from the history.
    pub(super) fn recovered(&mut self, values: u64, now: Timestamp) {
        let is_news = self.recovery.is_none_or(|last| now.checked_since(last).is_none_or(|ago| ago > QUIET));
        if is_news {
            info!(source = %self.source, values, "missed values come from the server's history");
        }
        (self.recovery, self.refusal) = (Some(now), None);
        self.recovered.increment(values);
        self.status.send_modify(|status| status.recovered += values);
    }

    /// The server does not read its history to the gateway.
    pub(super) fn history_refused(&mut self, status: StatusCode) {
        if self.refusal.replace(status) != Some(status) {
            warn!(source = %self.source, %status, "the server does not tell its history, which is left alone");
        }
    }

    /// Values may be missing for good. That is said of a tag when the history had helped before.
    pub(super) fn gaps(&self, gaps: Gaps) {
        if gaps.count == 0 {
            return;
        }
        if gaps.news > 0 {
            let tags = gaps.news;
            warn!(source = %self.source, tags, "values may be missing: the server's history does not have them");
        }
        self.gaps.increment(gaps.count);
        self.status.send_modify(|status| status.gaps += gaps.count);
    }

    /// There is no session, or it ended.
    pub(super) fn failed(&self, failure: &Failure, now: Timestamp) -> Standing {
        self.failed.increment(1);
        let mut standing = Standing::StillDown;
        self.status.send_modify(|status| {
            let detail = failure.to_string();
            let is_news = match &status.link {
                ServerLink::Down { detail: known, .. } => *known != detail,
                ServerLink::Starting | ServerLink::Up => true,
            };
            if is_news {
                warn!(source = %self.source, cause = %failure.cause(), error = %failure, "server lost");
            }
            if !matches!(status.link, ServerLink::Down { .. }) {
                (standing, status.since) = (Standing::Lost, now);
            }
            status.link = ServerLink::Down { cause: failure.cause(), detail };
            status.failed += 1;
        });
        standing
    }

    /// The session is made anew, without a word to anybody.
    pub(super) fn tries_again(&self, failure: &Failure) {
        if let Failure::Overrun(messages) = failure {
            self.dropped.increment(*messages);
            warn!(source = %self.source, messages, "messages dropped: they came faster than they could be stored");
        } else {
            info!(source = %self.source, reason = %failure, "the session is made anew");
        }
    }

    /// What the server sends for a tag cannot be read, or can be again.
    pub(super) fn unreadable(&self, tag: &str, reason: Option<&str>) {
        match reason {
            Some(reason) => warn!(source = %self.source, tag, reason, "a tag has no value"),
            None => info!(source = %self.source, tag, "the tag has a value"),
        }
    }

    /// The server refuses a tag, or takes it. That is news when it did otherwise before, in whichever session.
    pub(super) fn refused(&mut self, tag: &str, reason: Option<&str>) {
        match reason {
            Some(reason) => {
                if self.refused.get(tag).is_none_or(|known| known != reason) {
                    warn!(source = %self.source, tag, reason, "the server refuses a tag; it is tried again");
                    self.refused.insert(tag.to_owned(), reason.to_owned());
                }
            }
            None => {
                if self.refused.remove(tag).is_some() {
                    info!(source = %self.source, tag, "the server takes the tag");
                }
            }
        }
    }
}
