//! Where log lines go: standard error, as text or JSON, filtered by level; and where traces go, when a collector is set.
//!
//! Without a collector one filter stands in front of everything, so that a span that nobody wants costs a comparison. With one, lines
//! and traces have filters of their own: the traces that are kept have their steps, whatever the log shows.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context, Result};
use mainstay_engine::trace::begin_traces;
use mainstay_trace::{Exporter, Recorder, RecorderFilter, Resource, Target, WithTree};
use tracing_subscriber::fmt::format::{DefaultFields, Format, JsonFields};
use tracing_subscriber::fmt::{self, FormatEvent, FormatFields, fmt};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

use crate::settings::Config;

/// Changes the level while the process runs.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync>);

impl Level {
    /// From now on lines of this level or filter are written.
    pub(crate) fn set(&self, filter: EnvFilter) -> Result<()> {
        (self.0)(filter)
    }
}

/// Traces on their way; those that wait are sent when this is dropped.
pub(crate) struct Traces(Option<Exporter>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(exporter) = &self.0 {
            exporter.finish();
        }
    }
}

/// Reads the level, or filter, of the settings.
pub(crate) fn filter(config: &Config) -> Result<EnvFilter> {
    EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("log.level: {:?} is no level and no filter", config.log_level))
}

/// Starts logging, and tracing where it is set, for a process that serves. Called once.
pub(crate) fn start(config: &Config, app: &Path) -> Result<(Level, Traces)> {
    let exporter = exporter(config, app)?;
    if exporter.is_some() {
        begin_traces(config.otlp_sample);
    }
    let recorder = Recorder::new(exporter.clone());
    let filter = filter(config)?;
    recorder.show(filter.max_level_hint());
    let level = if config.log_json {
        let line = WithTree::json(Format::default().json().flatten_event(true), recorder.clone());
        start_as(line, JsonFields::new(), filter, recorder)
    } else {
        let line = WithTree::text(Format::default(), recorder.clone());
        start_as(line, DefaultFields::new(), filter, recorder)
    };
    Ok((level, Traces(exporter)))
}

fn start_as<E, N>(line: E, fields: N, filter: EnvFilter, recorder: Recorder) -> Level
where
    E: FormatEvent<Registry, N> + Send + Sync + 'static,
    N: for<'w> FormatFields<'w> + Send + Sync + 'static,
{
    let is_coloured = std::io::stderr().is_terminal();
    let shown = recorder.clone();
    let set: Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync> = if recorder.is_exporting() {
        let (filter, handle) = reload::Layer::new(filter);
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured);
        let lines = lines.fmt_fields(fields).event_format(line).with_filter(filter);
        tracing_subscriber::registry().with(lines).with(recorder.with_filter(RecorderFilter)).init();
        Box::new(move |filter| handle.reload(filter).context("log.level"))
    } else {
        let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_coloured);
        let lines = lines.fmt_fields(fields).event_format(line).with_filter_reloading();
        let handle = lines.reload_handle();
        lines.finish().with(recorder).init();
        Box::new(move |filter| handle.reload(filter).context("log.level"))
    };
    Level(Box::new(move |filter| {
        let level = filter.max_level_hint();
        set(filter)?;
        shown.show(level);
        Ok(())
    }))
}

/// Sends traces, where it is set to whom.
fn exporter(config: &Config, app: &Path) -> Result<Option<Exporter>> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let target =
        Target::parse(endpoint, config.otlp_headers.as_deref().unwrap_or_default()).context("otlp")?;
    let folder = app.canonicalize().unwrap_or_else(|_| app.to_owned());
    let name =
        folder.file_name().map_or_else(|| "mainstay".into(), |name| name.to_string_lossy().into_owned());
    let resource = Resource {
        service: config.otlp_service.clone().unwrap_or(name),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: config.environment.clone(),
    };
    Ok(Some(Exporter::start(target, &resource).context("otlp")?))
}
