//! Asks for a password on the terminal, which does not show it.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

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
/// # Errors
/// When there is no terminal.
pub(crate) fn ask_secretly(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush())?;
    let before = tcgetattr(io::stdin())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
    let shown_again = Hidden(before);
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    drop(shown_again);
    writeln!(io::stderr())?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
