//! The loop of one server: opens a session, visits until it ends, rests, and opens another.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use opcua::client::{SessionConnectMode, SessionPollResult, SubscriptionActivity};
use opcua::types::StatusCode;
use penstock_events::{Observation, SourceName};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::account::{Account, Unheard};
use super::failure::Failure;
use super::ledger::Ledger;
use super::link::{self, Ends, Happenings, Link};
use super::pki::{Expiry, Passport, Reminder};
use super::server::Server;
use super::status::ServerStatus;
use super::visit::{Contact, Ended, Visit};
use crate::Clock;
use crate::backoff::Backoff;

/// How often the ends of certificates are looked at.
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(3600);
/// What the loss of a session is when the server is there and does not know it.
const SESSION_UNKNOWN: StatusCode = StatusCode::BadSessionIdInvalid;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What an observer is connected to.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where observations go. When it is full the observer waits.
    pub observations: mpsc::Sender<Observation>,
    /// Where the status page reads.
    pub status: watch::Sender<ServerStatus>,
    /// The gateway's certificates, for servers that are secured.
    pub passport: Arc<Passport>,
    /// The time of day.
    pub clock: Clock,
    /// Ends the observer.
    pub stop: CancellationToken,
}

/// Observes `server` until it is told to stop or nobody listens any more.
///
/// Sends a `Polled` for what each message of the server says, and one `Lost` when the server stops answering or
/// was never reached; then nothing until it answers again.
pub async fn observe(server: Arc<Server>, wiring: Wiring) {
    let Wiring { observations, status, passport, clock, stop } = wiring;
    let ledger = Ledger::new(&server.name, status);
    let mut account = Account::new(Arc::clone(&server), ledger, clock.clone(), observations);
    let (mut backoff, mut reminder) = (Backoff::new(), Reminder::default());
    loop {
        let opened = tokio::select! {
            opened = link::open(&server, &passport, &clock) => opened,
            () = stop.cancelled() => return,
        };
        let (ended, was_well) = match opened {
            Ok(link) => {
                let certificates = Certificates { ends: link.ends, passport: &passport, clock: &clock };
                tokio::select! {
                    ended = visit(link, &mut account, &stop) => ended,
                    never = certificates.mind(&server.name, &mut reminder) => match never {},
                }
            }
            Err(failure) => (Ended::Failed(failure), false),
        };
        let failure = match ended {
            Ended::Failed(failure) => failure,
            Ended::Unheard(Unheard) | Ended::Stopped => {
                debug!(source = %server.name, "the observer ends");
                return;
            }
        };
        if was_well {
            backoff = Backoff::new();
            if failure.is_worth_another_try() {
                account.ledger.tries_again(&failure);
                continue;
            }
        }
        if let Err(Unheard) = account.lost(&failure).await {
            return;
        }
        tokio::select! {
            () = sleep(backoff.next()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The certificates of an open session, which may last for months.
struct Certificates<'a> {
    ends: Option<Ends>,
    passport: &'a Passport,
    clock: &'a Clock,
}

impl Certificates<'_> {
    /// Says when they end soon, for as long as the session lasts.
    async fn mind(self, source: &SourceName, reminder: &mut Reminder) -> Infallible {
        let Some(ends) = self.ends else { return pending().await };
        loop {
            let now = self.clock.now();
            self.passport.remind(now);
            match reminder.due(ends.server, now) {
                None | Some(Expiry::Far) => {}
                Some(Expiry::Soon(until)) => {
                    warn!(%source, %until, "the server's certificate expires soon: renew it at the server");
                }
                Some(Expiry::Over(since)) => {
                    warn!(%source, %since, "the server's certificate has expired: its next session is refused");
                }
            }
            sleep(LOOK_AT_CERTIFICATES).await;
        }
    }
}

/// Visits over an open session, and says whether all was well until it ended.
async fn visit(mut link: Link, account: &mut Account, stop: &CancellationToken) -> (Ended, bool) {
    account.ledger.connected(link.ends);
    let (contact, contacts) = watch::channel(Contact::Made { times: 0 });
    let mut visit = Visit::new(Arc::clone(&link.session), contacts, account);
    let ended = tokio::select! {
        failure = drive(&mut link.happenings, &contact, visit.patience()) => Ended::Failed(failure),
        ended = visit.run() => ended,
        () = stop.cancelled() => Ended::Stopped,
    };
    let was_well = visit.was_well();
    let ended = match ended {
        Ended::Failed(failure) => {
            visit.leave(&failure).await.map_or_else(Ended::Unheard, |()| Ended::Failed(failure))
        }
        ended => ended,
    };
    drop(visit);
    let has_connection = !matches!(ended, Ended::Failed(Failure::Lost(_) | Failure::Silent(_)));
    if has_connection || matches!(ended, Ended::Failed(Failure::Lost(SESSION_UNKNOWN))) {
        link.close(GOODBYE).await;
    }
    (ended, was_well)
}

/// Lets the session happen until it cannot go on. When its connection is lost the library takes it up again over
/// another one, for as long as the server may keep it.
async fn drive(happenings: &mut Happenings, contact: &watch::Sender<Contact>, patience: Duration) -> Failure {
    let mut made = 0;
    let mut lost: Option<(Instant, StatusCode)> = None;
    loop {
        let happening = match lost {
            None => happenings.next().await,
            Some((since, status)) => match timeout_at(since + patience, happenings.next()).await {
                Ok(happening) => happening,
                Err(_elapsed) => return Failure::Lost(status),
            },
        };
        match happening {
            None => return Failure::Lost(StatusCode::BadConnectionClosed),
            Some(Err(status)) => return Failure::Lost(status),
            Some(Ok(SessionPollResult::ConnectionLost(status))) => {
                lost.get_or_insert((Instant::now(), status));
                contact.send_replace(Contact::Broken);
            }
            Some(Ok(SessionPollResult::ReconnectFailed(status))) => {
                contact.send_replace(Contact::OutOfReach(status));
            }
            Some(Ok(SessionPollResult::Reconnected(SessionConnectMode::ReactivatedSession(_)))) => {
                made += 1;
                lost = None;
                contact.send_replace(Contact::Made { times: made });
            }
            // The server does not know the old session. Its subscriptions may be there for another one.
            Some(Ok(SessionPollResult::Reconnected(SessionConnectMode::NewSession(_)))) => {
                return Failure::Lost(SESSION_UNKNOWN);
            }
            Some(Ok(SessionPollResult::Subscription(
                SubscriptionActivity::PublishFailed(status @ StatusCode::BadNoSubscription)
                | SubscriptionActivity::FatalFailure(status),
            ))) => return Failure::SubscriptionLost(status),
            Some(Ok(_)) => {}
        }
    }
}
