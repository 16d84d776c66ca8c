//! The commands' side of the control socket: what the running gateway answers.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::desk::{Reply, Request};

/// How long a command waits for the gateway to begin its answer. It begins from memory, so this is generous.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits for more of it. The gateway tells progress several times a second, but a disk may be slow.
const MORE_WITHIN: Duration = Duration::from_secs(60);
/// The longest status that a command takes: far above a report on thousands of sources.
const MAX_STATUS_BYTES: usize = 16 << 20;
/// The longest line that a command takes: far above the status of a buffer of thousands of generations.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Why the running gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens on the socket.
    #[error(
        "no gateway is running: nothing listens on {path} ({error}); start it with `penstock run` or `systemctl start penstock`"
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// This user may not speak to it.
    #[error(
        "{path} may not be used by this user ({error}); run this as root or as a member of the group of that socket"
    )]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It listens but gives no sensible answer.
    #[error("the gateway on {path} gives no answer: {reason}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// What the gateway that listens on `socket` answers to a GET of `resource`.
///
/// # Errors
/// When there is none, or it does not answer in time.
pub(crate) async fn ask(socket: &Path, resource: &str) -> Result<String, AskError> {
    let stream = connect(socket).await?;
    let request = HttpRequest::get(resource).header(HOST, "penstock").body(Full::default());
    let take = async |response: Response<Incoming>| {
        let body = http_body_util::Limited::new(response.into_body(), MAX_STATUS_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        Ok(String::from_utf8(body.to_vec())?)
    };
    let answer = exchange(stream, request.expect("a resource of ours"), take).await;
    answer.map_err(|error| no_answer(socket, &error))
}

/// Has the gateway that listens on `socket` carry out a command; `take` gets each reply as it comes, and ends the command
/// with an error.
///
/// # Errors
/// When there is no gateway, its answer stops before its end, or `take` wants no more.
pub(crate) async fn command<E>(
    socket: &Path,
    request: &Request,
    take: impl FnMut(Reply) -> Result<(), E>,
) -> Result<Result<(), E>, AskError> {
    let stream = connect(socket).await?;
    let body = serde_json::to_vec(request).expect("its keys are texts and a Vec takes every byte");
    let request = HttpRequest::builder()
        .method(Method::POST)
        .uri("/command")
        .header(HOST, "penstock")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body))
        .expect("a resource of ours");
    let answer = exchange(stream, request, async |response| lines(response.into_body(), take).await).await;
    answer.map_err(|error| no_answer(socket, &error))
}

async fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    let path = socket.to_owned();
    UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::Forbidden { path, error },
        _ => AskError::NotRunning { path, error },
    })
}

async fn exchange<T>(
    stream: UnixStream,
    request: HttpRequest<Full<Bytes>>,
    take: impl AsyncFnOnce(Response<Incoming>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Owns the client: the connection ends once nobody can send on it.
    let answered = async move {
        let late = || format!("nothing came within {ANSWER_WITHIN:?}");
        let response = timeout(ANSWER_WITHIN, client.send_request(request)).await.with_context(late)??;
        let status = response.status();
        if status.is_success() {
            return take(response).await;
        }
        let body = http_body_util::Limited::new(response.into_body(), MAX_STATUS_BYTES).collect().await;
        let said =
            body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        anyhow::bail!("{status}: {said}; the gateway may be of another version than this command")
    };
    let mut answered = pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        // What it has received by then is still to be taken.
        _closed = connection => answered.await,
    }
}

/// Hands over each line of `body`, until the one that ends it.
async fn lines<E>(
    mut body: Incoming,
    mut take: impl FnMut(Reply) -> Result<(), E>,
) -> anyhow::Result<Result<(), E>> {
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let late = || format!("nothing more came within {MORE_WITHIN:?}");
        let Some(frame) = timeout(MORE_WITHIN, body.frame()).await.with_context(late)? else {
            anyhow::bail!("it stopped before the end of its answer");
        };
        let Ok(chunk) = frame?.into_data() else { continue };
        let mut chunk = &chunk[..];
        while let Some(end) = chunk.iter().position(|&byte| byte == b'\n') {
            rest.extend_from_slice(&chunk[..end]);
            chunk = &chunk[end + 1..];
            let reply = Reply::parse(std::str::from_utf8(&rest)?)?;
            rest.clear();
            let is_end = matches!(reply, Reply::Done | Reply::Failed(_));
            let taken = take(reply);
            if is_end || taken.is_err() {
                return Ok(taken);
            }
        }
        rest.extend_from_slice(chunk);
        anyhow::ensure!(rest.len() <= MAX_LINE_BYTES, "a line has more than {MAX_LINE_BYTES} bytes");
    }
}

fn no_answer(socket: &Path, error: &anyhow::Error) -> AskError {
    AskError::NoAnswer { path: socket.to_owned(), reason: format!("{error:#}") }
}
