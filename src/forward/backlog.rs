//! Reads a lane of the buffer ahead of delivery, and writes each event as it will travel.

use std::collections::VecDeque;

use anyhow::Context;
use penstock_buffer::{Batch, Buffer, Heads};
use penstock_events::{Event, Lane, Sequence};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Letter, Route};

/// Events that are read at once: some blocks, about half a megabyte as documents.
const READ: usize = 1_000;
/// The next read starts when no more than this many events are ready, so that the disk is never waited for.
const LOW: usize = READ / 2;

/// An event, and as it will travel.
pub(super) struct Outgoing {
    pub(super) sequence: Sequence,
    pub(super) event: Event,
    pub(super) letter: Letter,
}

/// What one read gave: everything that is retained up to and with `through`.
struct Read {
    through: Sequence,
    events: Vec<Outgoing>,
}

/// What a destination has not been given, in order.
pub(super) struct Backlog {
    route: Route,
    lane: Lane,
    buffer: Buffer,
    heads: watch::Receiver<Heads>,
    ready: VecDeque<Outgoing>,
    reading: Option<JoinHandle<anyhow::Result<Read>>>,
    next: Sequence,
}

impl Backlog {
    pub(super) fn new(route: Route, lane: Lane, buffer: Buffer) -> Self {
        let heads = buffer.heads();
        Self { route, lane, buffer, heads, ready: VecDeque::new(), reading: None, next: Sequence::ZERO }
    }

    /// Goes back (or on) to the first event after `cursor`.
    pub(super) fn rewind(&mut self, cursor: Sequence) {
        self.ready.clear();
        self.reading = None;
        self.next = cursor.next();
    }

    /// The next event, once there is one. May be dropped while it waits; nothing is skipped then.
    ///
    /// # Errors
    /// When the buffer cannot be read or is gone.
    pub(super) async fn next(&mut self) -> anyhow::Result<Outgoing> {
        loop {
            self.read_ahead();
            if let Some(outgoing) = self.ready.pop_front() {
                return Ok(outgoing);
            }
            match &mut self.reading {
                Some(reading) => {
                    let read = reading.await;
                    self.reading = None;
                    self.take(read.context("the reading thread ended")??);
                }
                None => self.heads.changed().await.context("the buffer is closed")?,
            }
        }
    }

    fn read_ahead(&mut self) {
        let head = self.heads.borrow_and_update()[self.lane];
        if head >= self.next && self.reading.is_none() && self.ready.len() <= LOW {
            let (route, lane) = (self.route.clone(), self.lane);
            let (buffer, from) = (self.buffer.clone(), self.next);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let batch = buffer.read(lane, from, READ).context("cannot read the buffer")?;
                // Nothing at all: what was there up to the head that was seen has been shed meanwhile. A later
                // head must not be taken for it, since its events are yet to be read.
                let through = batch.events.last().map_or(head, |&(sequence, _)| sequence);
                Ok(Read { through, events: write(&route, batch) })
            }));
        }
    }

    fn take(&mut self, Read { through, events }: Read) {
        self.next = through.next();
        self.ready.extend(events);
    }
}

fn write(route: &Route, Batch { stream, events }: Batch) -> Vec<Outgoing> {
    let write = |(sequence, event): (Sequence, Event)| Outgoing {
        sequence,
        letter: route.letter(&stream, sequence, &event),
        event,
    };
    events.into_iter().map(write).collect()
}
