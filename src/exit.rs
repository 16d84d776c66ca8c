//! How the process ends: a last line for people, a status for scripts (sysexits.h).

use std::process::ExitCode;

use penstock_buffer::OpenError;

/// A service that is needed is not there (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Something failed that should not (`EX_SOFTWARE`).
const FAILED: u8 = 70;
/// The data directory cannot be written (`EX_CANTCREAT`).
const CANNOT_CREATE: u8 = 73;
/// Another gateway holds the data directory; it may be gone the next time (`EX_TEMPFAIL`).
const IN_USE: u8 = 75;
/// The configuration has problems (`EX_CONFIG`); systemd does not start the service again.
const CONFIG: u8 = 78;

/// An end that is not success.
#[derive(Debug)]
pub(crate) struct Exit {
    status: u8,
    last_words: String,
}

impl Exit {
    /// The configuration has problems; `report` tells them all.
    pub(crate) fn bad_config(report: String) -> Self {
        Self { status: CONFIG, last_words: report }
    }

    /// The running gateway cannot be asked.
    pub(crate) fn unavailable(error: impl std::error::Error) -> Self {
        Self { status: UNAVAILABLE, last_words: format!("penstock: {error}") }
    }

    /// Says the last words and gives the status.
    pub(crate) fn report(self) -> ExitCode {
        if !self.last_words.is_empty() {
            eprintln!("{}", self.last_words.trim_end());
        }
        ExitCode::from(self.status)
    }
}

impl From<anyhow::Error> for Exit {
    /// The gateway could not start or go on.
    fn from(error: anyhow::Error) -> Self {
        let status = match error.downcast_ref::<OpenError>() {
            Some(OpenError::NotWritable { .. }) => CANNOT_CREATE,
            Some(OpenError::Locked { .. }) => IN_USE,
            _ => FAILED,
        };
        Self { status, last_words: format!("penstock: {error:#}") }
    }
}
