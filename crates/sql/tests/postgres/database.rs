//! A private PostgreSQL, a database for each.

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, POSTGRES};
use mainstay_testkit::postgres::Client;
use tokio::runtime::{Builder, Runtime};

pub(crate) struct Database {
    runtime: Runtime,
    client: Client,
}

impl Database {
    pub(crate) const DIALECT: &'static dyn Dialect = POSTGRES;

    pub(crate) fn open() -> Database {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(Client::connect()).unwrap();
        Database { runtime, client }
    }

    pub(crate) fn script(&self, sql: &str) -> Result<(), String> {
        self.runtime.block_on(self.client.script(sql))
    }

    /// What whoever runs a migration says before its steps: nothing.
    pub(crate) fn begin_script(&self) {}

    /// And behind them.
    pub(crate) fn end_script(&self) {}

    pub(crate) fn write(&self, sql: &str, binds: &[Value]) -> Result<usize, String> {
        self.runtime.block_on(self.client.write(sql, binds)).map(|rows| usize::try_from(rows).unwrap())
    }

    pub(crate) fn read(&self, sql: &str, binds: &[Value], types: &[Type]) -> Result<Vec<Vec<Value>>, String> {
        self.runtime.block_on(self.client.read(sql, binds, types))
    }

    pub(crate) fn counted(&self) -> usize {
        self.client.nested()
    }

    pub(crate) fn plan(&self, statement: &Statement) -> String {
        self.runtime.block_on(self.client.plan(&statement.sql, statement.binds.len())).unwrap()
    }
}
