//! The handle: what the rest of the gateway sees of the buffer.

mod threads;

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use penstock_events::normalizer::StateChange;
use penstock_events::{DestinationName, Event, Lane, Sequence, StreamId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::block::Packer;
use crate::error::{AckError, AppendError, CloseError, OpenError, ReadError};
use crate::intake::{Answer, Arrival, Intake, Request};
use crate::meters;
use crate::options::Options;
use crate::per_lane::{Appended, Heads, PerLane};
use crate::reader::{Batch, Damage, Read};
use crate::record::{self, MAX_EVENT_BYTES};
use crate::recovery::{Recovered, recover};
use crate::shared::{LiveCursors, Saved, Shared, lock};
use crate::status::{GenerationInfo, Status};
use crate::verify::{Verification, VerifyError};
use crate::writer::{DiskWatch, Examination, Work, Writer};
use threads::{queues, shelve, start};

/// How many events one append may bring: they share one commit, which is held in memory whole.
pub const MAX_APPEND_EVENTS: usize = 8_192;
/// How many events may be on their way to the disk; appends above that wait. Room for several full
/// groups, and a few megabytes at most.
const MAX_QUEUED_EVENTS: u32 = 16_384;

/// An open buffer. Clones are handles of the same one; when the last is dropped it closes as
/// [`close`](Self::close) does.
#[derive(Clone)]
pub struct Buffer {
    core: Arc<Core>,
}

struct Core {
    shared: Arc<Shared>,
    /// The normalizer's state as it was found.
    state: BTreeMap<String, Vec<u8>>,
    /// Keeps the order of appends that wait for room: who asks first is queued first.
    order: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    arrivals: Sender<Arrival>,
    work: Sender<Work>,
    /// `None` once closed.
    running: Mutex<Option<Running>>,
}

struct Running {
    threads: [JoinHandle<()>; 2],
    _lock: File,
}

/// An append that is queued. Resolves once it is durable; dropping it does not take the append back.
#[must_use = "the append is durable only once this resolves"]
pub struct Ticket {
    answer: oneshot::Receiver<Result<Appended, AppendError>>,
    shared: Arc<Shared>,
}

impl Buffer {
    /// Opens the store at `options.path`, or makes it. Blocks on disk.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; each says what to do.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        options.check()?;
        let found = options.spare().lend(|| recover(&options), OpenError::is_for_want_of_room)?;
        let is_damaged = !found.marks.losses.is_empty();
        let buffer = Self::start(options, found)?;
        if is_damaged && let Err(reason) = buffer.ask_writer(Work::KeepHouse) {
            tracing::warn!(reason, "what is lost by damage is announced when the disk takes it");
        }
        Ok(buffer)
    }

    fn start(options: Options, found: Recovered) -> Result<Self, OpenError> {
        let (limits, spare) = (options.limits(), options.spare());
        let shared = Arc::new(Shared {
            shelf: shelve(&found),
            streams: PerLane::from_fn(|lane| StreamId::new(&options.gateway, lane, found.manifest.store)),
            directory: found.directory,
            destinations: options.destinations,
            catalog: Mutex::new(found.manifest),
            cursors: Mutex::new(LiveCursors { cursors: found.cursors, saved: Saved::Yes }),
            heads: watch::Sender::new(found.heads),
            failure: OnceLock::new(),
            outage: Mutex::default(),
            closing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            shed_events: AtomicU64::new(0),
            dead: found.dead,
            replays: found.replays,
            errands: watch::Sender::new(0),
            purged: Mutex::default(),
            decoded: Mutex::default(),
        });
        let packer = || Packer::new().map_err(OpenError::Thread);
        let ((arrivals, arriving), (work, working)) = queues();
        let intake = Intake::new(Arc::clone(&shared), options.group, packer()?, work.clone());
        let writer = Writer {
            shared: Arc::clone(&shared),
            limits,
            gateway: options.gateway,
            clock: options.clock,
            free_bytes_of: options.free_bytes,
            spare,
            disk: DiskWatch::default(),
            active: found.active,
            journal: found.journal,
            state: found.state.clone(),
            order: found.order,
            given_up: PerLane::default(),
            marks: found.marks,
            marks_are_saved: Saved::Yes,
            marked: Instant::now(),
            interruption: None,
            packer: packer()?,
            intake: arrivals.clone(),
        };
        writer.note_fullness();
        let threads = start(&shared, (intake, arriving), (writer, working), arrivals.clone())?;
        Ok(Self {
            core: Arc::new(Core {
                shared,
                state: found.state,
                order: tokio::sync::Mutex::new(()),
                room: Arc::new(Semaphore::new(MAX_QUEUED_EVENTS as usize)),
                arrivals,
                work,
                running: Mutex::new(Some(Running { threads, _lock: found.lock })),
            }),
        })
    }

    /// The normalizer's state as it was when the buffer was opened, by key.
    pub fn state(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.core.state
    }

    /// The stream of `lane`: what its sequences count.
    pub fn stream(&self, lane: Lane) -> &StreamId {
        &self.core.shared.streams[lane]
    }

    /// Appends `events`, and the `state` that explains them, and returns once all of it is durable.
    ///
    /// The business events and the state of one append are committed together or not at all.
    /// Dropping the future before it resolves leaves open whether the append takes place.
    ///
    /// # Errors
    ///
    /// See [`AppendError`].
    pub async fn append(&self, events: Vec<Event>, state: Vec<StateChange>) -> Result<Appended, AppendError> {
        self.enqueue(events, state).await?.await
    }

    /// Queues an append, waiting for room if there is none, and returns before it is durable. So many
    /// appends can be under way at once; their sequences are in the order in which `enqueue` was first polled.
    ///
    /// # Errors
    ///
    /// See [`AppendError`].
    pub async fn enqueue(&self, events: Vec<Event>, state: Vec<StateChange>) -> Result<Ticket, AppendError> {
        check(&events, &state)?;
        let core = &self.core;
        let weight = u32::try_from(events.len().max(1)).expect("at most MAX_APPEND_EVENTS");
        let in_turn = core.order.lock().await;
        let room =
            Arc::clone(&core.room).acquire_many_owned(weight).await.map_err(|_| AppendError::Closed)?;
        let ticket = self.queue(events, state, room);
        drop(in_turn);
        ticket
    }

    /// Up to `limit` events of `lane`, from the first that is retained at or after `from`. Takes
    /// nothing away, and sees only what is durable. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the disk cannot be read, or damage cannot be announced because it takes nothing.
    pub fn read(&self, lane: Lane, from: Sequence, limit: usize) -> Result<Batch, ReadError> {
        loop {
            match self.core.shared.read(lane, from, limit)? {
                Read::Batch(batch) => return Ok(batch),
                // Nobody is led past it before it is announced.
                Read::Damage(damage) => self.examine(&damage)?,
            }
        }
    }

    /// How far `destination` has acknowledged `lane`; `None` when it is not a configured destination.
    pub fn cursor(&self, destination: &DestinationName, lane: Lane) -> Option<Sequence> {
        let shared = &self.core.shared;
        shared
            .destinations
            .contains(destination)
            .then(|| lock(&shared.cursors).cursors.get(destination).unwrap_or_default()[lane])
    }

    /// Notes that `destination` has every event of `lane` up to and with `through`. Holds at once in
    /// memory, and within about 100 ms on disk. An acknowledgement of what is already acknowledged changes nothing.
    ///
    /// # Errors
    ///
    /// [`AckError`] when the destination is not configured or the lane does not reach so far.
    pub fn ack(&self, destination: &DestinationName, lane: Lane, through: Sequence) -> Result<(), AckError> {
        let shared = &self.core.shared;
        if !shared.destinations.contains(destination) {
            return Err(AckError::UnknownDestination(destination.clone()));
        }
        let head = shared.heads.borrow()[lane];
        if through > head {
            return Err(AckError::PastHead { lane, through, head });
        }
        let before = {
            let mut live = lock(&shared.cursors);
            if !live.cursors.advance(destination, lane, through) {
                return Ok(());
            }
            std::mem::replace(&mut live.saved, Saved::No)
        };
        meters::acknowledged(destination, lane, through);
        // One nudge for all that moved since the file was written. A writer that is gone has closed.
        if before == Saved::Yes {
            drop(self.core.work.send(Work::Nudge));
        }
        Ok(())
    }

    /// The last durable sequence of each lane, and every change of it.
    pub fn heads(&self) -> watch::Receiver<Heads> {
        self.core.shared.heads.subscribe()
    }

    /// What is in the buffer, and who still needs it.
    pub fn status(&self) -> Status {
        self.core.shared.status()
    }

    /// The generations of `lane`, the oldest first, from memory.
    pub fn generations(&self, lane: Lane) -> Vec<GenerationInfo> {
        self.core.shared.generations(lane)
    }

    /// Reads all of one generation, checks it, and tells what is wrong. `progress` is told how many
    /// events were read so far, after each block. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Unknown`] when there is no such generation.
    pub fn verify_generation(
        &self,
        lane: Lane,
        number: u32,
        mut progress: impl FnMut(u64),
    ) -> Result<Verification, VerifyError> {
        self.core.shared.verify_generation(lane, number, &mut progress)
    }

    /// Commits what is queued, makes the cursors durable and releases the directory. Appends that wait
    /// for room in a full buffer are refused. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    ///
    /// [`CloseError::Failed`] when the disk failed, now or before.
    pub fn close(self) -> Result<(), CloseError> {
        self.core.close()
    }

    /// What the buffer's threads and its callers share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.core.shared
    }

    /// Asks something of the writer, and returns once it is done; the error says why it was not.
    pub(crate) fn ask_writer(
        &self,
        work: impl FnOnce(mpsc::SyncSender<Result<(), String>>) -> Work,
    ) -> Result<(), String> {
        let (answer, answered) = mpsc::sync_channel(1);
        // A writer that is gone drops the answer.
        drop(self.core.work.send(work(answer)));
        answered.recv().unwrap_or_else(|_| Err(refusal(&self.core.shared).to_string()))
    }

    /// Has the writer look through what cannot be read. Its damage is announced when this returns.
    fn examine(&self, damage: &Damage) -> Result<(), ReadError> {
        let Damage { lane, generation: id, sequence, ref detail } = *damage;
        let examined = self.ask_writer(|answer| Work::Examine(Examination { lane, id, answer }));
        examined.map_err(|reason| ReadError::Damaged {
            lane,
            generation: id,
            sequence,
            detail: format!("{detail}; that cannot be announced: {reason}"),
        })
    }

    fn queue(
        &self,
        events: Vec<Event>,
        state: Vec<StateChange>,
        room: OwnedSemaphorePermit,
    ) -> Result<Ticket, AppendError> {
        let shared = &self.core.shared;
        let (to, answer) = oneshot::channel();
        let request = Request { events, state, answer: Answer { to, room } };
        if shared.closing.load(Ordering::Acquire)
            || self.core.arrivals.send(Arrival::Append(request)).is_err()
        {
            return Err(refusal(shared));
        }
        Ok(Ticket { answer, shared: Arc::clone(shared) })
    }
}

