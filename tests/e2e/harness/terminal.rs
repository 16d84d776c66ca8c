//! A terminal, with somebody who types: the kernel's pseudo-terminal.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::eventually;

/// A terminal at which one command at a time runs.
pub(crate) struct Terminal {
    keyboard: File,
    /// Where commands read.
    end: OwnedFd,
}

impl Terminal {
    /// Nothing runs at it yet.
    pub(crate) fn open() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end = open(ptsname(&keyboard, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        Self { keyboard: keyboard.into(), end }
    }

    /// `command` at this terminal, which Ctrl-C reaches.
    pub(crate) fn at(&self, command: &Command) -> (Command, Stdio) {
        let mut there = Command::new("setsid");
        there.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        (there, self.end.try_clone().unwrap().into())
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until what is typed is not shown.
    #[track_caller]
    pub(crate) fn is_secret(&self) {
        let is_shown = || tcgetattr(&self.end).unwrap().local_modes.contains(LocalModes::ECHO);
        eventually("what is typed to be hidden", || (!is_shown()).then_some(()));
    }

    /// How it is set.
    pub(crate) fn settings(&self) -> String {
        format!("{:?}", tcgetattr(&self.end).unwrap())
    }
}
