//! One session from its opening to its end: sets up what is configured, takes what the server says, and notices
//! when it says nothing.

mod alarms;
mod clocks;
mod history;
mod items;
mod learning;
mod messages;
mod polling;
mod takeover;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opcua::client::Session;
use opcua::types::{DateTime, NodeId, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::account::{Account, Unheard};
use super::failure::Failure;
use super::request::MOST_OPERATIONS;
use super::sharing::Sharing;
use super::status::Pace;
use super::structure::Types;
use alarms::Alarms;
use history::Retrieval;
use items::Item;
use messages::{Letter, Shard};
use polling::Grid;
pub(super) use takeover::Succession;

/// Messages between the session and the gateway, each of up to [`MOST_NOTIFICATIONS`] values. It is emptied
/// between two requests, so it fills only while nothing can be stored.
const INBOX: usize = 64;
/// The most values in one message.
const MOST_NOTIFICATIONS: u32 = 1_000;
/// How often silence is looked for when nothing else happens.
const LOOK: Duration = Duration::from_secs(1);

/// Whether there is a connection under the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contact {
    /// There is, for so many times after the first.
    Made {
        /// How often it was made again.
        times: u64,
    },
    /// It broke.
    Broken,
    /// It cannot be made again so far.
    OutOfReach(StatusCode),
}

/// How a visit ended.
pub(super) enum Ended {
    /// The session cannot go on.
    Failed(Failure),
    /// Nobody receives observations any more.
    Unheard(Unheard),
    /// It was told to.
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Unheard> for Ended {
    fn from(unheard: Unheard) -> Self {
        Self::Unheard(unheard)
    }
}

/// A visit to a server over one session.
pub(super) struct Visit<'a> {
    account: &'a mut Account,
    session: Arc<Session>,
    contact: watch::Receiver<Contact>,
    letters: mpsc::Receiver<Letter>,
    post: mpsc::Sender<Letter>,
    /// Letters that found no room. Shared with the session's callbacks, which must not wait.
    dropped: Arc<AtomicU64>,
    namespaces: Vec<String>,
    nodes: Vec<Option<NodeId>>,
    /// Which tags are parts of one value. What is said of a value is kept with the first of them.
    sharing: Sharing,
    /// What the server told of its data types.
    types: Types,
    items: Vec<Item>,
    shards: Vec<Shard>,
    /// Since when the server runs, and whether subscriptions of an earlier session go on in this one.
    server_start: Option<DateTime>,
    has_taken_over: bool,
    grid: Grid,
    retrieval: Retrieval,
    alarms: Alarms,
    /// Operations in a call to create items, and in one to read.
    create_size: usize,
    read_size: usize,
    retry: Option<(Instant, Duration)>,
    /// When the clocks are compared next; at once when it is not said.
    next_comparison: Option<Instant>,
    /// What the server makes of the wishes.
    pace: Pace,
    made: u64,
    was_well: bool,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        session: Arc<Session>,
        contact: watch::Receiver<Contact>,
        account: &'a mut Account,
    ) -> Self {
        let (post, letters) = mpsc::channel(INBOX);
        let tags = account.server.tags.len();
        let sharing = Sharing::of(&account.server.tags);
        let grid = Grid::new(&account.server, &sharing, account.clock.now());
        account.absences.begin();
        let alarms = Alarms::new(account.server.notifiers.len());
        Self {
            account,
            session,
            contact,
            letters,
            post,
            dropped: Arc::default(),
            namespaces: Vec::new(),
            nodes: vec![None; tags],
            sharing,
            types: Types::default(),
            items: vec![Item::Absent; tags],
            shards: Vec::new(),
            server_start: None,
            has_taken_over: false,
            grid,
            retrieval: Retrieval::default(),
            alarms,
            create_size: MOST_OPERATIONS,
            read_size: MOST_OPERATIONS,
            retry: None,
            next_comparison: None,
            pace: Pace::default(),
            made: 0,
            was_well: false,
        }
    }

    /// How long the server may keep the session for a gateway that is out of reach.
    pub(super) fn patience(&self) -> Duration {
        self.account.server.session_timeout
    }

    /// Whether everything was set up.
    pub(super) fn was_well(&self) -> bool {
        self.was_well
    }

    /// Goes on until it cannot.
    pub(super) async fn run(&mut self) -> Ended {
        match self.visit().await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn visit(&mut self) -> Result<Infallible, Ended> {
        self.set_up().await?;
        // Subscriptions that were taken over keep theirs.
        if self.pace != Pace::default() {
            self.account.ledger.paced(std::mem::take(&mut self.pace));
        }
        self.was_well = true;
        self.account.answers().await?;
        loop {
            let look = Instant::now() + LOOK;
            let poll = self.grid.wake(self.account.clock.now());
            let wake = [self.retry.map(|(at, _)| at), self.alarms.due, poll, self.wake_for_history()];
            let wake = wake.into_iter().flatten().fold(look, Instant::min);
            tokio::select! {
                Some(letter) = self.letters.recv() => self.take(letter).await?,
                answer = self.retrieval.answer() => self.take_answer(answer).await?,
                Ok(()) = self.contact.changed() => self.contact_changed().await?,
                status = self.alarms.answered() => self.alarms_answered(status),
                () = sleep_until(wake) => {}
            }
            self.mind_overruns()?;
            let contact = *self.contact.borrow();
            if let Contact::Made { .. } = contact {
                self.mind_silence()?;
                self.compare_clocks_if_due().await;
                self.retry_if_due().await?;
                self.ask_for_alarms_if_due();
                self.poll_if_due().await?;
                self.mind_history().await?;
            }
        }
    }

    async fn contact_changed(&mut self) -> Result<(), Ended> {
        let contact = *self.contact.borrow_and_update();
        match contact {
            Contact::Made { times } if times != self.made => {
                self.made = times;
                self.account.ledger.resumed();
                self.resume();
                self.next_comparison = None;
                self.grid.rested(self.account.clock.now());
                self.account.answers().await?;
            }
            Contact::Made { .. } | Contact::Broken => {}
            Contact::OutOfReach(status) => self.account.lost(&Failure::Lost(status)).await?,
        }
        Ok(())
    }

    fn mind_overruns(&self) -> Result<(), Failure> {
        match self.dropped.load(Ordering::Relaxed) {
            0 => Ok(()),
            dropped => Err(Failure::Overrun(dropped)),
        }
    }
}
