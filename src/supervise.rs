//! Every long-lived task of the process: named, and with a meaning for its failure. Nothing else spawns.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info};

/// A task that is restarted waits this long after its first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: a task that fails for good costs a log line a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A task that ran for this long had recovered: its next failure is a first one again.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The tasks of one stage of the process.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Stage {
    /// Runs `task` under `name`, on which others depend: when it fails or panics, so does the stage.
    /// Returning `Ok` is the end of its work.
    pub(crate) fn spawn_essential(
        &mut self,
        name: String,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { attempt(task).await.with_context(|| format!("{name} failed")) });
    }

    /// Runs a task under `name`, on which nothing else depends: when it fails or panics, another one
    /// is made after a pause. Returning `Ok` is the end of its work.
    pub(crate) fn spawn_restarting<F>(&mut self, name: String, mut make: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        self.tasks.spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let started = Instant::now();
                let Err(failure) = attempt(make()).await else { return Ok(()) };
                if started.elapsed() >= STABLE_AFTER {
                    pause = FIRST_PAUSE;
                }
                error!(task = %name, error = format!("{failure:#}"), restart_in = ?pause, "task failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                info!(task = %name, "task restarts");
            }
        });
    }

    /// Waits until every task of the stage has ended, or until an essential one fails.
    ///
    /// # Errors
    /// The failure of the essential task.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        while let Some(end) = self.tasks.join_next().await {
            end.unwrap_or_else(|panic| Err(anyhow::Error::new(panic)))?;
        }
        Ok(())
    }
}

async fn attempt(task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    AssertUnwindSafe(task)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("panicked: {}", message_of(&*panic))))
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_started_again_until_it_succeeds() {
        let runs = Arc::new(AtomicU32::new(0));
        let mut stage = Stage::default();
        let counted = Arc::clone(&runs);
        stage.spawn_restarting("flaky".to_owned(), move || {
            let run = counted.fetch_add(1, Ordering::Relaxed) + 1;
            async move { if run < 4 { Err(anyhow::anyhow!("run {run}")) } else { Ok(()) } }
        });
        stage.ended().await.expect("it succeeds in the end");
        assert_eq!(runs.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_failure_of_an_essential_task_ends_the_stage_and_names_it() {
        let mut stage = Stage::default();
        stage.spawn_restarting("idle".to_owned(), std::future::pending);
        stage.spawn_essential("buffer".to_owned(), async { Err(anyhow::anyhow!("disk gone")) });
        let failure = stage.ended().await.expect_err("it fails");
        assert_eq!(format!("{failure:#}"), "buffer failed: disk gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_failure_like_any_other() {
        let mut stage = Stage::default();
        stage.spawn_essential("bug".to_owned(), async { panic!("index out of {}", "bounds") });
        let failure = stage.ended().await.expect_err("it panics");
        assert_eq!(format!("{failure:#}"), "bug failed: panicked: index out of bounds");
    }
}
