//! Structured logs, to journald when it listens and to stderr otherwise.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, LogSettings};

/// What a library notices comes back as an error, and is logged once, with its device, its destination or its
/// file: its own line would say the same again without them.
const LIBRARIES: &str =
    "opcua_client=off,opcua_core=off,opcua_crypto=off,opcua_types=off,rumqttc=off,sled=off,tokio_modbus=off";

/// Starts logging. `RUST_LOG` overrides the configured level.
///
/// # Errors
/// When journald is asked for by name and does not listen.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(&settings.level));
    tracing_subscriber::registry().with(layer(settings.format)?.with_filter(filter)).init();
    Ok(())
}

/// Starts logging for a command that opens the buffer itself: what an operator should know, on standard error.
pub(crate) fn start_quiet() {
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).without_time();
    let lines = lines.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    tracing_subscriber::registry().with(lines.with_filter(filter("warn"))).init();
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},{LIBRARIES}"))
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_librarys_own_lines_do_not_double_ours() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let logging = tracing_subscriber::registry().with(layer.with_filter(filter("debug")));
        tracing::subscriber::with_default(logging, || {
            tracing::error!(target: "sled::pagecache::iobuf", "theirs");
            tracing::warn!(target: "rumqttc::state", "theirs");
            tracing::error!(target: "tokio_modbus::codec::rtu", "theirs");
            tracing::debug!("ours");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("ours") && !written.contains("theirs"), "{written}");
    }
}
