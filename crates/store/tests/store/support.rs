//! A store in a folder of its own, statements made by hand, and a gate that holds the writer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{Bind, Encoding, JsonMember, JsonShape, Length, ResultShape, Statement};
use mainstay_store::{DatabaseUrl, Outcome, Query, ReadLimits, Store, StoreError, StoreOptions, WriteJob};
use mainstay_testkit::postgres::Postgres;
use tempfile::TempDir;

/// A statement with its values.
pub(super) fn query(sql: &str, values: Vec<Value>, result: ResultShape) -> Query {
    let binds = (0..values.len()).map(|index| Bind::Param(index as u32)).collect();
    Query { statement: Arc::new(Statement { sql: sql.into(), binds, result }), values }
}

/// A statement without rows.
pub(super) fn change(sql: &str, values: Vec<Value>) -> Query {
    query(sql, values, ResultShape::Nothing)
}

/// A statement whose rows have one int.
pub(super) fn ints(sql: &str, values: Vec<Value>) -> Query {
    query(sql, values, ResultShape::Values(vec![Type::Int]))
}

/// A statement whose rows are objects with these members, in the order of the columns.
pub(super) fn json(sql: &str, values: Vec<Value>, members: &[(&str, Encoding)]) -> Query {
    query(sql, values, ResultShape::Json(shape(members)))
}

pub(super) fn shape(members: &[(&str, Encoding)]) -> JsonShape {
    let member = |(name, encoding): &(&str, Encoding)| JsonMember {
        key: format!(",\"{name}\":").into(),
        encoding: encoding.clone(),
        guarded: false,
    };
    JsonShape {
        members: members.iter().map(member).collect(),
        cursor: None,
        probes_more: None,
        row_cap: None,
        below: None,
        length: Length::default(),
    }
}

pub(super) fn int() -> Encoding {
    Encoding::Typed(Type::Int)
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub(super) fn wide() -> ReadLimits {
    ReadLimits { rows: 10_000, bytes: 1 << 20, deadline: soon() }
}

/// A job that runs statements one after the other.
pub(super) fn job(queries: Vec<Query>) -> WriteJob<(), StoreError> {
    let queries = Arc::new(queries);
    Box::new(move |tx| {
        let queries = queries.clone();
        Box::pin(async move {
            for query in queries.iter() {
                tx.query(query).await?;
            }
            Ok(())
        })
    })
}

/// A job that inserts one number into `number`.
pub(super) fn insert(number: i64) -> WriteJob<(), StoreError> {
    job(vec![change("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(number)])])
}

/// Which database a test runs on. Placeholders are written `$1`, the first to appear first, which both understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Sqlite,
    Postgres,
}

impl On {
    /// What differs between them.
    pub(super) fn pick<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            On::Sqlite => sqlite,
            On::Postgres => postgres,
        }
    }
}

/// Runs test bodies, which are told where, once on each database.
macro_rules! each_database {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::On::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::On::Postgres).await;
            })+
        }
    };
}

pub(super) use each_database;

/// A store with a database of its own, which goes when this goes.
pub(super) struct TestStore {
    pub(super) store: Arc<Store>,
    pub(super) folder: TempDir,
    /// Its name on the PostgreSQL server.
    pub(super) database: String,
}

impl TestStore {
    pub(super) async fn new(on: On, script: &[&str]) -> TestStore {
        TestStore::with(on, script, |_| {}).await
    }

    pub(super) async fn with(on: On, script: &[&str], adjust: impl FnOnce(&mut StoreOptions)) -> TestStore {
        let folder = tempfile::tempdir().unwrap();
        let mut options = match on {
            On::Sqlite => options(folder.path().join("test.db")),
            On::Postgres => StoreOptions::new(Postgres::database().parse().unwrap()),
        };
        let database = options.url.to_string().rsplit('/').next().unwrap().to_owned();
        adjust(&mut options);
        let store = Store::open(&options).unwrap();
        store.execute_script(script.iter().map(|sql| (*sql).to_owned()).collect()).await.unwrap();
        TestStore { store: Arc::new(store), folder, database }
    }

