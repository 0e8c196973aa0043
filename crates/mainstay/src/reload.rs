//! SIGHUP: the settings are read again, and what can change while the process runs does.
//!
//! Files and variables are read as at the start, so that a value that cannot be read leaves everything as it was. What needs a restart is
//! named at each signal for as long as it differs from what the process was started with.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use mainstay_engine::Engine;
use mainstay_engine::trace::begin_traces;
use mainstay_security::ServerCertificate;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::App;
use crate::logging::{self, Level};
use crate::runtime::limits;
use crate::settings::{self, LIVE, Loaded, NamedValue, SETTINGS};

/// Takes settings while the process runs.
pub(crate) struct Reload {
    app: App,
    hangups: Signal,
    level: Level,
    /// The texts that the process goes by, in the order of the table.
    current: Vec<String>,
    /// What the app names itself, as it was when the process began.
    named: Vec<NamedValue>,
}

impl Reload {
    /// From now on the signal does not end the process.
    pub(crate) fn new(app: &App, loaded: &Loaded, level: Level) -> Result<Reload> {
        let hangups = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
        let current = loaded.values.iter().map(|(text, _)| text.clone()).collect();
        Ok(Reload { app: app.clone(), hangups, level, current, named: loaded.named.clone() })
    }

    /// Until it is dropped.
    pub(crate) async fn run(mut self, engine: Arc<Engine>, certificate: Option<Arc<ServerCertificate>>) {
        while self.hangups.recv().await.is_some() {
            if let Some(certificate) = &certificate {
                certificate.reload();
            }
            if let Err(error) = self.take(&engine) {
                tracing::error!("the settings cannot be read, and stay as they were: {error:#}");
            }
        }
    }

    fn take(&mut self, engine: &Engine) -> Result<()> {
        let loaded = settings::load(&self.app.folder, &self.app.settings)?;
        let filter = logging::filter(&loaded.config)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let (mut taken, mut restart) = (Vec::new(), Vec::new());
        for ((setting, current), (text, origin)) in SETTINGS.iter().zip(&mut self.current).zip(loaded.values)
        {
            if *current == text {
                continue;
            }
            let shown = if setting.secret { "…" } else { &text };
            let change = format!("{} = {shown} ({origin})", setting.name);
            if LIVE.contains(&setting.name) {
                taken.push(change);
                *current = text;
            } else {
                restart.push(change);
            }
        }
        let is_other = |value: &&NamedValue| !self.named.contains(value);
        restart.extend(loaded.named.iter().filter(is_other).map(|value| {
            let shown = if value.secret { "…" } else { &value.text };
            format!("{} = {shown} ({})", value.name, value.origin)
        }));
        self.level.set(filter)?;
        engine.set_limits(limits(&loaded.config));
        if loaded.config.otlp_endpoint.is_some() {
            begin_traces(loaded.config.otlp_sample);
        }
        let or_none =
            |changes: Vec<String>| if changes.is_empty() { "none".to_owned() } else { changes.join(", ") };
        let (taken, restart) = (or_none(taken), or_none(restart));
        tracing::info!("settings read again: taken: {taken}; only with a restart: {restart}");
        Ok(())
    }
}
