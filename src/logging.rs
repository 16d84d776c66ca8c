//! Structured logs, to journald when it listens and to stderr otherwise.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, LogSettings};

/// Starts logging. `RUST_LOG` overrides the configured level.
///
/// # Errors
/// When journald is asked for by name and does not listen.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&settings.level));
    tracing_subscriber::registry().with(layer(settings.format)?.with_filter(filter)).init();
    Ok(())
}

fn layer(format: LogFormat) -> anyhow::Result<Box<dyn Layer<Registry> + Send + Sync>> {
    // systemd sets JOURNAL_STREAM for what it starts with its output connected to the journal.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    Ok(match format {
        LogFormat::Auto if in_journal => match tracing_journald::layer() {
            Ok(journal) => journal.boxed(),
            Err(_) => lines.boxed(),
        },
        LogFormat::Auto | LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Journald => tracing_journald::layer()
            .map_err(|error| {
                anyhow::anyhow!("log.format is journald, but journald does not listen: {error}")
            })?
            .boxed(),
    })
}
