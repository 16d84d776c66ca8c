//! Asks for a password on the terminal, which does not show it.

use std::io::{self, Read, Write};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// What ends the process while it asks, and what makes a key end the line, which the terminal can do twice.
const STOPS: [(SpecialCodeIndex, SpecialCodeIndex); 2] =
    [(SpecialCodeIndex::VINTR, SpecialCodeIndex::VEOL), (SpecialCodeIndex::VQUIT, SpecialCodeIndex::VEOL2)];
/// A key that there is not (`_POSIX_VDISABLE`).
const NO_KEY: u8 = 0;

/// Shows the text again when it is dropped, however that comes.
struct Hidden(Termios);

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nobody is left to be told.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).unwrap_or_default();
    }
}

/// Asks, and gives the line that was typed.
///
/// The keys that would end the process at once, and leave a terminal that shows nothing, end the line; the process
/// ends as it would have once the terminal is as it was.
///
/// # Errors
/// When there is no terminal.
pub(crate) fn ask_secretly(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush())?;
    let before = tcgetattr(io::stdin())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let stops = STOPS.map(|(stop, end_of_line)| {
        silent.special_codes[end_of_line] = before.special_codes[stop];
        std::mem::replace(&mut silent.special_codes[stop], NO_KEY)
    });
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
    let shown_again = Hidden(before);
    let line = typed(&stops);
    drop(shown_again);
    writeln!(io::stderr())?;
    let Some(line) = line? else {
        kill_process(getpid(), Signal::INT)?;
        return Err(io::ErrorKind::Interrupted.into());
    };
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// The line that is typed; none when one of the keys `stops` comes.
fn typed(stops: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' => break,
            key if key != NO_KEY && stops.contains(&key) => return Ok(None),
            byte => line.push(byte),
        }
    }
    Ok(Some(line))
}
