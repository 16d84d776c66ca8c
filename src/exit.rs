//! How the process ends: a last line for people, a status for scripts (sysexits.h).

use std::fmt;
use std::io;
use std::process::ExitCode;

use penstock_adapters::opcua::pki::TrustListError;
use penstock_buffer::OpenError;

use crate::api::AskError;
use crate::desk::{Failure, FailureKind};

/// The command was called in a way that cannot be meant (`EX_USAGE`).
const USAGE: u8 = 64;
/// What was read is damaged (`EX_DATAERR`).
const DATA: u8 = 65;
/// What was named is not there (`EX_NOINPUT`).
const NO_INPUT: u8 = 66;
/// A service that is needed is not there (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Something failed that should not (`EX_SOFTWARE`).
const FAILED: u8 = 70;
/// The data directory cannot be written (`EX_CANTCREAT`).
const CANNOT_CREATE: u8 = 73;
/// A disk or a pipe refuses (`EX_IOERR`).
const IO: u8 = 74;
/// Another gateway holds the data directory; it may be gone the next time (`EX_TEMPFAIL`).
const IN_USE: u8 = 75;
/// This user may not (`EX_NOPERM`).
const NO_PERMISSION: u8 = 77;
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

    /// The command was called in a way that cannot be meant.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::saying(USAGE, message)
    }

    /// Somebody else has the buffer at present.
    pub(crate) fn try_again(message: impl fmt::Display) -> Self {
        Self::saying(IN_USE, message)
    }

    /// What was named is not there.
    pub(crate) fn not_found(message: impl fmt::Display) -> Self {
        Self::saying(NO_INPUT, message)
    }

    /// This user may not.
    pub(crate) fn no_permission(message: impl fmt::Display) -> Self {
        Self::saying(NO_PERMISSION, message)
    }

    /// A device or a destination that is needed is not there.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self::saying(UNAVAILABLE, message)
    }

    /// A file or a pipe cannot be written. Whoever reads our output may stop when it has seen enough: that is no failure.
    pub(crate) fn cannot_write(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { status: 0, last_words: String::new() };
        }
        Self::saying(IO, format_args!("{what} cannot be written: {error}"))
    }

    /// The arguments are wrong, and it was said how.
    pub(crate) fn bad_arguments() -> Self {
        Self { status: USAGE, last_words: String::new() }
    }

    /// Help was asked for, and given.
    pub(crate) fn help() -> Self {
        Self { status: 0, last_words: String::new() }
    }

    fn saying(status: u8, message: impl fmt::Display) -> Self {
        Self { status, last_words: format!("penstock: {message}") }
    }

    /// Says the last words and gives the status.
    pub(crate) fn report(self) -> ExitCode {
        if !self.last_words.is_empty() {
            eprintln!("{}", self.last_words.trim_end());
        }
        ExitCode::from(self.status)
    }
}

impl From<AskError> for Exit {
    /// The running gateway cannot be asked.
    fn from(error: AskError) -> Self {
        let status = match &error {
            AskError::Forbidden { .. } => NO_PERMISSION,
            AskError::NotRunning { .. } | AskError::NoAnswer { .. } => UNAVAILABLE,
        };
        Self::saying(status, error)
    }
}

impl From<TrustListError> for Exit {
    /// Certificates cannot be read or decided about.
    fn from(error: TrustListError) -> Self {
        match error.error.kind() {
            io::ErrorKind::PermissionDenied => {
                Self::no_permission(format_args!("{error}; ask as root, or as the gateway's user"))
            }
            _ => Self::saying(IO, error),
        }
    }
}

impl From<Failure> for Exit {
    /// A command was not carried out.
    fn from(Failure { kind, message }: Failure) -> Self {
        let status = match kind {
            FailureKind::Usage => USAGE,
            FailureKind::Data => DATA,
            FailureKind::NotFound => NO_INPUT,
            FailureKind::Disk => IO,
            FailureKind::TryAgain => IN_USE,
        };
        Self::saying(status, message)
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
