//! Rows as they are kept, for the server's own plugins: past every rule, `secret` columns too.
//!
//! A plugin that keeps hashes or keys declares them `secret`, so that no request, log line or export ever has them, and reads them
//! here. What is looked up is decided by the plugin's code alone: a table, and a filter of the language with `$name`s for values.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::TableId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan;
use mainstay_sql::statement::Statement;
use mainstay_store::{Outcome, ReadLimits};

use crate::bind;
use crate::engine::Engine;
use crate::error::Error;
use crate::hook::Row;

/// Rows that one look-up finds at most.
const ROWS_MAX: i64 = 1000;

/// A question about rows of a table, made once.
#[derive(Clone, Debug)]
pub struct Lookup {
    table: TableId,
    statement: Arc<Statement>,
    params: Vec<(String, Type)>,
}

impl Engine {
    /// A question about the rows of a table for which a filter is true.
    ///
    /// # Errors
    /// When there is no such table, or the filter cannot be read: a mistake of the plugin.
    pub fn lookup(&self, table: &str, filter: &str) -> Result<Lookup, Error> {
        self.lookup_of(table, filter, Some(ROWS_MAX))
    }

    /// The same about all of them, as many as one request may read; where there are more, looking them up is refused.
    ///
    /// # Errors
    /// When there is no such table, or the filter cannot be read: a mistake of the plugin.
    pub fn lookup_all(&self, table: &str, filter: &str) -> Result<Lookup, Error> {
        self.lookup_of(table, filter, None)
    }

    fn lookup_of(&self, table: &str, filter: &str, rows_max: Option<i64>) -> Result<Lookup, Error> {
        let schema = self.schema();
        let declared = schema
            .table_named(table)
            .ok_or_else(|| Error::internal(format!("a look-up of `{table}`, which is no table")))?;
        let filter = compile_filter(schema, declared.id, filter).map_err(|problems| {
            let words: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            Error::internal(format!("a look-up of {table} by `{filter}`: {}", words.join("; ")))
        })?;
        let images = plan::Images {
            table: declared.id,
            filter: vec![filter.condition],
            limit: rows_max.map(crate::expression::int),
            lock: None,
        };
        let statement = Arc::new(mainstay_sql::images(schema, self.dialect, &images));
        Ok(Lookup { table: declared.id, statement, params: filter.params })
    }

    /// The rows that a question finds by values for its names, in the order of their keys.
    ///
    /// # Errors
    /// When the database cannot be read, or a name has no value.
    pub async fn look_up(
        &self,
        lookup: &Lookup,
        deadline: Instant,
        values: &[(&str, Value)],
    ) -> Result<Vec<Row>, Error> {
        let value = |(name, _): &(String, Type)| {
            let given = values.iter().find(|(given, _)| given == name);
            given
                .map(|(_, value)| value.clone())
                .ok_or_else(|| Error::internal(format!("a look-up without `${name}`")))
        };
        let params = lookup.params.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let limits = ReadLimits { rows: self.limits().rows, bytes: self.limits().bytes, deadline };
        let query = bind::without_caller(&lookup.statement, &params);
        let Some(Outcome::Values(rows)) = self.store.read(vec![query], limits).await?.into_iter().next()
        else {
            return Err(Error::internal("a look-up answers values"));
        };
        Ok(rows.iter().map(|row| Row::new(self.schema(), lookup.table, row)).collect())
    }
}
