//! The workers of a process that serves or works: jobs are run, and forgotten when they are old.

use std::future::Future;
use std::time::Duration;

use mainstay_jobs::{Definitions, Jobs, Kept, Worker, WorkerOptions};
use tokio::time::{MissedTickBehavior, interval};

use crate::settings::Config;

/// How often old jobs are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// The jobs of an app that the settings leave to this process.
pub(crate) fn taken(jobs: &Jobs, config: &Config) -> Definitions {
    let (only, except) = (&config.jobs_only, &config.jobs_except);
    jobs.definitions().clone().only(|name| {
        (only.is_empty() || only.iter().any(|wanted| matches(wanted, name)))
            && !except.iter().any(|unwanted| matches(unwanted, name))
    })
}

/// `mail.*` is every name that begins with `mail.`.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// Works until it is told to stop.
pub(crate) async fn run(jobs: Jobs, config: &Config, stop: impl Future<Output = ()> + Send) {
    let options = WorkerOptions {
        concurrency: config.jobs_concurrency,
        stop_timeout: config.shutdown_timeout,
        ..WorkerOptions::default()
    };
    let kept = Kept { done: config.jobs_keep_done, dead: config.jobs_keep_dead };
    let forgetting = tokio::spawn(forget(jobs.clone(), kept));
    let taken = taken(&jobs, config);
    Worker::of(jobs, taken, options).run(stop).await;
    forgetting.abort();
}

async fn forget(jobs: Jobs, kept: Kept) {
    let mut ticks = interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match jobs.prune(kept).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot jobs that had come to their end"),
            Err(error) => tracing::warn!(%error, "old jobs could not be forgotten; tried again later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_the_rest_of_a_name() {
        let matched = ["mail.*", "mail.send", "mail", "*"].map(|pattern| matches(pattern, "mail.send"));
        assert_eq!(matched, [true, true, false, true]);
    }
}
