//! Leave to destroy: a person says yes on a terminal, a script says `--yes`.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use crate::exit::Exit;

/// How a command that destroys is held back.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Leave {
    /// Only tell what would be done
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
}

impl Leave {
    /// Whether to do what `question` asks.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub(super) fn is_given(self, question: &str) -> Result<bool, Exit> {
        if self.yes {
            return Ok(true);
        }
        let input = io::stdin();
        if !input.is_terminal() {
            return Err(Exit::usage(format_args!(
                "{question} There is no terminal to ask on: add --yes to do it, or --dry-run to see what would be done"
            )));
        }
        let cannot = |error: io::Error| Exit::cannot_write("the terminal", &error);
        write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush()).map_err(cannot)?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer).map_err(cannot)?;
        let is_given = matches!(answer.trim(), "y" | "Y" | "yes");
        if !is_given {
            writeln!(io::stderr(), "Nothing was done.").map_err(cannot)?;
        }
        Ok(is_given)
    }
}