impl Future for Ticket {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(refusal(&self.shared))))
    }
}

impl Core {
    fn close(&self) -> Result<(), CloseError> {
        let Some(Running { threads, _lock }) = lock(&self.running).take() else { return self.outcome() };
        self.shared.closing.store(true, Ordering::Release);
        // A thread that is gone has closed; the rest is done here all the same.
        drop(self.work.send(Work::Nudge));
        if self.arrivals.send(Arrival::Close).is_err() {
            // The writer is not told by an intake that panicked.
            drop(self.work.send(Work::Close));
        }
        for thread in threads {
            thread.join().expect("both threads catch their panics");
        }
        self.room.close();
        self.shared.shelf.clear();
        self.outcome()
    }

    fn outcome(&self) -> Result<(), CloseError> {
        self.shared.why_not().map_or(Ok(()), |reason| Err(CloseError::Failed(reason)))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the buffer did not close cleanly");
        }
    }
}

fn check(events: &[Event], state: &[StateChange]) -> Result<(), AppendError> {
    if events.len() > MAX_APPEND_EVENTS {
        return Err(AppendError::TooManyEvents { events: events.len() });
    }
    for (index, event) in events.iter().enumerate() {
        let bytes = record::size_bound(event);
        if bytes > MAX_EVENT_BYTES {
            return Err(AppendError::EventTooLarge { index, bytes });
        }
    }
    for change in state {
        let bytes = change.key.len() + change.value.len();
        if bytes > MAX_EVENT_BYTES {
            return Err(AppendError::StateTooLarge { key: change.key.clone(), bytes });
        }
    }
    Ok(())
}

fn refusal(shared: &Shared) -> AppendError {
    shared.why_not().map_or(AppendError::Closed, AppendError::Failed)
}
