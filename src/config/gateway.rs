//! The schema of `[gateway]`: who this gateway is and how it stops.

use std::path::PathBuf;
use std::time::Duration;

use penstock_events::cloudevent::Origin;
use penstock_events::{GatewayId, Site};

use super::table::Table;

/// Time for the last events to be committed and delivered; systemd waits 90 s before it kills.
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
const LONGEST_SHUTDOWN_GRACE: Duration = Duration::from_secs(80);
/// What fits into a Unix socket's address (unix(7), `sun_path` without its final NUL).
pub(super) const MAX_SOCKET_PATH_BYTES: usize = 107;

/// The settings of the gateway itself.
pub(super) struct Gateway {
    pub(super) id: Option<GatewayId>,
    pub(super) site: Option<Site>,
    pub(super) shutdown_grace: Duration,
    /// Where commands reach the running gateway; in the buffer's folder when none is given.
    pub(super) socket: Option<PathBuf>,
}

impl Gateway {
    /// Reads `[gateway]`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let id = table.key("id", "edge-01").required();
        let site = table.key("site", "plant-7").required();
        let grace = Duration::ZERO..=LONGEST_SHUTDOWN_GRACE;
        let shutdown_grace = table.key("shutdown_grace", "10s").or_in(DEFAULT_SHUTDOWN_GRACE, grace);
        let socket_field = table.key("socket", "/run/penstock/control.sock");
        let socket: Option<PathBuf> = socket_field.optional();
        if socket.as_ref().is_some_and(|path| path.as_os_str().len() > MAX_SOCKET_PATH_BYTES) {
            let message = "`socket` is too long for a Unix socket";
            socket_field.spot().error(message).allowed(format!("{MAX_SOCKET_PATH_BYTES} bytes")).record();
        }
        Self { id, site, shutdown_grace, socket }
    }

    /// Whose events these are.
    pub(super) fn origin(&self) -> Option<Origin> {
        Some(Origin { gateway: self.id.clone()?, site: self.site.clone()? })
    }
}