    /// With the table `number (n)`, whose numbers are unique.
    pub(super) async fn numbers(on: On) -> TestStore {
        TestStore::new(on, &[NUMBERS]).await
    }

    /// The same, where one job is run at a time.
    pub(super) async fn one_writer(on: On) -> TestStore {
        TestStore::with(on, &[NUMBERS], |options| options.postgres.writers = 1).await
    }

    /// Starts a write and hands back its outcome when awaited.
    pub(super) fn spawn(
        &self,
        job: WriteJob<(), StoreError>,
    ) -> tokio::task::JoinHandle<Result<(), StoreError>> {
        let store = self.store.clone();
        tokio::spawn(async move { store.write(soon(), job).await })
    }

    /// The same, in a transaction of its own.
    pub(super) fn spawn_alone(
        &self,
        job: WriteJob<(), StoreError>,
    ) -> tokio::task::JoinHandle<Result<(), StoreError>> {
        let store = self.store.clone();
        tokio::spawn(async move { store.write_alone(soon(), job).await })
    }

    pub(super) async fn write(&self, job: WriteJob<(), StoreError>) -> Result<(), StoreError> {
        self.store.write(soon(), job).await
    }

    pub(super) async fn read_ints(&self, sql: &str) -> Vec<i64> {
        let outcomes = self.store.read(vec![ints(sql, vec![])], wide()).await.unwrap();
        let [Outcome::Values(rows)] = &outcomes[..] else { panic!("no values: {outcomes:?}") };
        let only = |row: &Vec<Value>| match row[..] {
            [Value::Int(number)] => number,
            _ => panic!("no int: {row:?}"),
        };
        rows.iter().map(only).collect()
    }

    pub(super) async fn read_all(&self, sql: &str) -> BTreeSet<i64> {
        let outcomes =
            self.store.read(vec![ints(sql, vec![])], ReadLimits { rows: u64::MAX, ..wide() }).await;
        let [Outcome::Values(rows)] = &outcomes.unwrap()[..] else { panic!("no values") };
        let only = |row: &Vec<Value>| if let Value::Int(number) = row[0] { number } else { panic!("no int") };
        rows.iter().map(only).collect()
    }

    pub(super) async fn all_numbers(&self) -> Vec<i64> {
        self.read_ints("SELECT n FROM number ORDER BY n").await
    }

    /// Holds the writer inside a job until the gate is opened, so that what is queued meanwhile stays queued.
    pub(super) async fn close_gate(&self) -> Gate {
        let (opened, wait) = channel::<()>();
        let (entered_sender, entered) = tokio::sync::oneshot::channel();
        let (wait, entered_sender) = (Mutex::new(wait), Mutex::new(Some(entered_sender)));
        let held = self.spawn(Box::new(move |_| {
            if let Some(entered) = entered_sender.lock().unwrap().take() {
                entered.send(()).unwrap();
                // An error: the gate was dropped, which opens it as well.
                wait.lock().unwrap().recv().ok();
            }
            Box::pin(async { Ok(()) })
        }));
        entered.await.unwrap();
        Gate { opened, held }
    }

    /// Waits until so many jobs are queued.
    pub(super) async fn queued(&self, jobs: u64) {
        while self.store.metrics().write_queue < jobs {
            tokio::task::yield_now().await;
        }
    }
}

pub(super) const NUMBERS: &str = "CREATE TABLE number (n BIGINT NOT NULL UNIQUE)";

pub(super) fn options(path: PathBuf) -> StoreOptions {
    StoreOptions::new(DatabaseUrl::Sqlite(path))
}

pub(super) struct Gate {
    opened: Sender<()>,
    held: tokio::task::JoinHandle<Result<(), StoreError>>,
}

impl Gate {
    pub(super) async fn open(self) {
        self.opened.send(()).unwrap();
        self.held.await.unwrap().unwrap();
    }
}
