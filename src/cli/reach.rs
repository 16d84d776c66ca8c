//! The two ways to the operator's desk: over the control socket while the gateway runs, and to the buffer itself when
//! it does not. What a command means is the same either way.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use penstock_buffer::{Buffer, OpenError};
use serde::de::DeserializeOwned;

use super::{Configured, owner, runtime};
use crate::api::{self, AskError};
use crate::config::{Config, Purpose};
use crate::desk::{Desk, Reply, Request, Stop};
use crate::exit::Exit;
use crate::logging;
use crate::terminal::Bar;

/// How long a gateway that holds the buffer may take to answer on its socket: it is starting or stopping.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where commands on one buffer are carried out.
pub(super) struct Reach {
    config: Config,
    /// The desk of a buffer that was opened here.
    own: Option<Desk>,
}

impl Reach {
    /// The reach of a command with this configuration.
    pub(super) fn of(configured: &Configured) -> Result<Self, Exit> {
        logging::start_quiet();
        Ok(Self { config: configured.load(Purpose::Check)?, own: None })
    }

    /// Has `request` carried out. `take` gets each record; progress is shown as `bar`.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        bar: &mut Bar,
        mut take: impl FnMut(String) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let shown = |error: io::Error| Exit::cannot_write("standard error", &error);
        let done = self.carry_out(request, &mut |reply| match reply {
            Reply::Record(json) => {
                bar.hide().map_err(shown)?;
                take(json)?;
                bar.show().map_err(shown)
            }
            Reply::Progress { done, total } => bar.draw(done, total).map_err(shown),
            Reply::Done => Ok(()),
            Reply::Failed(failure) => Err(failure.into()),
        });
        bar.clear().map_err(shown)?;
        done
    }

    /// The records of `request`, which has few.
    pub(super) fn records<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        bar: &mut Bar,
    ) -> Result<Vec<T>, Exit> {
        let mut records = Vec::new();
        self.ask(request, bar, |json| {
            records.push(parse(&json)?);
            Ok(())
        })?;
        Ok(records)
    }

    fn carry_out(
        &mut self,
        request: &Request,
        take: &mut dyn FnMut(Reply) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let started = Instant::now();
        while self.own.is_none() {
            let asked = runtime()?.block_on(api::command(&self.config.control_socket, request, &mut *take));
            let not_running = match asked {
                Err(not_running @ AskError::NotRunning { .. }) => not_running,
                other => return other?,
            };
            match self.open() {
                Ok(desk) => self.own = Some(desk),
                Err(OpenFailure::Locked(_)) if started.elapsed() < SETTLES_WITHIN => {
                    thread::sleep(LOOK_EVERY);
                }
                Err(OpenFailure::Locked(owner)) => {
                    return Err(Exit::try_again(format_args!(
                        "the buffer is in use by {owner}, which does not answer on its control socket ({not_running}); \
                         if that gateway is starting or stopping, try again; if it has another configuration, name it with --config"
                    )));
                }
                Err(OpenFailure::Other(exit)) => return Err(exit),
            }
        }
        match &self.own {
            Some(desk) => carry_out_here(desk, request, take),
            None => Ok(()),
        }
    }

    /// Opens the buffer, which no gateway has, so that nothing in it is deleted for its age or its size.
    fn open(&self) -> Result<Desk, OpenFailure> {
        let options = self.config.buffer.clone();
        if !options.store_exists() {
            let path = options.path.display();
            return Err(OpenFailure::Other(Exit::not_found(format_args!(
                "there is no buffer in {path}: no gateway has run with this configuration"
            ))));
        }
        owner::may_write("no gateway is running, and the buffer", &options.path)
            .map_err(OpenFailure::Other)?;
        let buffer = Buffer::open(options.keeping_everything()).map_err(|error| match error {
            OpenError::Locked { owner, .. } => OpenFailure::Locked(owner),
            other => OpenFailure::Other(anyhow::Error::from(other).into()),
        })?;
        Ok(Desk { origin: self.config.plan.origin.clone(), buffer, is_running: false })
    }
}

enum OpenFailure {
    Locked(String),
    Other(Exit),
}

fn carry_out_here(
    desk: &Desk,
    request: &Request,
    take: &mut dyn FnMut(Reply) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let mut exit = None;
    let done = desk.carry_out(request.clone(), &mut |reply| {
        take(reply).map_err(|end| {
            exit = Some(end);
            Stop::Gone
        })
    });
    match (done, exit) {
        (_, Some(exit)) => Err(exit),
        (Err(Stop::Failed(failure)), None) => Err(failure.into()),
        (Ok(()) | Err(Stop::Gone), None) => Ok(()),
    }
}

/// The record of a line.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Exit> {
    let parsed =
        serde_json::from_str(json).context("the gateway answers like another version than this command");
    Ok(parsed?)
}
