//! SQLite in memory, with the language's functions registered as a store does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_lang::ops::sqlite::{
    AGGREGATES, FUNCTIONS, OBJECTS, ObjectArg, ObjectsState, SqlArg, SqlResult, SumState,
};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, SQLITE};
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Null, ToSqlOutput, ValueRef};

pub(crate) struct Database {
    conn: Connection,
    /// Nested rows counted by `ms_rows(n)` since the last read began.
    counted: Arc<AtomicUsize>,
}

impl Database {
    pub(crate) const DIALECT: &'static dyn Dialect = SQLITE;

    pub(crate) fn open() -> Database {
        let conn = Connection::open_in_memory().unwrap();
        let counted = register(&conn);
        conn.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        Database { conn, counted }
    }

    pub(crate) fn script(&self, sql: &str) -> Result<(), String> {
        self.conn.execute_batch(sql).map_err(|error| error.to_string())
    }

    /// What whoever runs a migration says before its steps.
    pub(crate) fn begin_script(&self) {
        self.script("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON").unwrap();
    }

    /// And behind them.
    pub(crate) fn end_script(&self) {
        self.script("PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF").unwrap();
    }

    pub(crate) fn write(&self, sql: &str, binds: &[Value]) -> Result<usize, String> {
        self.prepare(sql, binds).raw_execute().map_err(|error| error.to_string())
    }

    pub(crate) fn read(&self, sql: &str, binds: &[Value], types: &[Type]) -> Result<Vec<Vec<Value>>, String> {
        self.counted.store(0, Ordering::Relaxed);
        let mut prepared = self.prepare(sql, binds);
        assert_eq!(prepared.column_count(), types.len(), "{sql}");
        let mut rows = prepared.raw_query();
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(|error| error.to_string())? {
            let value = |(index, ty)| Value::from_sql(arg(row.get_ref(index).unwrap()), ty).unwrap();
            all.push(types.iter().enumerate().map(value).collect());
        }
        Ok(all)
    }

    pub(crate) fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// A line for each step.
    pub(crate) fn plan(&self, statement: &Statement) -> String {
        let mut prepared = self.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
        let mut rows = prepared.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get::<_, String>(3).unwrap());
        }
        lines.join("\n")
    }

    fn prepare(&self, sql: &str, binds: &[Value]) -> rusqlite::Statement<'_> {
        let prepared = self.conn.prepare(sql);
        let mut prepared = prepared.unwrap_or_else(|error| panic!("{error}\n{sql}"));
        assert_eq!(prepared.parameter_count(), binds.len(), "{sql}");
        for (index, value) in binds.iter().enumerate() {
            prepared.raw_bind_parameter(index + 1, Owned(value.to_sql())).unwrap();
        }
        prepared
    }
}

struct Owned(SqlResult);

impl rusqlite::ToSql for Owned {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            SqlResult::Null => ValueRef::Null,
            SqlResult::Int(value) => ValueRef::Integer(*value),
            SqlResult::Real(value) => ValueRef::Real(*value),
            SqlResult::Text(value) => ValueRef::Text(value.as_bytes()),
            SqlResult::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn arg(value: ValueRef<'_>) -> SqlArg<'_> {
    match value {
        ValueRef::Null => SqlArg::Null,
        ValueRef::Integer(value) => SqlArg::Int(value),
        ValueRef::Real(value) => SqlArg::Real(value),
        ValueRef::Text(value) => SqlArg::Text(std::str::from_utf8(value).unwrap()),
        ValueRef::Blob(value) => SqlArg::Blob(value),
    }
}

fn args<'c>(context: &'c Context<'_>) -> Vec<SqlArg<'c>> {
    (0..context.len()).map(|index| arg(context.get_raw(index))).collect()
}

fn owned(result: Result<SqlResult, mainstay_lang::ops::OpError>) -> rusqlite::Result<rusqlite::types::Value> {
    use rusqlite::types::Value as Sql;
    match result {
        Ok(SqlResult::Null) => Ok(Sql::Null),
        Ok(SqlResult::Int(value)) => Ok(Sql::Integer(value)),
        Ok(SqlResult::Real(value)) => Ok(Sql::Real(value)),
        Ok(SqlResult::Text(value)) => Ok(Sql::Text(value)),
        Ok(SqlResult::Blob(value)) => Ok(Sql::Blob(value)),
        Err(error) => Err(rusqlite::Error::UserFunctionError(error.into())),
    }
}

struct Summing(mainstay_lang::ops::sqlite::SqlAggregate);

impl Aggregate<SumState, rusqlite::types::Value> for Summing {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<SumState> {
        Ok(SumState::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut SumState) -> rusqlite::Result<()> {
        let step = (self.0.step)(state, &args(context));
        step.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        state: Option<SumState>,
    ) -> rusqlite::Result<rusqlite::types::Value> {
        owned((self.0.finish)(&state.unwrap_or_default()))
    }
}

struct Objects(Arc<AtomicUsize>);

impl Aggregate<ObjectsState, rusqlite::types::Value> for Objects {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<ObjectsState> {
        Ok(ObjectsState::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut ObjectsState) -> rusqlite::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let value = |index| match context.get_raw(index) {
            ValueRef::Null => ObjectArg::Null,
            ValueRef::Integer(value) => ObjectArg::Int(value),
            ValueRef::Text(text) => ObjectArg::Text(text),
            ValueRef::Real(_) | ValueRef::Blob(_) => ObjectArg::Other,
        };
        state.push(value).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        state: Option<ObjectsState>,
    ) -> rusqlite::Result<rusqlite::types::Value> {
        let list = String::from_utf8(state.unwrap_or_default().finish());
        Ok(rusqlite::types::Value::Text(list.unwrap()))
    }
}

fn register(conn: &Connection) -> Arc<AtomicUsize> {
    let pure =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    for function in FUNCTIONS {
        let call = function.call;
        let scalar = move |context: &Context<'_>| owned(call(&args(context)));
        conn.create_scalar_function(function.name, function.args, pure, scalar).unwrap();
    }
    for aggregate in AGGREGATES {
        conn.create_aggregate_function(aggregate.name, aggregate.args, pure, Summing(*aggregate)).unwrap();
    }
    let counted = Arc::new(AtomicUsize::new(0));
    let objects = Objects(counted.clone());
    conn.create_aggregate_function(OBJECTS, -1, FunctionFlags::SQLITE_UTF8, objects).unwrap();
    let counter = counted.clone();
    let count = move |context: &Context<'_>| {
        counter.fetch_add(context.get::<i64>(0)?.unsigned_abs() as usize, Ordering::Relaxed);
        Ok(Null)
    };
    conn.create_scalar_function("ms_kept", 0, FunctionFlags::SQLITE_UTF8, |_| Ok(true)).unwrap();
    conn.create_scalar_function("ms_rows", 1, FunctionFlags::SQLITE_UTF8, count).unwrap();
    counted
}
