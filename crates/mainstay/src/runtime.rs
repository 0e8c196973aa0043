//! An app opened for a command: its schema, its database, its engine, and a runtime to wait on.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::limits::Limits;
use mainstay_engine::{Engine, MayChange, OpenError, Options};
use mainstay_lang::value::Timestamp;
use mainstay_store::{DatabaseUrl, PostgresUrl, Store, StoreOptions, Synchronous};

use crate::cli::App;
use crate::commands::check;
use crate::output::Output;
use crate::settings::{self, Config};
use crate::{migrations, plugins};

/// Everything a command needs to work with an app's data.
pub(crate) struct Runtime {
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    tokio: tokio::runtime::Runtime,
}

/// How long a command that imports or exports may take: until it is done.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

impl Runtime {
    /// Opens the app for a short command, beside a server that may run. Limits that guard a server do not hold here.
    pub(crate) fn open(output: Output, app: &App) -> Result<Runtime> {
        let loaded = load_settings(output, app)?;
        let unlimited =
            Limits { rows: u64::MAX, parts: usize::MAX, bytes: u64::MAX, ..limits(&loaded.config) };
        let tokio = tokio_runtime()?;
        let engine = tokio.block_on(open_engine(output, app, &loaded.config, unlimited, false))?;
        Ok(Runtime { config: loaded.config, engine, tokio })
    }

    /// Runs a future to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tokio.block_on(future)
    }

    /// The context of a command that passes every rule.
    pub(crate) fn admin(&self) -> Ctx {
        context(Arc::new(Caller::administrator()))
    }
}

/// Settings with their warnings said.
pub(crate) fn load_settings(output: Output, app: &App) -> Result<settings::Loaded> {
    let loaded = settings::load(&app.folder, &app.settings)?;
    for warning in &loaded.warnings {
        output.say(format!("warning: {warning}"));
    }
    Ok(loaded)
}

/// Threads for the work of requests: one for each core.
pub(crate) fn tokio_runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the threads that do the work")
}

/// Reads the schema, opens the database, joins them, and lets the plugins begin.
pub(crate) async fn open_engine(
    output: Output,
    app: &App,
    config: &Config,
    limits: Limits,
    exclusive: bool,
) -> Result<Arc<Engine>> {
    let schema = check::schema(output, app)?;
    let store = open_store_of(app, config, exclusive, schema.existing)?;
    let may_change = MayChange {
        tables: config.is_development(),
        by_migrations_alone: migrations::exist(&app.folder, store.dialect()),
    };
    let options = Options { may_change, limits };
    let has_migrations = may_change.by_migrations_alone;
    let plugins = plugins::of_app(app, &schema, config)?;
    let opened = Engine::open_with(schema, store, options, &plugins).await;
    let engine = Arc::new(opened.map_err(|error| unfit(error, &app.folder, has_migrations))?);
    engine.start().await?;
    Ok(engine)
}

/// Opens the database that the settings name.
pub(crate) fn open_store(app: &App, config: &Config, exclusive: bool) -> Result<Store> {
    open_store_of(app, config, exclusive, false)
}

/// The same where others may have made it.
pub(crate) fn open_store_of(app: &App, config: &Config, exclusive: bool, existing: bool) -> Result<Store> {
    let options = StoreOptions { existing, ..store_options(&app.folder, config, exclusive)? };
    Store::open(&options).map_err(|error| anyhow!("{error}"))
}

/// Why an app cannot be opened, and which command helps.
fn unfit(error: OpenError, folder: &Path, has_migrations: bool) -> anyhow::Error {
    let app = folder.display();
    match (&error, has_migrations) {
        (OpenError::Store(_) | OpenError::Record(_) | OpenError::Plugin { .. }, _) => anyhow!("{error}"),
        (OpenError::Unlike(_), _) => anyhow!(
            "{error}\n`mainstay pull` shows what the database holds now; write it into the app, or mend the database"
        ),
        (_, true) => anyhow!(
            "{error}\n`mainstay migrate status {app}` says where it stands, `mainstay migrate apply {app}` brings it in step"
        ),
        (_, false) => anyhow!(
            "{error}\n`mainstay migrate plan {app}` writes the change for review, `mainstay migrate apply {app}` makes it"
        ),
    }
}

/// The database that the settings name: the embedded one unless they say otherwise.
pub(crate) fn database_url(folder: &Path, config: &Config) -> Result<DatabaseUrl> {
    match &config.database_url {
        Some(url) => url.parse::<DatabaseUrl>().map_err(|error| anyhow!("database.url: {error}")),
        None => Ok(DatabaseUrl::Sqlite(config.data_dir(folder).join("mainstay.db"))),
    }
}

/// The limits that the settings ask for.
pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        depth: config.limit_depth,
        parts: config.limit_parts,
        rows: config.limit_rows,
        bytes: config.limit_bytes,
        page_default: config.limit_page,
        page_max: config.limit_page_max,
        hook: config.limit_hook,
    }
}

/// How the app's database is opened.
pub(crate) fn store_options(folder: &Path, config: &Config, exclusive: bool) -> Result<StoreOptions> {
    let url = database_url(folder, config)?;
    let synchronous = if config.synchronous_full { Synchronous::Full } else { Synchronous::Normal };
    let mmap_bytes = config.mmap_bytes;
    let mut options = StoreOptions { synchronous, exclusive, mmap_bytes, ..StoreOptions::new(url) };
    if config.readers > 0 {
        options.readers = config.readers;
    }
    let postgres = &mut options.postgres;
    if config.shared_readers > 0 {
        postgres.shared_readers = config.shared_readers;
    }
    postgres.writers = config.writers;
    postgres.connect_timeout = config.connect_timeout;
    postgres.pgbouncer = config.pgbouncer;
    postgres.replica_age_max = config.replica_age;
    // A command of a moment has no time to find out how far the standby is.
    if let Some(replica) = config.replica_url.as_ref().filter(|_| exclusive) {
        let replica = replica.parse::<PostgresUrl>();
        postgres.replica_url = Some(replica.map_err(|error| anyhow!("database.replica_url: {error}"))?);
    }
    if let Some(direct) = &config.direct_url {
        let direct = direct.parse::<PostgresUrl>();
        postgres.direct_url = Some(direct.map_err(|error| anyhow!("database.direct_url: {error}"))?);
    }
    Ok(options)
}

/// A context of this process's own, outside of any request.
pub(crate) fn context(caller: Arc<Caller>) -> Ctx {
    Ctx {
        caller,
        tenant: None,
        session: None,
        now: now(),
        deadline: Instant::now() + PATIENCE,
        request_id: uuid::Uuid::now_v7().to_string().into(),
        trace: None,
    }
}

/// The clock of this process.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
