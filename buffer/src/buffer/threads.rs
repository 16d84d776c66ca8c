//! What a buffer runs on: its two threads, the queues between them, and the generations that are open from the start.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use penstock_events::Lane;

use crate::error::OpenError;
use crate::intake::{Arrival, Intake};
use crate::meters;
use crate::recovery::Recovered;
use crate::shared::{Shared, Shelf};
use crate::writer::{Work, Writer};

type Queue<T> = (Sender<T>, Receiver<T>);

#[expect(
    clippy::disallowed_methods,
    reason = "arrivals are bounded by the permits of `room`, work by arrivals, one nudge a save and who waits for an announcement"
)]
pub(super) fn queues() -> (Queue<Arrival>, Queue<Work>) {
    (mpsc::channel(), mpsc::channel())
}

/// The generations that are open from the start.
pub(super) fn shelve(found: &Recovered) -> Shelf {
    let shelf = Shelf::default();
    for lane in Lane::ALL {
        let id = found.manifest.lanes[lane].last().expect("recovery leaves an active generation").id;
        shelf.put(lane, id, Arc::clone(&found.active[lane]));
    }
    shelf
}

/// Starts both threads. A panic in one, which would be a defect, fails the buffer and not silently.
pub(super) fn start(
    shared: &Arc<Shared>,
    (intake, arriving): (Intake, Receiver<Arrival>),
    (writer, working): (Writer, Receiver<Work>),
    arrivals: Sender<Arrival>,
) -> Result<[JoinHandle<()>; 2], OpenError> {
    meters::heads(*shared.heads.borrow());
    let for_intake = Arc::clone(shared);
    let for_writer = Arc::clone(shared);
    let intake = thread::Builder::new()
        .name("buffer-intake".to_owned())
        .spawn(move || for_intake.guard(|| intake.run(&arriving)))
        .map_err(OpenError::Thread)?;
    let writer = thread::Builder::new()
        .name("buffer-writer".to_owned())
        .spawn(move || {
            for_writer.guard(|| writer.run(&working));
            drop(arrivals.send(Arrival::WriterStopped));
        })
        .map_err(OpenError::Thread)?;
    Ok([intake, writer])
}
