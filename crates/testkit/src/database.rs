//! An app on a real database, filled and read without going through the rules.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, limits::Limits, prelude};
use mainstay_lang::analyse::analyse;
use mainstay_lang::diagnostic::Diagnostic;
use mainstay_lang::schema::{ColumnId, RelationKind, Schema};
use mainstay_lang::source::Sources;
use mainstay_lang::value::Value;
use mainstay_sql::forms::key_part;
use mainstay_sql::plan::Images;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, POSTGRES, SQLITE};
use mainstay_store::{
    DatabaseUrl, Outcome, PostgresOptions, Query, ReadLimits, Store, StoreError, StoreOptions, Synchronous,
    WriteJob,
};
use tempfile::TempDir;

use crate::naive::{Asker, World};
use crate::postgres::{Bouncer, Postgres};
use crate::rows::NOW;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The schema of an app's text, with the platform's own tables.
///
/// # Errors
/// What is wrong with the text.
pub fn schema_of(text: &str) -> Result<Arc<Schema>, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    sources.add("app.stay", text);
    let analysis = analyse(&prelude::load(sources));
    analysis.schema.map(Arc::new).ok_or(analysis.diagnostics)
}

/// The databases that tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file of its own.
    Sqlite,
    /// A database of its own on a private server.
    Postgres,
}

impl DatabaseKind {
    /// Each of them: what holds on one has to hold on all.
    pub const ALL: &'static [DatabaseKind] = &[DatabaseKind::Sqlite, DatabaseKind::Postgres];

    /// How it is spoken to.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            DatabaseKind::Sqlite => SQLITE,
            DatabaseKind::Postgres => POSTGRES,
        }
    }

    /// How many of so many random cases are made here in a usual run: a database of a server takes a while to be made, and
    /// each statement a way there and back.
    pub fn share(self, cases: usize) -> usize {
        match self {
            DatabaseKind::Sqlite => cases,
            DatabaseKind::Postgres => cases.div_ceil(10),
        }
    }
}

/// An empty database of its own, which goes when this does.
#[derive(Debug)]
pub struct Place {
    /// How a store is opened on it, with as little as a test needs.
    pub options: StoreOptions,
    _folder: Option<TempDir>,
    bouncer: Option<Bouncer>,
    /// The name of the database on the shared server, when it is there.
    shared: Option<String>,
}

/// Set to anything, tests reach their PostgreSQL by way of `PgBouncer` in transaction mode.
const POOLER_VARIABLE: &str = "MAINSTAY_TEST_POOLER";

/// Connections of that to the server: fewer than those who use them, so that they get one another's.
const POOLER_CONNECTIONS: u32 = 3;

impl Place {
    /// A new one.
    ///
    /// # Errors
    /// When no folder can be made.
    ///
    /// # Panics
    /// When it is one of a server, and there is none on this machine.
    pub fn new(kind: DatabaseKind) -> anyhow::Result<Place> {
        let folder = match kind {
            DatabaseKind::Sqlite if Path::new(MEMORY_FOLDER).is_dir() => {
                Some(tempfile::tempdir_in(MEMORY_FOLDER)?)
            }
            DatabaseKind::Sqlite => Some(tempfile::tempdir()?),
            DatabaseKind::Postgres => None,
        };
        let url = match &folder {
            Some(folder) => DatabaseUrl::Sqlite(folder.path().join("app.db")),
            None => Postgres::database().parse()?,
        };
        let mut options = StoreOptions::new(url);
        options.synchronous = Synchronous::Normal;
        options.readers = 1;
        options.postgres.shared_readers = 1;
        options.postgres.writers = 4;
        // Tests say who waits for whom, and in which order.
        options.postgres.lock_first_max = PATIENCE;
        let shared = (kind == DatabaseKind::Postgres).then(|| name_in(&options.url)).flatten();
        let place = Place { options, _folder: folder, bouncer: None, shared };
        let is_pooled = kind == DatabaseKind::Postgres && std::env::var_os(POOLER_VARIABLE).is_some();
        if is_pooled { place.behind_pooler() } else { Ok(place) }
    }

