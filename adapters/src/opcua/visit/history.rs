//! Reads what was missed from the server's history: one request at a time, beside what the server publishes, which
//! waits for it only where it must, and never for long. Without a history all goes on as if nobody had asked.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use opcua::types::{
    ByteString, DataValue, HistoryData, HistoryReadResult, HistoryReadValueId, StatusCode, TimestampsToReturn,
};
use tokio::time::Instant;

use super::{Ended, Visit};
use crate::opcua::account::{News, Unheard};
use crate::opcua::failure::{Failure, is_of_connection};
use crate::opcua::history::Span;
use crate::opcua::request;

/// How long values wait for older ones: more would be a delay that people take for an outage.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many values wait for older ones: some ten megabytes, a minute of what a large server says.
const MOST_WAITING: usize = 100_000;
/// Nodes in a call, unless the server takes fewer. They share one span, so more of them are seldom alike.
const MOST_NODES: usize = 50;
/// Values in an answer, for all nodes together: a few hundred kilobytes.
const MOST_VALUES: usize = 10_000;
/// Values that one tag may have missed: a day, one a second.
const MOST_MISSED: usize = 100_000;
/// How often it is looked whether the history may be asked for what waits.
const LOOK: Duration = Duration::from_millis(250);
/// How long after a broken connection the history is left alone. The session may go on over another one.
const PAUSE: Duration = Duration::from_secs(1);

/// The reading of what was missed.
#[derive(Default)]
pub(super) struct Retrieval {
    /// Nodes in a call.
    pub(super) most_nodes: Option<usize>,
    /// What is being read.
    batch: Vec<Course>,
    asking: Option<Asking>,
    /// Until when values may wait.
    deadline: Option<Instant>,
    pause: Option<Instant>,
    recovered: u64,
}

/// A tag whose history is being read.
struct Course {
    index: usize,
    continuation: ByteString,
    values: usize,
}

type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What the server answered.
pub(super) enum Answer {
    /// What may be done with the values of these tags.
    Access(Vec<usize>, Result<Vec<DataValue>, StatusCode>),
    /// The next values of the tags of the batch, of which so many were asked for.
    Recorded(usize, Result<Vec<HistoryReadResult>, StatusCode>),
    /// It was told to forget what it had begun.
    Released,
}

/// What an answer means for a value that waits.
enum Outcome {
    /// There is more to be read before it.
    More,
    /// All that was before it is told.
    Filled,
    /// What was before it will not be read.
    Lost,
}

impl Retrieval {
    /// The answer to what was asked. May be dropped while it waits.
    pub(super) async fn answer(&mut self) -> Answer {
        match &mut self.asking {
            Some(asking) => {
                let answer = asking.await;
                self.asking = None;
                answer
            }
            None => pending().await,
        }
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.asking.is_some() || self.pause.is_some_and(|until| now < until)
    }
}

