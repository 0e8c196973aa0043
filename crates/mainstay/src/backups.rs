//! Backups by the clock: a server makes them into a folder, keeps the newest, and leaves a note of the last one.
//!
//! When one is due follows from the note, so that what fell into a time without a server is made up for when one starts.
//! Whoever looks at the app's health reads the same note.

mod folder;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mainstay_jobs::Schedule;
use mainstay_lang::value::Timestamp;
use metrics::{counter, gauge};

use self::folder::Folder;
use crate::app;
use crate::cli::App;
use crate::commands::backup::{Subject, write};
use crate::commands::check;
use crate::output::Output;
use crate::runtime::{now, store_options};
use crate::settings::Config;

/// The clock is looked at so often: it may be set, and the machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How late a backup may be before that is an ill.
const LATE_US: i64 = 3_600_000_000;

const MADE: &str = "mainstay_backups_total";
const LAST_SUCCESS: &str = "mainstay_backup_last_success_seconds";
const LAST_BYTES: &str = "mainstay_backup_last_bytes";

/// What is backed up, when and where to.
pub(crate) struct Backups {
    subject: Subject,
    plan: Plan,
}

/// When, and where to.
pub(crate) struct Plan {
    schedule: Schedule,
    folder: Folder,
    keep: usize,
}

impl Plan {
    /// What the settings ask for; none: nothing.
    pub(crate) fn of(config: &Config, app: &App, name: &str) -> Result<Option<Plan>> {
        let Some(text) = &config.backup_schedule else { return Ok(None) };
        let schedule = Schedule::parse(text, &config.backup_time_zone)
            .map_err(|expected| anyhow::anyhow!("backup.schedule: expected {expected}"))?;
        let path = config.backup_directory.clone();
        let path: PathBuf = path.unwrap_or_else(|| config.data_dir(&app.folder).join("backups"));
        Ok(Some(Plan { schedule, folder: Folder::new(path, name), keep: config.backup_keep }))
    }

    /// When the next backup is to be made; in the past when one was missed. None: never again.
    fn due(&self, started: Timestamp) -> Result<Option<Timestamp>> {
        let last = self.folder.note()?.map(|note| note.at);
        Ok(self.schedule.next_after(last.unwrap_or(started)))
    }

    /// That the last backup was made when it was due.
    pub(crate) fn health(&self, now: Timestamp) -> Result<String> {
        let Some(note) = self.folder.note()? else {
            let next = self.schedule.next_after(now);
            return Ok(format!("none was made yet; the next one is due {}", shown(next)));
        };
        let good = note.good.as_ref().map_or("there is no good one".to_owned(), |good| {
            format!("the last good one is {}", self.folder.path().join(&good.file).display())
        });
        if let Some(error) = &note.error {
            bail!("the one of {} failed: {error}; {good}", note.at);
        }
        let next = self.schedule.next_after(note.at);
        if next.is_some_and(|next| next.0 + LATE_US < now.0) {
            bail!("the one that was due {} was not made: does a server run? {good}", shown(next));
        }
        Ok(format!("{good}; the next one is due {}", shown(next)))
    }
}

fn shown(at: Option<Timestamp>) -> String {
    at.map_or("never".to_owned(), |at| at.to_string())
}

impl Backups {
    /// What the settings ask for; none: nothing.
    pub(crate) fn of(output: Output, config: &Config, app: &App) -> Result<Option<Backups>> {
        let schema = check::schema(output, app)?;
        let Some(plan) = Plan::of(config, app, &schema.app)? else { return Ok(None) };
        let schema = check::own_schema(output, app)?;
        let options = store_options(&app.folder, config, false)?;
        let subject = Subject { schema, sources: app::sources(app)?, options };
        Ok(Some(Backups { subject, plan }))
    }

    /// Makes backups whenever one is due, until it is dropped.
    pub(crate) async fn run(self) {
        let started = now();
        if let Ok(Some(note)) = self.plan.folder.note()
            && let Some(good) = note.good
        {
            show(good.at, good.bytes);
        }
        loop {
            let due = self.plan.due(started).unwrap_or_else(|error| {
                tracing::error!(error = format!("{error:#}"), "the note of the last backup cannot be read");
                None
            });
            let wait = match due {
                Some(due) => Duration::from_micros(u64::try_from(due.0 - now().0).unwrap_or(0)),
                None => LOOK_EVERY,
            };
            if due.is_some() && wait.is_zero() {
                self.make().await;
            } else {
                tokio::time::sleep(wait.min(LOOK_EVERY)).await;
            }
        }
    }

    /// Makes one, forgets those that are too many, and leaves a note.
    async fn make(&self) {
        let at = now();
        let made = self.try_make(at).await;
        let outcome = if made.is_ok() { "ok" } else { "failed" };
        counter!(MADE, "outcome" => outcome).increment(1);
        let noted = match &made {
            Ok(bytes) => {
                show(at, *bytes);
                self.plan.folder.note_good(at, *bytes)
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the backup failed");
                self.plan.folder.note_failed(at, &error)
            }
        };
        if let Err(error) = noted {
            tracing::error!(error = format!("{error:#}"), "the backup cannot be noted");
            // Without a note the next one would be due at once.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn try_make(&self, at: Timestamp) -> Result<u64> {
        let Plan { folder, keep, .. } = &self.plan;
        let path = folder.path().to_owned();
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        let file = folder.file(at);
        let written = write(&self.subject, at, &file, &mut |_| {}).await?;
        let removed = folder.prune(*keep)?;
        tracing::info!(
            file = %file.display(),
            bytes = written.bytes,
            rows = written.copied.iter().map(|table| table.rows).sum::<u64>(),
            last_change = written.last_change,
            seconds = (now().0 - at.0) as f64 / 1e6,
            removed,
            "backed up"
        );
        Ok(written.bytes)
    }
}

fn show(at: Timestamp, bytes: u64) {
    gauge!(LAST_SUCCESS).set(at.0 as f64 / 1e6);
    gauge!(LAST_BYTES).set(bytes as f64);
}
