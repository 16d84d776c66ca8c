//! What may be missing of each tag, what its server's history is asked for, and what of the answer is told. Pure.
//!
//! Values may be missing between the last one that is known of a tag and the first after an interruption. That
//! one, and what follows it, waits until the history has said what was between: a counter that was told a value
//! and then an older one would be taken for one that began anew.
//!
//! What is known is known by the source's times alone. So nothing is missed of a tag without them, and what lies
//! strictly between two of them was never told.

use std::time::Duration;

use opcua::types::DataValue;
use penstock_events::Timestamp;

use super::decode::Received;

/// How long a value waits before the history is asked: whoever keeps it writes down what it hears a moment later.
const SETTLING: Duration = Duration::from_secs(1);

/// The times between which values are wanted, both excluded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    /// When the last value that is known was.
    pub(super) after: Timestamp,
    /// When the first value that waits was.
    pub(super) before: Timestamp,
}

/// Of all tags, what may be missing, and the values that wait for it.
#[derive(Debug)]
pub(super) struct Absences {
    tags: Vec<Presence>,
    /// How far back from the value that waits the history is asked; not at all when it is zero.
    longest: Duration,
    /// The tags of which values wait and that no request is made for yet.
    wanted: Vec<usize>,
    waiting: usize,
    gaps: Gaps,
}

/// Times that values of a tag may be missing for good.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Gaps {
    /// All.
    pub(super) count: u64,
    /// Those of tags that had none since the history last helped.
    pub(super) news: u64,
}

#[derive(Debug, Default)]
struct Presence {
    /// The source's time of the last value that can be trusted.
    last: Option<Timestamp>,
    state: State,
    /// Whether the server keeps the node's history, once that was asked in this session.
    keeps: Option<bool>,
    /// Whether it is known to have had a gap.
    is_known_to_lack: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Each value follows the one before.
    #[default]
    Whole,
    /// Values after the last may be missing.
    Interrupted,
    /// These values wait for what was in the span before the first of them.
    Awaiting { span: Span, since: Timestamp, waiting: Vec<DataValue> },
}

impl Absences {
    /// Nothing is missing of so many tags. The history will be asked as far back as `longest`.
    pub(super) fn new(tags: usize, longest: Duration) -> Self {
        let tags = std::iter::repeat_with(Presence::default).take(tags).collect();
        Self { tags, longest, wanted: Vec::new(), waiting: 0, gaps: Gaps::default() }
    }

    /// A session begins: what the server keeps is asked anew.
    pub(super) fn begin(&mut self) {
        self.tags.iter_mut().for_each(|tag| tag.keeps = None);
    }

    /// The server has no history for the rest of the session.
    pub(super) fn end(&mut self) {
        self.tags.iter_mut().for_each(|tag| tag.keeps = Some(false));
    }

    /// Values of the tag at `index` may be missing from its last one on.
    pub(super) fn interrupted(&mut self, index: usize) {
        let tag = &mut self.tags[index];
        if matches!(tag.state, State::Whole) && tag.last.is_some() {
            tag.state = State::Interrupted;
        }
    }

    /// Whether nothing is missing of the tag at `index`.
    pub(super) fn is_whole(&self, index: usize) -> bool {
        matches!(self.tags[index].state, State::Whole)
    }

    /// A value of the tag at `index` has come. Whether it is to be told; otherwise it waits.
    pub(super) fn arrived(&mut self, index: usize, value: &DataValue, now: Timestamp) -> bool {
        let tag = &mut self.tags[index];
        if let State::Awaiting { waiting, .. } = &mut tag.state {
            waiting.push(value.clone());
            self.waiting += 1;
            return false;
        }
        let Some(time) = trusted_time(value) else { return true };
        let follows = matches!(tag.state, State::Whole) && !received(value).overflowed();
        let last = tag.last.replace(time);
        tag.state = State::Whole;
        let Some(after) = last.filter(|last| !follows && *last < time) else { return true };
        if self.is_kept(index) {
            self.await_history(index, Span { after, before: time }, value.clone(), now);
            return false;
        }
        self.lacks(index);
        true
    }

    fn is_kept(&self, index: usize) -> bool {
        !self.longest.is_zero() && self.tags[index].keeps != Some(false)
    }

    fn await_history(&mut self, index: usize, span: Span, value: DataValue, since: Timestamp) {
        let earliest = earlier(span.before, self.longest);
        if span.after < earliest {
            self.lacks(index);
        }
        let span = Span { after: span.after.max(earliest), ..span };
        self.tags[index].state = State::Awaiting { span, since, waiting: vec![value] };
        self.wanted.push(index);
        self.waiting += 1;
    }

    /// How many values wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Up to `most` tags that are wanted and of which it is not known whether the server keeps their history.
    pub(super) fn unknown(&self, most: usize) -> Vec<usize> {
        let unknown = self.wanted.iter().filter(|index| self.tags[**index].keeps.is_none());
        unknown.take(most).copied().collect()
    }

    /// Whether the server keeps the history of the tag at `index`.
    pub(super) fn keeps(&mut self, index: usize, keeps: bool) {
        self.tags[index].keeps = Some(keeps);
    }

