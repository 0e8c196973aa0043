//! Rows that are rules: what one says is read, and every name and condition in it checked, before it is kept.
//!
//! Asked of the rows as they stand at the end of the request, whatever wrote them. One that is not active and whose meaning is as
//! it was may be as broken as it likes: that is how one that an app has outgrown is put aside.

use mainstay_lang::value::Value;
use mainstay_store::Outcome;

use super::run::Run;
use super::value::Problems;
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::overrides::{OVERRIDES_MAX, Row};

impl Run<'_> {
    /// Refuses rules that cannot be read.
    pub(super) async fn check_rules(&mut self) -> Result<(), Error> {
        let schema = self.schema();
        let Some(table) = crate::overrides::table(schema) else { return Ok(()) };
        let mut problems = Problems::default();
        let mut new = None;
        for written in self.rows.written().iter().filter(|written| written.table == table.id) {
            let (Some(after), Some(_)) = (&written.after, written.kind()) else { continue };
            let before = written.before.as_ref().map(|before| Row::of(table, before));
            if written.before.is_none() {
                new.get_or_insert_with(|| written.path.clone());
            }
            for problem in Row::of(table, after).refused(before.as_ref(), schema) {
                let path = join_path(&written.path, problem.at.0);
                let path =
                    problem.at.1.map_or_else(|| path.clone(), |place| join_path(&path, &place.to_string()));
                problems.add(path, problem.code, problem.words);
            }
        }
        problems.into_result()?;
        if let Some(path) = new {
            let count = mainstay_sql::count(schema, self.planning.dialect, table.id, &[]);
            let query = mainstay_store::Query { statement: std::sync::Arc::new(count), values: Vec::new() };
            let Outcome::Values(rows) = self.outcome(&query).await? else {
                return Err(Error::internal("a count is a value"));
            };
            let is_over = matches!(
                rows.first().and_then(|row| row.first()),
                Some(Value::Int(count)) if count.unsigned_abs() > OVERRIDES_MAX as u64
            );
            if is_over {
                let words = format!(
                    "there may be {OVERRIDES_MAX} rules in data: delete those that say nothing any more"
                );
                return Err(Error::at(Key::Limit, path, "max", words));
            }
        }
        Ok(())
    }
}
