//! Finds which places of a table can be read, by asking for as little as possible.
//!
//! A stretch as long as a request is asked for at once: where a device is densely mapped, that is
//! all. One that is refused is sampled, a single place every `grain`; between a sample that can be
//! read and one that cannot, the edge is found by bisection. So a readable stretch is found, to its
//! exact ends, if a sample lies in it: always if it is as long as the grain.

use crate::modbus::address::Table;
use crate::modbus::places::Places;

/// What a device says to a request for places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It can be read.
    Readable,
    /// It cannot, or not at once.
    Refused,
}

/// Who is asked.
pub(super) trait Oracle {
    /// Why nothing more can be asked.
    type Error;

    /// Asks for places, at once.
    async fn ask(&mut self, places: Places) -> Result<Verdict, Self::Error>;
}

/// What was found of a table so far.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    table: Table,
    /// Readable places, in order and apart from each other.
    found: Vec<Places>,
    /// The most places that the device gives at once, as far as is known.
    size: u16,
    /// Whether the device refused more than that where every place can be read.
    is_limited: bool,
    grain: u16,
    /// The last place that was tried, and whether it can be read.
    last: Option<(u16, Verdict)>,
}

impl Survey {
    /// Nothing found yet of `table`, in which at most `size` places are asked for at once, and single
    /// places `grain` apart where that is refused. Both are at least one.
    pub(super) fn new(table: Table, size: u16, grain: u16) -> Self {
        let grain = grain.min(size);
        Self { table, found: Vec::new(), size, is_limited: false, grain, last: None }
    }

    /// The readable places.
    pub(super) fn found(&self) -> &[Places] {
        &self.found
    }

    /// The most places that the device gives at once, if it gives fewer than were asked for.
    pub(super) fn limit(&self) -> Option<u16> {
        self.is_limited.then_some(self.size)
    }

    /// Looks at the places from `first` to `last`, all behind those that were looked at before.
    ///
    /// # Errors
    ///
    /// The first error of `device`. What was found until then stays.
    pub(super) async fn run<D: Oracle>(
        &mut self,
        first: u16,
        last: u16,
        device: &mut D,
    ) -> Result<(), D::Error> {
        let mut next = u32::from(first);
        while next <= u32::from(last) {
            let end = (next + u32::from(self.size) - 1).min(last.into());
            let stretch = self.places(narrow(next), narrow(end));
            match device.ask(stretch).await? {
                Verdict::Readable => {
                    self.join(stretch.first(), Verdict::Readable, device).await?;
                    self.add(stretch);
                    self.last = Some((stretch.last(), Verdict::Readable));
                }
                Verdict::Refused if stretch.count() == 1 => {
                    self.join(stretch.first(), Verdict::Refused, device).await?;
                }
                Verdict::Refused => self.sample(stretch, device).await?,
            }
            next = end + 1;
        }
        Ok(())
    }

    /// Tries single places of a stretch that was refused as a whole.
    async fn sample<D: Oracle>(&mut self, stretch: Places, device: &mut D) -> Result<(), D::Error> {
        for place in (stretch.first()..=stretch.last()).step_by(self.grain.into()) {
            let verdict = device.ask(self.places(place, place)).await?;
            self.join(place, verdict, device).await?;
        }
        self.join_end(stretch.last(), device).await?;
        let is_whole = |found: &Places| found.first() <= stretch.first() && stretch.last() <= found.last();
        if self.found.iter().any(is_whole) {
            // Every place can be read and yet not all at once: the device has a limit of its own.
            let all_but_one = narrow(stretch.count() - 1);
            self.size = self.most_at_once(stretch.first(), all_but_one, Side::From, device).await?;
            (self.is_limited, self.grain) = (true, self.grain.min(self.size));
        }
        Ok(())
    }

