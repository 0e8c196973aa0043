//! `mainstay serve`: the app over HTTP, until it is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay_engine::Engine;
use mainstay_http::{Limits, Options, Redirect, Server, Tls, TokenSecret};
use mainstay_jobs::Jobs;
use mainstay_security::ServerCertificate;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::query::refusal;
use crate::backups::Backups;
use crate::cli::App;
use crate::output::Output;
use crate::reload::Reload;
use crate::runtime::{limits, load_settings, now, open_engine, tokio_runtime};
use crate::settings::{self, Config};
use crate::{logging, seed, workers};

/// How often what is too old is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Serves until SIGTERM or Ctrl-C; then finishes what runs.
pub(crate) fn run(output: Output, app: &App) -> Result<()> {
    let loaded = load_settings(output, app)?;
    // Traces go last: what comes to its end here is among them.
    let (level, _traces) = logging::start(&loaded.config, &app.folder)?;
    let tokio = tokio_runtime()?;
    let reload = {
        let _runtime = tokio.enter();
        Reload::new(app, &loaded, level)?
    };
    let config = loaded.config;
    let engine = tokio.block_on(open_engine(output, app, &config, limits(&config), true))?;
    if config.is_development() && tokio.block_on(engine.seed_is_pending()).map_err(|error| refusal(&error))? {
        seed::run(output, app)?;
    }
    let options = options(&config, app)?;
    let backups = Backups::of(output, &config, app)?;
    tokio.block_on(serve(output, engine, options, backups, (config, reload)))
}

async fn serve(
    output: Output,
    engine: Arc<Engine>,
    options: Options,
    backups: Option<Backups>,
    (config, reload): (Config, Reload),
) -> Result<()> {
    let stop = stop_signal()?;
    let certificate = ServerCertificate::of(&engine);
    if let Some(certificate) = &certificate {
        certificate.begin(&engine).await.map_err(|error| anyhow!("http.tls: {error}"))?;
    }
    let tls = certificate.clone().map(|certificate| Tls(certificate));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = Server::bind(Options { tls, ..options }, Arc::clone(&engine)).await?;
    if let Some(address) = server.redirect_addr() {
        output.say(format!("leading to TLS from http://{address}"));
    }
    output.say(format!("listening on {scheme}://{}", server.local_addr()));
    let forgetting = tokio::spawn(forget_what_is_old(Arc::clone(&engine)));
    // Somebody may make a change log while this runs.
    let logging = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.await_log().await }
    });
    let reloading = tokio::spawn(reload.run(Arc::clone(&engine), certificate));
    let backups = backups.map(|backups| tokio::spawn(backups.run()));
    let (told, stopping) = tokio::sync::oneshot::channel::<()>();
    // A database that others made has no queue.
    let working = (config.jobs_work && !engine.schema().existing).then(|| {
        let jobs = Jobs::of_app(engine.clone());
        tokio::spawn(async move {
            let stop = async {
                // The other end is gone when the server has come to its own.
                drop(stopping.await);
            };
            workers::run(jobs, &config, stop).await;
        })
    });
    server.serve(stop).await;
    drop(told);
    if let Some(working) = working
        && working.await.is_err()
    {
        tracing::error!("the worker had panicked; its jobs come back when their leases end");
    }
    forgetting.abort();
    logging.abort();
    reloading.abort();
    // One that is being made is given up: the next start makes it.
    backups.iter().for_each(JoinHandle::abort);
    // What was acknowledged is on the disk already; this leaves one tidy file.
    engine.store().close().await;
    Ok(())
}

/// Keeps the change log as short as the tables' histories say, and no answer for longer than it is given again, from the
/// start on.
async fn forget_what_is_old(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match engine.history_prune(now()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot changes that were older than their table's history"),
            Err(error) => tracing::warn!(%error, "old changes could not be forgotten; tried again later"),
        }
        match engine.idempotency_prune(now()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot answers that were kept for requests sent again"),
            Err(error) => tracing::warn!(%error, "old answers could not be forgotten; tried again later"),
        }
    }
}

/// Completes when the process is asked to stop.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn redirect(config: &Config) -> Result<Option<Redirect>> {
    let Some(listen) = config.redirect else { return Ok(None) };
    if !config.is_tls() {
        bail!("http.redirect: TLS is spoken where http.tls.cert or http.acme.domains is set, and neither is");
    }
    let origin = config.url.clone().filter(|url| url.starts_with("https://"));
    Ok(Some(Redirect { listen, origin }))
}

fn options(config: &Config, app: &App) -> Result<Options> {
    let secret = settings::auth_secret(config, &app.folder)?;
    let public = app.folder.join("public");
    Ok(Options {
        listen: config.listen,
        public: public.is_dir().then_some(public),
        development: config.is_development(),
        origins: config.cors_origins.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        free: config.security.free.clone(),
        redirect: redirect(config)?,
        live: config.live.clone(),
        limits: Limits {
            connections_max: config.max_connections,
            connections_per_client_max: config.max_connections_per_client,
            header_timeout: config.header_timeout,
            requests_in_flight_max: config.max_requests,
            body_bytes_max: config.body_limit_bytes,
            body_timeout: config.timeout,
            request_timeout: config.timeout,
            stop_timeout: config.shutdown_timeout,
            ..Limits::default()
        },
        ..Options::new(TokenSecret::new(secret).map_err(|error| anyhow!("auth.secret: {error}"))?)
    })
}
