//! The control socket: HTTP over a Unix socket, by which commands speak to the running gateway.
//!
//! `GET /status` and `/status.txt` say how it is. `POST /command` takes a [`crate::desk::Request`] as JSON and streams
//! the replies, a line each, as fast as they are taken.

mod ask;
mod commands;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::status::Observer;
pub(crate) use ask::{AskError, ask, command};
use commands::Counter;

/// Owner and group: whoever may ask is in the service's group.
const SOCKET_MODE: u32 = 0o660;

/// Serves the control socket at `path` until `stop`.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) async fn serve(
    path: PathBuf,
    observer: Observer,
    desk: Desk,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener =
        listen(&path).with_context(|| format!("cannot make the control socket {}", path.display()))?;
    let status = Router::new()
        .route("/status", get(async |State(observer): State<Observer>| Json(observer.report())))
        .route("/status.txt", get(async |State(observer): State<Observer>| observer.report().to_string()))
        .with_state(observer);
    let commands =
        Router::new().route("/command", post(commands::serve)).with_state(Counter::new(desk, stop.clone()));
    let routes = status.merge(commands);
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
