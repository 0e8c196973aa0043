//! `mainstay work`: the app's jobs, and nothing else, until it is told to stop.

use anyhow::Result;
use mainstay_jobs::Jobs;
use mainstay_store::DatabaseUrl;

use super::check;
use super::serve::stop_signal;
use crate::cli::App;
use crate::output::Output;
use crate::reload::Reload;
use crate::runtime::{database_url, limits, load_settings, open_engine, tokio_runtime};
use crate::{logging, workers};

/// Works until SIGTERM or Ctrl-C; then lets what runs come to its end.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let loaded = load_settings(output, app)?;
    let (level, _traces) = logging::start(&loaded.config, &app.folder)?;
    check::own_schema(output, app)?;
    let tokio = tokio_runtime()?;
    let reload = {
        let _runtime = tokio.enter();
        Reload::new(app, &loaded, level)?
    };
    let config = loaded.config;
    // A SQLite file is taken by the server that may run beside this.
    let exclusive = matches!(database_url(&app.folder, &config)?, DatabaseUrl::Postgres(_));
    let engine = tokio.block_on(open_engine(output, app, &config, limits(&config), exclusive))?;
    tokio.block_on(async {
        let stop = stop_signal()?;
        let jobs = Jobs::of_app(engine.clone());
        let count = workers::taken(&jobs, &config).iter().count();
        output.say(format!("working: {count} names of jobs, {} at a time", config.jobs_concurrency));
        let reloading = tokio::spawn(reload.run(engine.clone(), None));
        workers::run(jobs, &config, stop).await;
        reloading.abort();
        engine.store().close().await;
        Ok(())
    })
}
