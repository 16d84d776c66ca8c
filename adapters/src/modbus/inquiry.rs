//! What a group of tags is asked for, as its device bears it. Pure.
//!
//! It begins with the plan. A request that draws "illegal data address" or "illegal data value" is cut
//! in two, and so are its parts, until what is refused is one tag's. That tag alone is bad then, and is
//! not asked again for a while. After that the plan is tried as it was made: a device that had just
//! started heals soon, one with a hole in its registers costs a few requests now and then.

use std::time::{Duration, Instant};

use super::decode::Answer;
use super::limits::Limits;
use super::plan::{Block, Home, Plan, plan};
use super::tag::Tag;

/// "Illegal data address" and "illegal data value" (Application Protocol V1.1b3, section 7): another
/// part of the request may be right.
const REFUSES_A_PART: [u8; 2] = [2, 3];
/// "Illegal function": there is no such table, and no use in asking again soon.
const REFUSES_ALL: u8 = 1;
/// How long a refused place is left alone at first. A device that starts may refuse everything.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// How long at most, after twice as long each time: what is refused for good costs next to nothing.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// How many requests one poll cuts in two. A device that refuses every one of a thousand tags is not
/// asked two thousand times at once.
const MAX_CUTS: usize = 32;

/// The requests of a group, and the answers of the poll that is under way.
#[derive(Debug)]
pub(super) struct Inquiry {
    limits: Limits,
    plan: Plan,
    /// The plan as it was made, while the one above is cut.
    made: Option<Plan>,
    /// The exceptions of the blocks that are left alone, by their index.
    refused: Vec<Option<u8>>,
    answers: Vec<Option<Answer>>,
    /// The first block without an answer.
    next: usize,
    cuts: usize,
    /// When the plan is tried again as it was made.
    retry_at: Option<Instant>,
    /// How long the next refusal is left alone.
    pause: Duration,
}

impl Inquiry {
    /// The requests that the plan has for `tags`.
    pub(super) fn new(tags: &[Tag], limits: &Limits) -> Self {
        let plan = plan(tags, limits);
        Self {
            limits: limits.clone(),
            refused: vec![None; plan.blocks.len()],
            plan,
            made: None,
            answers: Vec::new(),
            next: 0,
            cuts: 0,
            retry_at: None,
            pause: RETRY_FIRST,
        }
    }

    /// The requests, and where in their answers the tags are.
    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every block that is or will be asked, while the plan is cut and after.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block> {
        self.plan.blocks.iter().chain(self.made.iter().flat_map(|made| &made.blocks)).copied()
    }

    /// Begins a poll at `now`.
    pub(super) fn begin(&mut self, now: Instant) {
        match self.retry_at {
            Some(at) if at <= now => {
                self.retry_at = None;
                self.pause = (self.pause * 2).min(RETRY_MAX);
                self.plan = self.made.take().unwrap_or_else(|| std::mem::take(&mut self.plan));
                self.refused = vec![None; self.plan.blocks.len()];
            }
            Some(_later) => {}
            None => self.pause = RETRY_FIRST,
        }
        // A poll asks something in any case: that nobody was asked must not pass for an answer.
        if self.refused.iter().all(Option::is_some)
            && let Some(first) = self.refused.first_mut()
        {
            *first = None;
        }
        self.answers = self.refused.iter().map(|refused| refused.map(Answer::Exception)).collect();
        (self.next, self.cuts) = (0, 0);
    }

    /// The block that is asked next; none when the poll is complete.
    pub(super) fn next(&mut self) -> Option<Block> {
        while self.answers.get(self.next).is_some_and(Option::is_some) {
            self.next += 1;
        }
        self.plan.blocks.get(self.next).copied()
    }

    /// Takes the answer to the block that is next in, for a group of these `tags`.
    pub(super) fn take(&mut self, answer: Answer, tags: &[Tag], now: Instant) {
        if let Answer::Exception(code) = answer
            && (REFUSES_A_PART.contains(&code) || code == REFUSES_ALL)
            && self.cuts < MAX_CUTS
        {
            self.retry_at.get_or_insert(now + self.pause);
            if REFUSES_A_PART.contains(&code) && self.cut(self.next, tags) {
                self.cuts += 1;
                self.answers.resize(self.plan.blocks.len(), None);
                return;
            }
            self.refused[self.next] = Some(code);
        }
        self.answers[self.next] = Some(answer);
    }

    /// The answers of a complete poll, one for each block.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers).into_iter().flatten().collect()
    }

    /// Cuts a block in two between its tags; whether that is possible.
    fn cut(&mut self, block: usize, tags: &[Tag]) -> bool {
        let mut members: Vec<usize> =
            (0..tags.len()).filter(|&tag| self.plan.homes[tag].block == block).collect();
        members.sort_unstable_by_key(|&tag| tags[tag].at().start);
        let begins = |&at: &usize| tags[members[at - 1]].at().start < tags[members[at]].at().start;
        let middle = members.len() / 2;
        let Some(at) = (1..members.len()).filter(begins).min_by_key(|at| at.abs_diff(middle)) else {
            return false;
        };
        self.made.get_or_insert_with(|| self.plan.clone());
        let (first, second) = members.split_at(at);
        let mut place = Some(block);
        for half in [first, second] {
            self.replan(half, tags, &mut place);
        }
        true
    }

    /// Plans these tags anew; the first block takes the free `place`.
    fn replan(&mut self, half: &[usize], tags: &[Tag], place: &mut Option<usize>) {
        let of_half: Vec<Tag> = half.iter().map(|&tag| tags[tag].clone()).collect();
        let part = plan(&of_half, &self.limits);
        let mut indices = Vec::with_capacity(part.blocks.len());
        for block in part.blocks {
            indices.push(self.put(block, place.take()));
        }
        for (&tag, home) in half.iter().zip(part.homes) {
            self.plan.homes[tag] = Home { block: indices[home.block], ..home };
        }
    }

    fn put(&mut self, block: Block, place: Option<usize>) -> usize {
        match place {
            Some(place) => {
                self.plan.blocks[place] = block;
                place
            }
            None => {
                self.plan.blocks.push(block);
                self.refused.push(None);
                self.plan.blocks.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests;