    /// Takes the tags without a history out of those that are wanted.
    pub(super) fn take_hopeless(&mut self) -> Vec<usize> {
        let (hopeless, wanted) = std::mem::take(&mut self.wanted)
            .into_iter()
            .partition(|index| self.tags[*index].keeps == Some(false));
        self.wanted = wanted;
        hopeless
    }

    /// Takes up to `most` tags out of those that are wanted, to be asked for in one request. That has one span for
    /// all, which is at most twice as long as the one of each.
    pub(super) fn next_batch(&mut self, most: usize, now: Timestamp) -> Vec<usize> {
        let all = std::mem::take(&mut self.wanted);
        let (mut wanted, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|i| self.is_ripe(*i, now));
        wanted.sort_by_key(|index| self.span(*index).map(|span| span.after));
        let mut whole: Option<Span> = None;
        let fits = |index: &&usize| {
            let Some(span) = self.span(**index) else { return true };
            let joined = whole.map_or(span, |whole| whole.joined(span));
            let is_alike = span.length() * 2 >= joined.length();
            whole = Some(joined);
            is_alike
        };
        let count = wanted.iter().take(most.max(1)).take_while(fits).count().max(1).min(wanted.len());
        self.wanted = wanted.split_off(count);
        self.wanted.extend(later);
        wanted
    }

    /// A clock that was set makes it ripe.
    fn is_ripe(&self, index: usize, now: Timestamp) -> bool {
        match &self.tags[index].state {
            State::Awaiting { since, .. } => now.checked_since(*since).is_none_or(|age| age >= SETTLING),
            State::Whole | State::Interrupted => true,
        }
    }

    /// Puts tags back to those that are wanted.
    pub(super) fn put_back(&mut self, tags: impl IntoIterator<Item = usize>) {
        self.wanted.extend(tags);
    }

    /// What is still wanted of the tag at `index`.
    pub(super) fn span(&self, index: usize) -> Option<Span> {
        match &self.tags[index].state {
            State::Awaiting { span, .. } => Some(*span),
            State::Whole | State::Interrupted => None,
        }
    }

    /// The history of the tag at `index` has these values: those that are to be told, in their order. What is
    /// wanted after that is later than all of them.
    pub(super) fn recovered<'v>(&mut self, index: usize, values: &'v [DataValue]) -> Vec<&'v DataValue> {
        let State::Awaiting { span, .. } = &mut self.tags[index].state else { return Vec::new() };
        let timed = values.iter().filter_map(|value| Some((received(value).time()?, value)));
        let mut timed: Vec<_> = timed.filter(|(time, _)| span.after < *time && *time < span.before).collect();
        timed.sort_by_key(|(time, _)| *time);
        timed.dedup_by_key(|(time, _)| *time);
        if let Some((latest, _)) = timed.last() {
            span.after = *latest;
        }
        timed.into_iter().map(|(_, value)| value).collect()
    }

    /// The history of the tag at `index` has said all that it will: what is to be told of the values that waited.
    /// Others wait on when the server gave up values between them.
    pub(super) fn settled(&mut self, index: usize, is_filled: bool, now: Timestamp) -> Vec<DataValue> {
        let tag = &mut self.tags[index];
        let State::Awaiting { span, waiting, .. } = std::mem::take(&mut tag.state) else { return Vec::new() };
        tag.last = Some(span.before);
        self.waiting -= waiting.len();
        if is_filled {
            tag.is_known_to_lack = false;
        } else {
            self.lacks(index);
        }
        waiting.into_iter().filter(|value| self.arrived(index, value, now)).collect()
    }

    /// Nothing more will be asked: all values that wait, in the order of each tag.
    pub(super) fn given_up(&mut self) -> Vec<(usize, DataValue)> {
        self.wanted.clear();
        let mut all = Vec::with_capacity(self.waiting);
        for index in 0..self.tags.len() {
            if let State::Awaiting { waiting, .. } = std::mem::take(&mut self.tags[index].state) {
                let last = waiting.iter().rev().find_map(trusted_time);
                self.tags[index].last = last.or(self.tags[index].last);
                self.lacks(index);
                all.extend(waiting.into_iter().map(|value| (index, value)));
            }
        }
        self.waiting = 0;
        all
    }

    /// The gaps since this was last asked.
    pub(super) fn take_gaps(&mut self) -> Gaps {
        std::mem::take(&mut self.gaps)
    }

    fn lacks(&mut self, index: usize) {
        self.gaps.count += 1;
        if !std::mem::replace(&mut self.tags[index].is_known_to_lack, true) {
            self.gaps.news += 1;
        }
    }
}

impl Span {
    /// Nothing.
    pub(super) const NONE: Self =
        Self { after: Timestamp::from_micros(0), before: Timestamp::from_micros(0) };

    /// The span that has both.
    pub(super) fn joined(self, other: Self) -> Self {
        Self { after: self.after.min(other.after), before: self.before.max(other.before) }
    }

    fn length(self) -> Duration {
        self.before.checked_since(self.after).unwrap_or_default()
    }
}

fn received(value: &DataValue) -> Received<'_> {
    Received { value, unfolded: None }
}

/// When a value was; nothing of a bad one, whose time is that of whoever found it so.
fn trusted_time(value: &DataValue) -> Option<Timestamp> {
    let is_bad = value.status.is_some_and(|status| status.is_bad());
    received(value).time().filter(|_| !is_bad)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_sub(by))
}

#[cfg(test)]
mod tests;
