//! The loop without HTTP: tasks that each hand a row to the thread that commits groups, and wait for its commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use uuid::Uuid;

use super::write::{Writer, insert_task, now};
use super::{Log, Task};
use crate::scenario::Rate;

/// Writes rows of `Task` with their lines of the change log.
pub(crate) struct RawLoop {
    database: String,
    owner: String,
    tasks: u32,
}

impl RawLoop {
    pub(crate) fn new(database: &str, owner: &str, tasks: u32) -> RawLoop {
        RawLoop { database: database.to_owned(), owner: owner.to_owned(), tasks }
    }
}

impl Rate for RawLoop {
    fn run(&self, seconds: u32) -> Result<f64> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let writer = Arc::new(Writer::start(&self.database));
        let began = Instant::now();
        let end = began + Duration::from_secs(seconds.into());
        let written = runtime.block_on(async {
            let tasks = (0..self.tasks).map(|_| tokio::spawn(write(writer.clone(), self.owner.clone(), end)));
            let mut written = 0_u32;
            for task in tasks.collect::<Vec<_>>() {
                written += task.await??;
            }
            anyhow::Ok(written)
        })?;
        Ok(f64::from(written) / began.elapsed().as_secs_f64())
    }
}

async fn write(writer: Arc<Writer>, owner: String, end: Instant) -> Result<u32> {
    let mut written = 0;
    while Instant::now() < end {
        let at = now();
        let task = Task {
            id: Uuid::now_v7().to_string(),
            created: at.clone(),
            updated: at,
            title: format!("Task {written}"),
            done: false,
            rank: 7,
            owner: owner.clone(),
        };
        let text = serde_json::to_string(&task)?;
        let work = move |connection: &rusqlite::Connection| insert_task(connection, &task, text, Log::Line);
        writer.run(Box::new(work)).await.map_err(|status| anyhow!("not written: {status}"))?;
        written += 1;
    }
    Ok(written)
}
