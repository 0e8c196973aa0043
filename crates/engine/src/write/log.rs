//! The change log: a line for every row and link that a request wrote, in its own transaction.
//!
//! A row stands there once, as it was before the request and as it is behind it; secret columns never do. Rows come
//! first, then links, then deletions: whoever reads the log in order meets nothing that is not there yet. Lines are written
//! while their rows are locked by having been written, so that the numbers of one row's lines are in its order; many in
//! one statement, and on their way together with what comes next.

use std::sync::atomic::{AtomicI64, Ordering};

use mainstay_lang::schema::{RelationKind, Schema, Table};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::system::Count;

use super::rows::{Image, Kind, LinkWritten, Rows, Written};
use super::run::{Lines, Run};
use crate::ctx::Ctx;
use crate::error::Error;

/// The number given to the last transaction of this process.
static LAST_TX: AtomicI64 = AtomicI64::new(0);

impl Run<'_> {
    /// Tells triggers of the change log, where there are some, that this transaction writes its lines itself.
    pub(super) async fn mark(&mut self) -> Result<(), Error> {
        let Some(marks) = &self.prepared.marks else { return Ok(()) };
        if self.is_marked().await? { Ok(self.later(&marks.begin, &[]).await?) } else { Ok(()) }
    }

    async fn is_marked(&mut self) -> Result<bool, Error> {
        let Some(marks) = &self.prepared.marks else { return Ok(false) };
        let Some(ask) = &marks.ask else { return Ok(self.logs) };
        if let Some(known) = marks.known() {
            return Ok(known);
        }
        let has_triggers = self.has_rows(ask).await?;
        marks.learn(has_triggers);
        Ok(has_triggers)
    }

    /// Ends the mark, where it does not end with the transaction.
    pub(super) async fn unmark(&mut self) -> Result<(), Error> {
        let Some(marks) = &self.prepared.marks else { return Ok(()) };
        let Some(end) = &marks.end else { return Ok(()) };
        if self.is_marked().await? { Ok(self.later(end, &[]).await?) } else { Ok(()) }
    }

    /// Writes the lines of everything that the request has written.
    pub(super) async fn log(&mut self) -> Result<(), Error> {
        if !self.logs {
            return Ok(());
        }
        let lines = lines_of(self.schema(), &self.rows);
        if lines.is_empty() {
            self.forget_glance();
            return Ok(());
        }
        let tx = next_tx(self.ctx.now.0);
        let at = Value::Timestamp(self.ctx.now);
        let [actor, tenant] = who(self.ctx);
        let shared = [Value::Int(tx), at, actor, tenant];
        if self.prepared.holds() {
            return Box::pin(self.send_lines(Lines { shared, own: lines })).await;
        }
        // Where a statement is no way there and back, one for each line is the cheapest.
        let statement = self.prepared.change_insert(Count::One);
        let mut params: Vec<Value> = shared.into_iter().chain([const { Value::Null }; 5]).collect();
        for line in lines {
            line.into_iter().zip(&mut params[4..]).for_each(|(value, place)| *place = value);
            self.send_params(statement, &params).await?;
        }
        Ok(())
    }
}

/// Who changes something, and for which tenant.
pub(super) fn who(ctx: &Ctx) -> [Value; 2] {
    let actor = match &ctx.caller.user {
        Some(user) => Value::Text(user.to_string()),
        None if ctx.caller.admin => Value::Text("admin".to_owned()),
        None => Value::Null,
    };
    [actor, ctx.tenant.as_ref().map_or(Value::Null, |tenant| Value::Text(tenant.to_string()))]
}

/// Rows, then links, then deletions.
fn lines_of(schema: &Schema, rows: &Rows) -> Vec<[Value; 5]> {
    let written = |deleted: bool| {
        let of_kind = move |row: &&Written| row.kind().is_some_and(|kind| (kind == Kind::Deleted) == deleted);
        rows.written().iter().filter(of_kind).map(|row| row_line(schema, row))
    };
    let links = rows.links().iter().map(|change| link_line(schema, change));
    written(false).chain(links).chain(written(true)).collect()
}

/// A number for a transaction: of the clock, but never the same twice and never smaller than the one before.
pub fn transaction_number(now: Timestamp) -> i64 {
    next_tx(now.0)
}

fn next_tx(now: i64) -> i64 {
    let next = |last: i64| Some(now.max(last + 1));
    let last = LAST_TX.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    now.max(last.unwrap_or(0) + 1)
}

/// table, row, kind, before, after
fn row_line(schema: &Schema, row: &Written) -> [Value; 5] {
    let table = schema.table(row.table);
    let kind = match row.kind() {
        Some(Kind::New) => "create",
        Some(Kind::Deleted) => "delete",
        _ => "update",
    };
    let image = |image: &Option<Image>| image.as_ref().map_or(Value::Null, |image| to_json(table, image));
    let text = |text: &str| Value::Text(text.to_owned());
    [text(&table.name), Value::Text(row.key.to_string()), text(kind), image(&row.before), image(&row.after)]
}

/// A link is a line of the row that declares it.
fn link_line(schema: &Schema, change: &LinkWritten) -> [Value; 5] {
    let table = schema.table(change.link.owner);
    let declared = table.relations.iter().find(|relation| match &relation.kind {
        RelationKind::Link(link) => link.db_name == change.link.db_name,
        _ => false,
    });
    let mut json = b"{".to_vec();
    write_member(&mut json, &declared.expect("a link table is declared by its owner").name, &change.target);
    json.push(b'}');
    let json = Value::Json(String::from_utf8(json).expect("JSON is text"));
    let (kind, before, after) =
        if change.added { ("link", Value::Null, json) } else { ("unlink", json, Value::Null) };
    let text = |text: &str| Value::Text(text.to_owned());
    [text(&table.name), Value::Text(change.owner.to_string()), text(kind), before, after]
}

/// A row without its secrets.
fn to_json(table: &Table, image: &Image) -> Value {
    let mut json = Vec::with_capacity(64 * table.columns.len());
    json.push(b'{');
    for (column, value) in table.columns.iter().zip(image.iter()).filter(|(column, _)| !column.secret) {
        if json.len() > 1 {
            json.push(b',');
        }
        write_member(&mut json, &column.name, value);
    }
    json.push(b'}');
    Value::Json(String::from_utf8(json).expect("JSON is text"))
}

fn write_member(json: &mut Vec<u8>, name: &str, value: &Value) {
    json.push(b'"');
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
    value.write_json(json);
}
