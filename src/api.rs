//! The control socket: HTTP over a Unix socket, by which commands speak to the running gateway.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::status::Observer;

/// Owner and group: whoever may ask is in the service's group.
const SOCKET_MODE: u32 = 0o660;
/// How long a command waits for the gateway. It answers from memory, so this is generous.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer that a command takes: far above a report on thousands of sources.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Serves the control socket at `path` until `stop`.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) async fn serve(path: PathBuf, observer: Observer, stop: CancellationToken) -> anyhow::Result<()> {
    let listener =
        listen(&path).with_context(|| format!("cannot make the control socket {}", path.display()))?;
    let routes = Router::new()
        .route("/status", get(async |State(observer): State<Observer>| Json(observer.report())))
        .route("/status.txt", get(async |State(observer): State<Observer>| observer.report().to_string()))
        .with_state(observer);
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(fs::remove_file(&path)?)
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    // Whoever holds the lock of the data directory owns the socket: one that lies there is a dead gateway's.
    // Anything else is somebody's file, and binding says that the address is in use.
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

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
    let path = socket.to_owned();
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| AskError::NotRunning { path: path.clone(), error })?;
    tokio::time::timeout(ANSWER_WITHIN, fetch(stream, resource))
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("nothing came within {ANSWER_WITHIN:?}")))
        .map_err(|error| AskError::NoAnswer { path, reason: format!("{error:#}") })
}

async fn fetch(stream: UnixStream, resource: &str) -> anyhow::Result<String> {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(resource)
        .header(hyper::header::HOST, "penstock")
        .body(Empty::<Bytes>::new())
        .context("cannot form the request")?;
    // Owns the client: the connection ends once nobody can send on it.
    let exchange = async move {
        let response = client.send_request(request).await?;
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        anyhow::ensure!(status.is_success(), "{status}");
        Ok(String::from_utf8(body.to_vec())?)
    };
    let (answer, _closed) = futures_util::join!(exchange, connection);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_gateways_socket_is_taken_over_and_any_other_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (socket, file) = (folder.path().join("control.sock"), folder.path().join("precious"));
        drop(listen(&socket).expect("nothing is there"));
        assert!(socket.exists(), "a listener that is gone leaves its socket behind");
        listen(&socket).expect("nobody listens on it");

        fs::write(&file, "data").expect("a file");
        listen(&file).expect_err("it is no socket");
        assert_eq!(fs::read(&file).expect("it is still there"), b"data");
    }
}
