//! The database of one test: a file, or one of a PostgreSQL server that is copied from a template.
//!
//! Making an app's tables takes a server longer than copying a whole database, so the tables are made once for each schema: in a
//! database that becomes the template under its name when it is complete. Tests of several processes take turns at that. Templates
//! stay for the next run; the name says of which schema they are.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::limits::Limits;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options};
use mainstay_lang::schema::Schema;
use mainstay_store::{
    DatabaseUrl, Part, PartKind, Script, ScriptError, Store, StoreOptions, Synchronous, Turn,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::app;
use crate::cli;

/// Says which database tests are made on.
const VARIABLE: &str = "MAINSTAY_TEST_DATABASE";

/// Where a system keeps files that need not outlive it.
const MEMORY_FOLDER: &str = "/dev/shm";

/// How long others may be in the way of a copy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a test's database is, which goes when this does.
pub(super) enum Place {
    File { _folder: TempDir },
    Server { server: DatabaseUrl, name: String },
}

/// Opens an app on a database of its own.
pub(super) async fn open(app: &cli::App, schema: &Arc<Schema>, plugins: &Plugins) -> (Engine, Place) {
    let opened = match std::env::var(VARIABLE) {
        Ok(url) => on_server(&url, app, schema, plugins).await,
        Err(_) => in_file(schema, plugins).await,
    };
    opened.unwrap_or_else(|error| panic!("{error:#}"))
}

async fn in_file(schema: &Arc<Schema>, plugins: &Plugins) -> anyhow::Result<(Engine, Place)> {
    let is_memory = Path::new(MEMORY_FOLDER).is_dir();
    let folder = if is_memory { tempfile::tempdir_in(MEMORY_FOLDER) } else { tempfile::tempdir() }?;
    let url = DatabaseUrl::Sqlite(folder.path().join("app.db"));
    let engine = engine_on(url, schema, plugins).await?;
    Ok((engine, Place::File { _folder: folder }))
}

async fn engine_on(url: DatabaseUrl, schema: &Arc<Schema>, plugins: &Plugins) -> anyhow::Result<Engine> {
    let options = StoreOptions { synchronous: Synchronous::Normal, ..StoreOptions::new(url) };
    let store = Store::open(&options)?;
    let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    Ok(Engine::open_with(schema.clone(), store, options, plugins).await?)
}

async fn on_server(
    url: &str,
    app: &cli::App,
    schema: &Arc<Schema>,
    plugins: &Plugins,
) -> anyhow::Result<(Engine, Place)> {
    let server: DatabaseUrl = url.parse().map_err(|error| anyhow::anyhow!("{VARIABLE}: {error}"))?;
    if let DatabaseUrl::Sqlite(_) = server {
        return Ok((engine_on(server, schema, plugins).await?, in_no_place()?));
    }
    let template = format!("mainstay_test_{}", fingerprint(app)?);
    let name = format!("{template}_{}", uuid::Uuid::now_v7().simple());
    let store = Store::open(&StoreOptions::new(server.clone()))?;
    let turn = store.turn().await?;
    if !is_there(&turn, &template).await? {
        // One that was left half made has another name.
        let new = format!("{template}_new");
        run(&turn, &[format!("DROP DATABASE IF EXISTS {new}"), format!("CREATE DATABASE {new}")]).await?;
        let engine = engine_on(named(url, &new)?, schema, plugins).await?;
        engine.store().close().await;
        drop(engine);
        run(&turn, &[format!("ALTER DATABASE {new} RENAME TO {template}")]).await?;
    }
    run(&turn, &[format!("CREATE DATABASE {name} TEMPLATE {template}")]).await?;
    drop(turn);
    store.close().await;
    let place = Place::Server { server: server.clone(), name: name.clone() };
    Ok((engine_on(named(url, &name)?, schema, plugins).await?, place))
}

/// A file that somebody has named stays.
fn in_no_place() -> anyhow::Result<Place> {
    Ok(Place::File { _folder: tempfile::tempdir()? })
}

/// What tells one schema from another.
fn fingerprint(app: &cli::App) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for file in app::sources(app)?.files() {
        hash.update(format!("{file:?}"));
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The same server, another database.
fn named(url: &str, name: &str) -> anyhow::Result<DatabaseUrl> {
    let (before, query) = url.split_once('?').map_or((url, String::new()), |(b, q)| (b, format!("?{q}")));
    let (host, _) = before.rsplit_once('/').unwrap_or((before, ""));
    format!("{host}/{name}{query}").parse().map_err(|error| anyhow::anyhow!("{VARIABLE}: {error}"))
}

async fn is_there(turn: &Turn<'_>, name: &str) -> anyhow::Result<bool> {
    let look = format!("SELECT datname::text FROM pg_database WHERE datname = '{name}'");
    match turn.run(script(PartKind::Look, &[look])).await {
        Ok(()) => Ok(false),
        Err(ScriptError::Found { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

async fn run(turn: &Turn<'_>, statements: &[String]) -> anyhow::Result<()> {
    Ok(turn.run(script(PartKind::Run, statements)).await?)
}

fn script(kind: PartKind, statements: &[String]) -> Script {
    let parts = statements.iter().map(|sql| Part { kind: kind.clone(), statements: vec![sql.clone()] });
    Script { parts: parts.collect(), in_transaction: false, patience: PATIENCE }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place::Server { server, name } = self else { return };
        let (server, name) = (server.clone(), name.clone());
        // A test's own runtime may be the one that drops this.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let store = Store::open(&StoreOptions::new(server))?;
                run(&store.turn().await?, &[format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")]).await?;
                store.close().await;
                Ok::<(), anyhow::Error>(())
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            tracing::warn!(%error, "the database of a test stays");
        }
    }
}
