//! Where log lines go: standard error, as text or JSON, filtered by level.

use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::settings::Config;

/// Changes the level while the process runs.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync>);

impl Level {
    /// From now on lines of this level or filter are written.
    pub(crate) fn set(&self, filter: EnvFilter) -> Result<()> {
        (self.0)(filter)
    }
}

/// Reads the level, or filter, of the settings.
pub(crate) fn filter(config: &Config) -> Result<EnvFilter> {
    EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("log.level: {:?} is no level and no filter", config.log_level))
}

/// Starts logging for a process that serves. Called once.
pub(crate) fn start(config: &Config) -> Result<Level> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter(config)?).with_writer(std::io::stderr);
    if config.log_json {
        let lines = lines.json().flatten_event(true).with_filter_reloading();
        let handle = lines.reload_handle();
        lines.init();
        Ok(Level(Box::new(move |filter| handle.reload(filter).context("log.level"))))
    } else {
        let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
        let handle = lines.reload_handle();
        lines.init();
        Ok(Level(Box::new(move |filter| handle.reload(filter).context("log.level"))))
    }
}
