//! Jobs in the change log, where the app shows them.
//!
//! An app that says `use jobs` has a table over that of the jobs, which callers may read and subscribe to under its rules. Then each
//! change of a job is a line of the log like that of any row; without it, nobody could hear of them and none are written. What a
//! handler is given never stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_engine::transaction_number;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::Dialect;
use mainstay_sql::statement::Statement;
use mainstay_sql::system::{self, job};
use mainstay_store::{StoreError, Tx};
use uuid::Uuid;

use crate::row::State;
use crate::statements::{Statements, ids_json, query, values};

/// How jobs are written into the log.
pub(crate) struct Logged {
    table: String,
    /// Place in the row, and how the member begins.
    members: Vec<(usize, String)>,
    insert: Arc<Statement>,
}

impl Logged {
    /// None: the app does not show its jobs.
    pub(crate) fn of(schema: &Schema, dialect: &'static dyn Dialect) -> Option<Logged> {
        let table = schema.tables.iter().find(|table| table.db_name == job::JOB.name)?;
        let place = |name: &str| job::JOB.columns.iter().position(|column| column.name == name);
        let shown = table.columns.iter().filter(|column| !column.secret);
        let members =
            shown.filter_map(|column| Some((place(&column.db_name)?, format!("\"{}\":", column.name))));
        Some(Logged {
            table: table.name.clone(),
            members: members.collect(),
            insert: Arc::new(system::change_insert(schema, dialect, system::Count::One)),
        })
    }

    fn image(&self, row: Option<&Vec<Value>>) -> Value {
        let Some(row) = row else { return Value::Null };
        let mut json = b"{".to_vec();
        for (place, member) in &self.members {
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(member.as_bytes());
            row[*place].write_json(&mut json);
        }
        json.push(b'}');
        Value::Json(String::from_utf8_lossy(&json).into_owned())
    }
}

/// Jobs as they stood before something was done to them.
#[derive(Default)]
pub(crate) struct Before(BTreeMap<Uuid, Vec<Value>>);

async fn images(tx: &mut Tx, statements: &Statements, ids: &[Uuid]) -> Result<Before, StoreError> {
    let rows = values(tx, &statements.images, &[ids_json(ids)]).await?;
    let keyed = rows.into_iter().filter_map(|row| match row.first() {
        Some(Value::Uuid(id)) => Some((*id, row)),
        _ => None,
    });
    Ok(Before(keyed.collect()))
}

impl Statements {
    /// Remembers jobs before something is done to them.
    pub(crate) async fn before(&self, tx: &mut Tx, ids: &[Uuid]) -> Result<Before, StoreError> {
        if self.logged.is_none() || ids.is_empty() {
            return Ok(Before::default());
        }
        images(tx, self, ids).await
    }

    /// Writes what has become of jobs into the log. Those of which nothing is known before are new.
    pub(crate) async fn log(
        &self,
        tx: &mut Tx,
        before: &Before,
        ids: &[Uuid],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.logged.is_none() || ids.is_empty() {
            return Ok(());
        }
        let after = images(tx, self, ids).await?;
        self.lines(tx, before, &after, ids, now).await
    }

    /// The same where it is known only afterwards which jobs were changed, and in which state they had been.
    pub(crate) async fn log_was(
        &self,
        tx: &mut Tx,
        was: State,
        ids: &[Uuid],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.logged.is_none() || ids.is_empty() {
            return Ok(());
        }
        let after = images(tx, self, ids).await?;
        let place = |name: &str| job::JOB.columns.iter().position(|column| column.name == name);
        let mut before = Before(after.0.clone());
        for row in before.0.values_mut() {
            for (name, value) in [("state", Value::Text(was.text().to_owned())), ("finished", Value::Null)] {
                if let Some(place) = place(name) {
                    row[place] = value;
                }
            }
        }
        self.lines(tx, &before, &after, ids, now).await
    }

    async fn lines(
        &self,
        tx: &mut Tx,
        before: &Before,
        after: &Before,
        ids: &[Uuid],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(logged) = &self.logged else { return Ok(()) };
        let number = Value::Int(transaction_number(now));
        for id in ids {
            let (old, new) = (before.0.get(id), after.0.get(id));
            let kind = match (old, new) {
                (None, Some(_)) => "create",
                (Some(_), None) => "delete",
                (Some(old), Some(new)) if old != new => "update",
                _ => continue,
            };
            let actor = Value::Null;
            let shared = [number.clone(), Value::Timestamp(now), actor, Value::Null];
            let text = |text: &str| Value::Text(text.to_owned());
            let line = [
                text(&logged.table),
                Value::Text(id.to_string()),
                text(kind),
                logged.image(old),
                logged.image(new),
            ];
            let params: Vec<Value> = shared.into_iter().chain(line).collect();
            tx.later(query(&logged.insert, &params)).await?;
        }
        Ok(())
    }
}