    /// The database of a URL, which stays when this goes.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn on(url: &str) -> anyhow::Result<Place> {
        let options = StoreOptions::new(url.parse()?);
        Ok(Place { options, _folder: None, bouncer: None, shared: None })
    }

    /// A new one of PostgreSQL by way of `PgBouncer` in transaction mode, with a way past it.
    ///
    /// # Errors
    /// When its URL cannot be read.
    ///
    /// # Panics
    /// When there is no PostgreSQL or no `PgBouncer` on this machine.
    pub fn pooled() -> anyhow::Result<Place> {
        let mut place = Place::new(DatabaseKind::Postgres)?;
        place.options.postgres.lock_first_max = PostgresOptions::default().lock_first_max;
        if place.bouncer.is_some() { Ok(place) } else { place.behind_pooler() }
    }

    fn behind_pooler(mut self) -> anyhow::Result<Place> {
        let bouncer = Bouncer::start(POOLER_CONNECTIONS);
        let direct = self.options.url.to_string();
        let name = name_in(&self.options.url).context("the name of a database ends its URL")?;
        self.options.url = bouncer.url(&name).parse()?;
        self.options.postgres.pgbouncer = true;
        self.options.postgres.direct_url = Some(direct.parse()?);
        self.bouncer = Some(bouncer);
        Ok(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(name) = &self.shared {
            // Long runs make many, of some megabytes each; one that stays goes with the server.
            let _ = Postgres::shared().run("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// The name of the database that ends a URL.
fn name_in(url: &DatabaseUrl) -> Option<String> {
    url.to_string().rsplit_once('/').map(|(_, name)| name.to_owned())
}

/// Where a system keeps files that need not outlive it: thousands of databases are made here, and none is kept.
const MEMORY_FOLDER: &str = "/dev/shm";

/// An engine on a database of its own, which goes when this does.
#[derive(Debug)]
pub struct Database {
    /// What kind it is.
    pub kind: DatabaseKind,
    /// The engine.
    pub engine: Arc<Engine>,
    place: Place,
}

impl Database {
    /// A new database with the tables of a schema and no rows.
    ///
    /// # Errors
    /// When the database cannot be made or the schema's tables cannot.
    pub async fn open(kind: DatabaseKind, schema: Arc<Schema>) -> anyhow::Result<Database> {
        Database::open_with(kind, schema, &Plugins::default()).await
    }

    /// The same of an app with plugins, whose tables are in the schema already.
    ///
    /// # Errors
    /// When the database cannot be made, the schema's tables cannot, or a plugin does not fit.
    pub async fn open_with(
        kind: DatabaseKind,
        schema: Arc<Schema>,
        plugins: &Plugins,
    ) -> anyhow::Result<Database> {
        let place = Place::new(kind)?;
        let store = Store::open(&place.options)?;
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Engine::open_with(schema, store, options, plugins).await?;
        Ok(Database { kind, engine: Arc::new(engine), place })
    }

    /// A new database that others made by a script, and an app on it.
    ///
    /// # Errors
    /// When it cannot be made, or the app does not fit it.
    pub async fn of_others(
        kind: DatabaseKind,
        schema: Arc<Schema>,
        script: &str,
    ) -> anyhow::Result<Database> {
        let mut place = Place::new(kind)?;
        let store = Store::open(&place.options)?;
        store.execute_script(script.split(';').map(str::to_owned).collect()).await?;
        store.close().await;
        place.options.existing = true;
        let store = Store::open(&place.options)?;
        let options = Options { may_change: MayChange::default(), limits: Limits::default() };
        Ok(Database { kind, engine: Arc::new(Engine::open(schema, store, options).await?), place })
    }

    /// Where it is, for another process.
    pub fn url(&self) -> String {
        self.place.options.url.to_string()
    }

    /// The same database under another schema, by a server that changes nothing by itself.
    ///
    /// # Errors
    /// When it does not fit that schema.
    pub async fn reopen(self, schema: Arc<Schema>) -> anyhow::Result<Database> {
        self.engine.store().close().await;
        let store = Store::open(&self.place.options)?;
        let options = Options { may_change: MayChange::default(), limits: Limits::default() };
        Ok(Database { engine: Arc::new(Engine::open(schema, store, options).await?), ..self })
    }

    /// Writes all rows and links of a world into the database, which has none.
    ///
    /// # Errors
    /// When the database refuses one.
    pub async fn fill(&self, world: &World) -> anyhow::Result<()> {
        let (schema, dialect) = (self.engine.schema(), self.engine.dialect());
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for table in &schema.tables {
            let insert = match table.key_of.is_empty() {
                true => mainstay_sql::insert(schema, dialect, table.id),
                // The key is no column.
                false => mainstay_sql::insert_without(schema, dialect, table.id, &[]),
            };
            let insert = Arc::new(insert);
            // Relations may go in a circle, so those that may be null are set once every row is there.
            let later: Vec<ColumnId> =
                table.columns.iter().filter(|c| c.target().is_some() && c.nullable).map(|c| c.id).collect();
            let update = Arc::new(mainstay_sql::update(schema, dialect, table.id, &later));
            for row in world.rows(table.id) {
                let values = row.iter().zip(&table.columns);
                let values = values.map(|(value, column)| match later.contains(&column.id) {
                    true => Value::Null,
                    false => value.clone(),
                });
                inserts.push(query(&insert, &values.collect::<Vec<_>>()));
                if later.iter().any(|column| !row[column.0 as usize].is_null()) {
                    let parameters: Vec<Value> = std::iter::once(row[0].clone())
                        .chain(later.iter().map(|column| row[column.0 as usize].clone()))
                        .collect();
                    updates.push(query(&update, &parameters));
                }
            }
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                let statement = Arc::new(mainstay_sql::link(schema, dialect, link));
                for (owner, target) in world.links.get(&link.db_name).into_iter().flatten() {
                    updates.push(query(&statement, &[owner.clone(), target.clone()]));
                }
            }
        }
        inserts.append(&mut updates);
        let queries = Arc::new(inserts);
        let job: WriteJob<(), StoreError> = Box::new(move |tx| {
            let queries = queries.clone();
            Box::pin(async move {
                for query in queries.iter() {
                    tx.query(query).await?;
                }
                Ok(())
            })
        });
        self.engine.store().write(Instant::now() + PATIENCE, job).await?;
        // Rules may be among them.
        self.engine.reread_rules();
        Ok(())
    }

    /// Every row and link that the database holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn world(&self) -> anyhow::Result<World> {
        let (schema, dialect) = (self.engine.schema(), self.engine.dialect());
        let mut world = World::empty(schema);
        let images = schema.tables.iter().map(|table| {
            let plan = Images { table: table.id, filter: Vec::new(), limit: None, lock: None };
            Query { statement: Arc::new(mainstay_sql::images(schema, dialect, &plan)), values: Vec::new() }
        });
        world.tables = self.values(images.collect()).await?;
        for table in &schema.tables {
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                let statement = Arc::new(mainstay_sql::linked(schema, dialect, link, true));
                let owners: Vec<Value> = world.rows(table.id).iter().map(|row| row[0].clone()).collect();
                let queries = owners.iter().map(|owner| query(&statement, std::slice::from_ref(owner)));
                let found = self.values(queries.collect()).await?;
                let pairs = owners.iter().zip(found).flat_map(|(owner, targets)| {
                    targets.into_iter().flatten().map(|target| (owner.clone(), target)).collect::<Vec<_>>()
                });
                world.links.insert(link.db_name.clone(), pairs.collect());
            }
        }
        Ok(world)
    }

    /// Runs statements that read typed values.
    ///
    /// # Errors
    /// What the database says.
    pub async fn values(&self, queries: Vec<Query>) -> Result<Vec<Vec<Vec<Value>>>, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + PATIENCE };
        let outcomes = self.engine.store().read(queries, limits).await?;
        let values = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Values(rows) => rows,
            other => panic!("typed values were asked for, not {other:?}"),
        });
        Ok(values.collect())
    }

    /// The context of a request of somebody.
    ///
    /// # Errors
    /// When the caller's row cannot be read.
    pub async fn context(&self, asker: &Asker) -> anyhow::Result<Ctx> {
        let mut caller = Caller::anonymous();
        if let Some(user) = &asker.user
            && let Some(known) = self.engine.caller(&Claims::user(user.clone())).await?
        {
            caller.user.clone_from(&known.user);
            caller.row.clone_from(&known.row);
        }
        caller.admin = asker.admin;
        caller.permissions = Arc::new(asker.permissions.clone());
        caller.roles = Arc::new(asker.roles.clone());
        [caller.confirmed, caller.confirmed_twice] = asker.confirmed;
        Ok(Ctx {
            caller: Arc::new(caller),
            tenant: asker.tenant.clone(),
            session: None,
            now: NOW,
            deadline: Instant::now() + PATIENCE,
            request_id: "test".into(),
            trace: None,
        })
    }
}

fn query(statement: &Arc<Statement>, params: &[Value]) -> Query {
    use mainstay_sql::statement::Bind;
    let value = |bind: &Bind| match bind {
        Bind::Value(value) => value.clone(),
        Bind::Param(index) | Bind::Array { param: index, .. } => params[*index as usize].clone(),
        Bind::KeyPart { key, part, ty } => match **key {
            Bind::Param(index) => key_part(&params[index as usize], *part, ty),
            _ => panic!("{key:?} has no place in a statement about whole rows"),
        },
        other => panic!("{other:?} has no place in a statement about whole rows"),
    };
    Query { statement: statement.clone(), values: statement.binds.iter().map(value).collect() }
}