    /// Takes in that `place` was tried, and looks at what lies between it and the one before.
    async fn join<D: Oracle>(
        &mut self,
        place: u16,
        verdict: Verdict,
        device: &mut D,
    ) -> Result<(), D::Error> {
        if let Some((known, of_known)) = self.last.replace((place, verdict))
            && known + 1 < place
        {
            self.fill(known + 1, place - 1, (of_known, verdict), device).await?;
        }
        if verdict == Verdict::Readable {
            self.add(self.places(place, place));
        }
        Ok(())
    }

    /// Looks behind the last place that was tried, up to and with `end`, if that could be read.
    async fn join_end<D: Oracle>(&mut self, end: u16, device: &mut D) -> Result<(), D::Error> {
        if let Some((known, Verdict::Readable)) = self.last
            && known < end
        {
            let count = self.reach(known + 1, end - known, Side::From, device).await?;
            self.add(self.places(known, known + count));
            self.last = Some(match known + count {
                reached if reached == end => (end, Verdict::Readable),
                reached => (reached + 1, Verdict::Refused),
            });
        }
        Ok(())
    }

    /// Finds what can be read from `first` to `last`, of which the places before and behind are known.
    async fn fill<D: Oracle>(
        &mut self,
        first: u16,
        last: u16,
        (before, behind): (Verdict, Verdict),
        device: &mut D,
    ) -> Result<(), D::Error> {
        let mut left = last - first + 1;
        if before == Verdict::Readable {
            let count = self.reach(first, left, Side::From, device).await?;
            self.add(self.places(first - 1, first - 1 + count));
            // The place behind what was reached was refused.
            left -= (count + 1).min(left);
        }
        if behind == Verdict::Readable && left > 0 {
            let count = self.reach(last, left, Side::DownFrom, device).await?;
            self.add(self.places(last + 1 - count, last + 1));
        }
        Ok(())
    }

    /// How many of `all` places to that side of `end` can be read up to the first that cannot.
    async fn reach<D: Oracle>(
        &self,
        end: u16,
        all: u16,
        side: Side,
        device: &mut D,
    ) -> Result<u16, D::Error> {
        let mut reached = 0;
        loop {
            let next = if side == Side::From { end + reached } else { end - reached };
            let count = self.most_at_once(next, all - reached, side, device).await?;
            reached += count;
            if count == 0 || reached == all {
                return Ok(reached);
            }
            // Refused may have been the number of places, and not the one behind them.
            let behind = if side == Side::From { end + reached } else { end - reached };
            if device.ask(self.places(behind, behind)).await? == Verdict::Refused {
                return Ok(reached);
            }
        }
    }

    /// The most of `all` places to that side of `end` that can be read at once, by bisection, all first.
    async fn most_at_once<D: Oracle>(
        &self,
        end: u16,
        all: u16,
        side: Side,
        device: &mut D,
    ) -> Result<u16, D::Error> {
        let (mut good, mut bad, mut next) = (0, all + 1, all);
        while good + 1 < bad {
            let places = match side {
                Side::From => self.places(end, end + (next - 1)),
                Side::DownFrom => self.places(end - (next - 1), end),
            };
            match device.ask(places).await? {
                Verdict::Readable => good = next,
                Verdict::Refused => bad = next,
            }
            next = good + (bad - good) / 2;
        }
        Ok(good)
    }

    fn add(&mut self, more: Places) {
        match self.found.last_mut() {
            Some(known) if u32::from(more.first()) <= u32::from(known.last()) + 1 => {
                let last = known.last().max(more.last());
                *known = Places::new(self.table, known.first(), last).expect("it only grows");
            }
            _ => self.found.push(more),
        }
    }

    fn places(&self, first: u16, last: u16) -> Places {
        Places::new(self.table, first, last).expect("first and last are in order")
    }
}

/// To which side of a place others lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    /// From it on.
    From,
    /// From it down.
    DownFrom,
}

fn narrow(place: u32) -> u16 {
    u16::try_from(place).expect("it is not behind a last place")
}

#[cfg(test)]
mod tests;
