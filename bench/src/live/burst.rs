//! A burst of writes that all subscribers are told of: how many are told each second, until the last is.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

use super::listen::Listeners;
use super::write::Pace;
use super::{CHANNEL, SOCKETS, Subject, mainstay, pocketbase};
use crate::scenario::Rate;

/// As fast as one connection can.
const BURST: Pace = Pace { per_second: 1_000_000.0, count: 100 };

/// A server with nobody at it; the subscribers come for each burst.
pub(crate) struct FanOut {
    subject: Subject,
}

impl FanOut {
    pub(crate) fn mainstay(folder: &Path) -> Result<FanOut> {
        Ok(FanOut { subject: mainstay(folder, "fan-out")? })
    }

    /// None when it is not installed.
    pub(crate) fn pocketbase(folder: &Path) -> Result<Option<FanOut>> {
        let folder = folder.join("fan-out-peer");
        let subject = block_on(pocketbase::start(&folder))??;
        Ok(subject.map(|subject| FanOut { subject }))
    }

    async fn burst(&self) -> Result<f64> {
        let listeners = Listeners::open(&self.subject, SOCKETS, &[json!({"channel": CHANNEL})]).await?;
        let mut writer = self.subject.writer(CHANNEL).await?;
        let began = Instant::now();
        writer.write(BURST).await?;
        let told = listeners.told(BURST.count * SOCKETS).await;
        ensure!(told.count == BURST.count * SOCKETS, "{} events were told", told.count);
        Ok(told.count as f64 / (told.last.unwrap_or_else(Instant::now) - began).as_secs_f64())
    }
}

impl Rate for FanOut {
    fn run(&self, _: u32) -> Result<f64> {
        block_on(self.burst())?
    }
}

fn block_on<F: Future>(work: F) -> Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
