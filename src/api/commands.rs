//! The socket's side of the operator's desk: each command on a thread of its own, its replies streamed to whoever
//! asked, no faster than they are taken.

use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, Failure, FailureKind, Reply, Request, Stop};

/// Commands that are carried out at once: each takes a thread, and the forwarders need the others.
const COMMANDS: usize = 4;
/// Replies go out when so much of them is together, or with the next word of progress.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait for a slow reader; then the command waits.
const CHUNKS: usize = 2;

/// Where commands are handed in.
#[derive(Clone)]
pub(super) struct Counter {
    desk: Desk,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Counter {
    pub(super) fn new(desk: Desk, stop: CancellationToken) -> Self {
        Self { desk, places: Arc::new(Semaphore::new(COMMANDS)), stop }
    }
}

/// Answers one command.
pub(super) async fn serve(State(counter): State<Counter>, Json(request): Json<Request>) -> Response {
    let (chunks, mut taken) = mpsc::channel(CHUNKS);
    match Arc::clone(&counter.places).try_acquire_owned() {
        Ok(place) => {
            let outgoing = Outgoing { lines: Vec::new(), chunks, stop: counter.stop };
            // Ends by itself when nobody takes its replies any more.
            drop(tokio::task::spawn_blocking(move || carry_out(&counter.desk, request, outgoing, place)));
        }
        Err(_) => {
            let message =
                format!("{COMMANDS} commands are being carried out already; try again when one is done");
            let mut line = Vec::new();
            Reply::Failed(Failure::new(FailureKind::TryAgain, message)).write_line(&mut line);
            chunks.try_send(Bytes::from(line)).expect("an empty queue with room");
        }
    }
    let body =
        stream::poll_fn(move |context| taken.poll_recv(context).map(|chunk| chunk.map(Ok::<_, Stopped>)));
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}

/// Nothing goes wrong between the thread and the socket: an answer that ends early lacks its last line.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

fn carry_out(desk: &Desk, request: Request, mut outgoing: Outgoing, _place: OwnedSemaphorePermit) {
    let end = match desk.carry_out(request, &mut |reply| outgoing.reply(reply)) {
        Ok(()) => Reply::Done,
        Err(Stop::Failed(failure)) => Reply::Failed(failure),
        Err(Stop::Gone) => return,
    };
    if let Err(Stop::Gone) = outgoing.reply(end).and_then(|()| outgoing.flush()) {
        tracing::debug!("a command was carried out, and nobody waited for its end");
    }
}

struct Outgoing {
    lines: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
    stop: CancellationToken,
}

impl Outgoing {
    fn reply(&mut self, reply: Reply) -> Result<(), Stop> {
        let is_progress = matches!(reply, Reply::Progress { .. });
        reply.write_line(&mut self.lines);
        if is_progress || self.lines.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Waits until the chunk is taken, whoever asked is gone, or the gateway stops.
    fn flush(&mut self) -> Result<(), Stop> {
        let chunk = Bytes::from(std::mem::take(&mut self.lines));
        let sent = pin!(self.stop.run_until_cancelled(self.chunks.send(chunk)));
        match Handle::current().block_on(sent) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Stop::Gone),
        }
    }
}