impl Visit<'_> {
    /// When to look whether there is something to ask.
    pub(super) fn wake_for_history(&self) -> Option<Instant> {
        (self.account.absences.waiting() > 0).then(|| Instant::now() + LOOK)
    }

    /// Asks for what is missing, unless an answer is still to come.
    pub(super) async fn mind_history(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let waiting = self.account.absences.waiting();
        if waiting == 0 {
            self.retrieval.deadline = None;
        } else if waiting > MOST_WAITING || now >= *self.retrieval.deadline.get_or_insert(now + PATIENCE) {
            self.give_up_history().await?;
        }
        if !self.retrieval.is_busy(now) {
            self.retrieval.asking = self.next_asking();
            if self.retrieval.asking.is_none() && self.retrieval.recovered > 0 {
                let recovered = std::mem::take(&mut self.retrieval.recovered);
                self.account.ledger.recovered(recovered, self.account.clock.now());
            }
        }
        Ok(())
    }

    fn next_asking(&mut self) -> Option<Asking> {
        if self.retrieval.batch.is_empty() {
            let unknown = self.account.absences.unknown(self.read_size);
            if !unknown.is_empty() {
                return Some(self.ask_access(unknown));
            }
            let most = self.retrieval.most_nodes.unwrap_or(MOST_NODES).min(MOST_NODES);
            let batch = self.account.absences.next_batch(most, self.account.clock.now()).into_iter();
            let course = |index| Course { index, continuation: ByteString::null(), values: 0 };
            self.retrieval.batch = batch.map(course).collect();
        }
        self.ask_recorded()
    }

    fn ask_access(&self, tags: Vec<usize>) -> Asking {
        let session = Arc::clone(&self.session);
        let nodes: Vec<_> = tags
            .iter()
            .map(|index| request::access_to(self.nodes[*index].clone().unwrap_or_default()))
            .collect();
        Box::pin(async move {
            let values = session.read(&nodes, TimestampsToReturn::Neither, 0.0).await;
            Answer::Access(tags, values.map_err(|error| error.status()))
        })
    }

    /// Asks for the next values of all tags of the batch.
    fn ask_recorded(&self) -> Option<Asking> {
        let spans = self.retrieval.batch.iter().filter_map(|course| self.account.absences.span(course.index));
        let span = spans.reduce(Span::joined)?;
        let most = MOST_VALUES / self.retrieval.batch.len().max(1);
        let details = request::recorded(span, u32::try_from(most).unwrap_or(u32::MAX));
        let nodes = self.histories();
        let session = Arc::clone(&self.session);
        Some(Box::pin(async move {
            let read = session.history_read(details, TimestampsToReturn::Both, false, &nodes).await;
            Answer::Recorded(most, read.map_err(|error| error.status()))
        }))
    }

    fn histories(&self) -> Vec<HistoryReadValueId> {
        let history = |course: &Course| {
            let node = self.nodes[course.index].clone().unwrap_or_default();
            request::history_of(node, course.continuation.clone())
        };
        self.retrieval.batch.iter().map(history).collect()
    }

    /// Takes an answer.
    pub(super) async fn take_answer(&mut self, answer: Answer) -> Result<(), Ended> {
        let mut news = News::at(self.account.clock.now());
        match answer {
            Answer::Access(_, Err(status)) | Answer::Recorded(_, Err(status)) if is_of_connection(status) => {
                self.retrieval.pause = Some(Instant::now() + PAUSE);
            }
            Answer::Access(tags, read) => {
                self.take_access(&tags, &read.unwrap_or_default());
                for index in self.account.absences.take_hopeless() {
                    self.settle(index, Outcome::Lost, &mut news).await?;
                }
            }
            Answer::Recorded(asked, Ok(results)) => self.take_recorded(asked, &results, &mut news).await?,
            Answer::Recorded(_, Err(status)) => self.take_refusal(status, &mut news).await?,
            Answer::Released => {}
        }
        self.account.tell(news).await?;
        Ok(())
    }

    fn take_access(&mut self, tags: &[usize], read: &[DataValue]) {
        for (at, &index) in tags.iter().enumerate() {
            let access = read.get(at).and_then(|access| access.value.as_ref());
            self.account.absences.keeps(index, request::has_history(access));
        }
    }

    async fn take_recorded(
        &mut self,
        asked: usize,
        results: &[HistoryReadResult],
        news: &mut News,
    ) -> Result<(), Ended> {
        for (at, mut course) in std::mem::take(&mut self.retrieval.batch).into_iter().enumerate() {
            let outcome = match results.get(at) {
                Some(result) => self.take_result(&mut course, asked, result, news).await?,
                None => Outcome::Lost,
            };
            match outcome {
                Outcome::More => self.retrieval.batch.push(course),
                ended => self.settle(course.index, ended, news).await?,
            }
        }
        Ok(())
    }

    async fn take_result(
        &mut self,
        course: &mut Course,
        asked: usize,
        result: &HistoryReadResult,
        news: &mut News,
    ) -> Result<Outcome, Ended> {
        let status = result.status_code;
        if status == StatusCode::BadNoData {
            return Ok(Outcome::Filled);
        }
        if status.is_bad() {
            self.account.absences.keeps(course.index, false);
            return Ok(Outcome::Lost);
        }
        let data = result.history_data.inner_as::<HistoryData>();
        let values = data.and_then(|data| data.data_values.as_deref()).unwrap_or_default();
        let recovered = self.account.absences.recovered(course.index, values);
        for value in &recovered {
            self.hand_on(course.index, value, news).await?;
        }
        self.retrieval.recovered += recovered.len() as u64;
        course.values += recovered.len();
        course.continuation = result.continuation_point.clone();
        // Some servers end at what was asked for without a word of what there is beyond.
        let may_have_more = values.len() >= asked && !recovered.is_empty();
        if course.continuation.is_null_or_empty() && !may_have_more {
            return Ok(Outcome::Filled);
        }
        Ok(if course.values < MOST_MISSED { Outcome::More } else { Outcome::Lost })
    }

    /// What waited for the history of a value is told.
    async fn settle(&mut self, index: usize, outcome: Outcome, news: &mut News) -> Result<(), Ended> {
        let is_filled = matches!(outcome, Outcome::Filled);
        for value in self.account.absences.settled(index, is_filled, self.account.clock.now()) {
            self.hand_on(index, &value, news).await?;
        }
        Ok(())
    }

    /// The server refuses the call as a whole, or does not answer it: for its size, or for good.
    async fn take_refusal(&mut self, status: StatusCode, news: &mut News) -> Result<(), Ended> {
        if request::is_too_large(status) && self.retrieval.batch.len() > 1 {
            let batch = std::mem::take(&mut self.retrieval.batch);
            self.retrieval.most_nodes = Some(batch.len() / 2);
            self.account.absences.put_back(batch.iter().map(|course| course.index));
            return Ok(());
        }
        self.retrieval.batch.clear();
        self.account.ledger.history_refused(status);
        self.account.absences.end();
        self.tell_waiting(news).await
    }

    async fn tell_waiting(&mut self, news: &mut News) -> Result<(), Ended> {
        for (index, value) in self.account.absences.given_up() {
            self.hand_on(index, &value, news).await?;
        }
        Ok(())
    }

    /// What waits is told as it is.
    async fn give_up_history(&mut self) -> Result<(), Ended> {
        let mut news = News::at(self.account.clock.now());
        self.tell_waiting(&mut news).await?;
        self.retrieval.batch.retain(|course| !course.continuation.is_null_or_empty());
        let nodes = self.histories();
        self.retrieval.batch.clear();
        self.retrieval.deadline = None;
        self.retrieval.asking = (!nodes.is_empty()).then(|| self.release(nodes));
        self.account.tell(news).await?;
        Ok(())
    }

    /// Tells the server to forget what it had begun, which it has little room for.
    fn release(&self, nodes: Vec<HistoryReadValueId>) -> Asking {
        let session = Arc::clone(&self.session);
        let details = request::recorded(Span::NONE, 1);
        Box::pin(async move {
            if let Err(error) = session.history_read(details, TimestampsToReturn::Both, true, &nodes).await {
                tracing::debug!(%error, "the server did not forget what was asked of its history");
            }
            Answer::Released
        })
    }

    /// Tells what had come and what waits, after the session has ended, and leaves the rest to the next one.
    pub(in crate::opcua) async fn leave(&mut self, failure: &Failure) -> Result<(), Unheard> {
        let mut news = News::at(self.account.clock.now());
        self.read_rest(&mut news);
        for (index, value) in self.account.absences.given_up() {
            let received = self.received_as_known(index, &value);
            self.account.value(self.sharing.with(index), &received, &mut news);
        }
        self.bequeath(failure);
        self.account.tell(news).await
    }
}
