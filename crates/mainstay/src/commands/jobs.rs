//! `mainstay jobs`: what is queued, what has failed, and what is to become of it.

use std::time::Duration;

use anyhow::{Result, bail};
use mainstay_jobs::{JobRow, Jobs, JobsError, Kept, State};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::check;
use crate::cli::{App, JobsCommand, Which};
use crate::output::{Output, Usage};
use crate::runtime::Runtime;
use crate::settings::parse::duration;

/// Jobs that one command changes at most; said again, it goes on.
const MOST: u32 = 10_000;

/// Runs one of the family.
pub(crate) fn run(output: Output, command: JobsCommand) -> Result<()> {
    match command {
        JobsCommand::List { app, state, name, limit } => {
            let state = state.as_deref().map(parse_state).transpose()?;
            let (runtime, jobs) = open(output, &app)?;
            list(output, &runtime.block_on(jobs.list(state, name.as_deref(), limit))?)
        }
        JobsCommand::Stats { app } => {
            let (runtime, jobs) = open(output, &app)?;
            let counts = runtime.block_on(jobs.counts())?;
            let lines =
                counts.iter().map(|(name, state, count, _)| format!("{count:>8}  {state:<9}  {name}"));
            let document = counts.iter().map(|(name, state, count, first)| {
                json!({"name": name, "state": state, "count": count, "first": first.to_string()})
            });
            let text = lines.collect::<Vec<_>>().join("\n");
            output.result(if text.is_empty() { "no jobs" } else { &text }, &document.collect())
        }
        JobsCommand::Show { app, id } => {
            let id = parse_id(&id)?;
            let (runtime, jobs) = open(output, &app)?;
            let Some(row) = runtime.block_on(jobs.find(&[id]))?.pop() else { bail!("there is no job {id}") };
            let document = document(&row);
            output.result(&serde_json::to_string_pretty(&document)?, &document)
        }
        JobsCommand::Retry { app, which } => {
            let (runtime, jobs) = open(output, &app)?;
            let ids = runtime.block_on(chosen(&jobs, &which, &[State::Dead]))?;
            let retried = runtime.block_on(jobs.retry(&ids))?;
            told(output, "retried", retried.len(), ids.len())
        }
        JobsCommand::Cancel { app, which } => {
            let (runtime, jobs) = open(output, &app)?;
            let waiting = [State::Scheduled, State::Ready, State::Blocked, State::Waiting, State::Running];
            let ids = runtime.block_on(chosen(&jobs, &which, &waiting))?;
            let cancelled = runtime.block_on(jobs.cancel(&ids))?;
            let running = cancelled.iter().filter(|(_, state)| *state == State::Running).count();
            if running > 0 {
                output.say(format!("{running} of them run, and were asked to stop"));
            }
            told(output, "cancelled", cancelled.len(), ids.len())
        }
        JobsCommand::Prune { app, done, dead } => {
            let age = |text: &str, flag: &str| -> Result<Duration> {
                duration(text)
                    .map_err(|expected| Usage(format!("{flag}: expected {expected}, not {text:?}")).into())
            };
            let kept = Kept { done: age(&done, "--done")?, dead: age(&dead, "--dead")? };
            let (runtime, jobs) = open(output, &app)?;
            let forgotten = runtime.block_on(jobs.prune(kept))?;
            output.result(&format!("{forgotten} jobs forgotten"), &json!({"forgotten": forgotten}))
        }
    }
}

fn open(output: Output, app: &App) -> Result<(Runtime, Jobs)> {
    check::own_schema(output, app)?;
    let runtime = Runtime::open(output, app)?;
    let jobs = Jobs::of_app(runtime.engine.clone());
    Ok((runtime, jobs))
}

fn parse_state(text: &str) -> Result<State> {
    State::parse(text).ok_or_else(|| {
        let all: Vec<&str> = State::ALL.iter().map(|state| state.text()).collect();
        Usage(format!("--state: expected one of {}, not {text:?}", all.join(", "))).into()
    })
}

fn parse_id(text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Usage(format!("expected the id of a job, not {text:?}")).into())
}

/// The jobs that a command is about: those of the ids, or all of a name that are in one of the states.
async fn chosen(jobs: &Jobs, which: &Which, states: &[State]) -> Result<Vec<Uuid>> {
    if !which.ids.is_empty() {
        return which.ids.iter().map(|id| parse_id(id)).collect();
    }
    let mut ids = Vec::new();
    for state in states {
        let rows: Result<Vec<JobRow>, JobsError> = jobs.list(Some(*state), which.name.as_deref(), MOST).await;
        ids.extend(rows?.into_iter().map(|row| row.id));
    }
    Ok(ids)
}

fn told(output: Output, what: &str, count: usize, asked: usize) -> Result<()> {
    if count < asked {
        output.say(format!("{} were not in a state for that, or are not there", asked - count));
    }
    output.result(&format!("{count} jobs {what}"), &json!({what: count}))
}

fn list(output: Output, rows: &[JobRow]) -> Result<()> {
    let line = |row: &JobRow| {
        let error = row.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
        let (id, state, name, attempt) = (row.id, row.state.text(), &row.name, row.attempt);
        format!("{id}  {state:<9}  {attempt:>2}/{:<2}  {}  {name}  {error}", row.attempts_max, row.run_at)
            .trim_end()
            .to_owned()
    };
    let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
    output.result(if text.is_empty() { "no jobs" } else { &text }, &rows.iter().map(document).collect())
}

fn document(row: &JobRow) -> Json {
    let parsed = |text: &str| serde_json::from_str::<Json>(text).unwrap_or_else(|_| json!(text));
    let at = |at: Option<mainstay_lang::value::Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": row.id.to_string(),
        "name": row.name,
        "queue": row.queue,
        "state": row.state,
        "priority": row.priority,
        "args": parsed(&row.args),
        "created": row.created.to_string(),
        "run_at": row.run_at.to_string(),
        "started": at(row.started),
        "finished": at(row.finished),
        "attempt": row.attempt,
        "attempts_max": row.attempts_max,
        "error": row.error,
        "progress": row.progress.as_deref().map(parsed),
        "worker": row.worker,
        "lease_until": at(row.lease_until),
        "unique_key": row.unique_key,
        "limit_key": row.limit_key,
        "batch": row.batch.map(|batch| batch.to_string()),
        "request": row.request,
        "trace": row.trace,
        "actor": row.actor,
        "tenant": row.tenant,
    })
}
