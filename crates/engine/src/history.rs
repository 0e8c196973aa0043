//! The history of one row: who changed it, when, and to what, as far as the caller may know.
//!
//! Read from the change log, whose rows are images without secrets. A version is shown only where the row as it stands now
//! may be read and the version's own image passes the rules for reading ([`judge`]); a page goes on until it is full, so
//! that nobody can tell hidden versions by the gaps that they leave. What is older than the table's history is not
//! shown, whether [`prune`] has come by or not.

mod image;
mod judge;
pub(crate) mod prune;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::ops::cursor;
use mainstay_lang::schema::{Schema, Table, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, system};
use mainstay_store::{Outcome, Query};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

pub use self::image::Image;
use self::judge::{Judge, Seen};
use crate::bind;
use crate::ctx::Ctx;
use crate::engine::{Engine, no_log};
use crate::error::{Error, Key};
use crate::guard::Guard;
use crate::part::{Field, Part, Raw};
use crate::planning::Planning;
use crate::read;
use crate::resolve::Resolver;
use crate::resolve::read::int_value;
use crate::response::EntryAnswer;

/// Lines of the log that are judged together: at least, and at most.
const CHUNK: (u64, u64) = (32, 128);
/// Bytes of a cursor's tag, in hexadecimal.
const TAG_LENGTH: usize = 8;

/// The statements on the change log beside the one that writes it.
#[derive(Debug)]
pub(crate) struct LogStatements {
    history: Arc<Statement>,
    oldest: Arc<Statement>,
    /// A fact of the database by its name, and how it is set.
    fact: Arc<Statement>,
    remember: Arc<Statement>,
    retentions: Vec<prune::Retention>,
    pub(crate) position: Arc<Statement>,
    pub(crate) tail: Arc<Statement>,
    pub(crate) tail_next: Arc<Statement>,
}

impl LogStatements {
    pub(crate) fn new(schema: &Schema, dialect: &dyn Dialect) -> LogStatements {
        LogStatements {
            history: Arc::new(system::change_history(schema, dialect)),
            oldest: Arc::new(system::change_oldest(schema, dialect)),
            fact: Arc::new(system::meta_get(schema, dialect)),
            remember: Arc::new(system::meta_put(schema, dialect)),
            retentions: prune::retentions(schema, dialect),
            position: Arc::new(system::change_position(schema, dialect)),
            tail: Arc::new(system::change_tail(schema, dialect)),
            tail_next: Arc::new(system::change_tail_next(schema, dialect)),
        }
    }
}

/// Which versions are wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// At most so many; `None`: as many as a list without a limit.
    pub limit: Option<u64>,
    /// Behind this place: the `next` of the page before.
    pub after: Option<String>,
}

/// A line of the log.
struct Line {
    seq: i64,
    at: Value,
    kind: String,
    /// What the row had become, or for a deletion what it was.
    version: Image,
    /// What an update found.
    before: Option<Image>,
    actor: Option<String>,
}

impl Engine {
    /// The versions of a row that the caller may see, the newest first; `None` when there is no such row for the caller.
    ///
    /// # Errors
    /// When the page cannot be understood, or the database cannot be read.
    pub async fn history(
        &self,
        ctx: &Ctx,
        table: TableId,
        key: &Value,
        page: &HistoryPage,
    ) -> Result<Option<EntryAnswer>, Error> {
        let started = Instant::now();
        let (planning, ctx) = self.ruling.enter(ctx).await?;
        let result = self.read_history(&planning, &ctx, self.schema().table(table), key, page).await;
        self.meters.history.note(result.as_ref().err().map(|error| error.key), started.elapsed());
        result
    }

    async fn read_history(
        &self,
        planning: &Planning,
        ctx: &Ctx,
        table: &Table,
        key: &Value,
        page: &HistoryPage,
    ) -> Result<Option<EntryAnswer>, Error> {
        if !self.keeps_log() {
            return Err(no_log("tell a row's history"));
        }
        let limit = self.history_limit(page)?;
        let tag = cursor_tag(table, key);
        let mut before = after(page, &tag)?;
        let judge = Judge::new(self, planning, ctx, table);
        let mut batch = vec![current(planning, ctx, table, key)?];
        let mut found: Vec<(Line, Seen)> = Vec::new();
        let wanted = limit.saturating_add(1);
        let chunk = wanted.clamp(CHUNK.0, CHUNK.1);
        loop {
            let is_first = batch.len() == 1;
            batch.push(self.lines_behind(ctx, table, key, before, chunk));
            let mut outcomes = self.store.read(std::mem::take(&mut batch), self.read_limits(ctx)).await?;
            let Some(Outcome::Values(rows)) = outcomes.pop() else {
                return Err(Error::internal("the change log answers values"));
            };
            if is_first && !matches!(&outcomes[..], [Outcome::Json(rows)] if rows.rows == 1) {
                return Ok(None);
            }
            let is_last = (rows.len() as u64) < chunk;
            let lines = rows.into_iter().map(|row| judge.line(row)).collect::<Result<Vec<Line>, _>>()?;
            before = lines.last().map_or(before, |line| line.seq);
            found.extend(judge.seen(lines).await?);
            if is_last || found.len() as u64 >= wanted {
                break;
            }
        }
        let has_more = found.len() as u64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = found
            .last()
            .filter(|_| has_more)
            .map(|(line, _)| cursor::encode(&tag, &format!("[{}]", line.seq)));
        let actors = self.actors(planning, ctx, &found).await?;
        let mut answer =
            EntryAnswer { table: table.name.clone(), paged: true, next, ..EntryAnswer::default() };
        for (line, seen) in &found {
            write_item(&mut answer, line, seen, &actors);
            if answer.rows.len() as u64 > self.limits().bytes {
                let words =
                    format!("the answer would be larger than {} bytes: ask for less", self.limits().bytes);
                return Err(Error::new(Key::Limit, words));
            }
        }
        Ok(Some(answer))
    }

    fn history_limit(&self, page: &HistoryPage) -> Result<u64, Error> {
        let max = self.limits().page_max;
        match page.limit {
            None => Ok(self.limits().page_default),
            Some(limit) if limit <= max => Ok(limit),
            Some(_) => {
                let words = format!("may be at most {max}; `next` leads to the versions behind");
                Err(Error::at(Key::Limit, "/limit", "max", words))
            }
        }
    }

    fn lines_behind(&self, ctx: &Ctx, table: &Table, key: &Value, before: i64, count: u64) -> Query {
        let oldest = prune::oldest_kept(Some(table), ctx.now);
        let params = [
            Value::Text(table.name.clone()),
            Value::Text(key.to_string()),
            Value::Int(before),
            Value::Timestamp(oldest),
            int_value(count),
        ];
        bind::query(&self.log.history, ctx, &params)
    }

    /// Of those who changed the row, the users that the caller may read, by key.
    async fn actors(
        &self,
        planning: &Planning,
        ctx: &Ctx,
        found: &[(Line, Seen)],
    ) -> Result<HashSet<String>, Error> {
        let mut shown: HashSet<String> = HashSet::from([ADMIN.to_owned()]);
        shown.extend(ctx.caller.user.as_ref().map(Value::to_string));
        let Some(users) = self.schema().user_table() else { return Ok(shown) };
        let unknown: HashSet<&str> = found.iter().filter_map(|(line, _)| line.actor.as_deref()).collect();
        let key_type = self.schema().key_type(users.id);
        let keys: Vec<Value> = unknown
            .into_iter()
            .filter(|actor| !shown.contains(*actor))
            .filter_map(|actor| Value::parse_text(actor, key_type).ok())
            .collect();
        if keys.is_empty() {
            return Ok(shown);
        }
        let guard = Guard::new(&planning.catalog, ctx);
        let mut resolver = Resolver::new(&planning.catalog, guard, self.limits());
        let part = Part { get: Some(Vec::new()), ..Part::default() };
        let select = resolver.shown(users.id, &part, &keys)?;
        let statement = Arc::new(mainstay_sql::select(self.schema(), self.dialect, &select));
        let query = bind::query(&statement, ctx, resolver.params.values());
        let outcomes = self.store.read(vec![query], self.read_limits(ctx)).await?;
        let [Outcome::Json(rows)] = &outcomes[..] else {
            return Err(Error::internal("rows are answered as JSON"));
        };
        let text = format!("[{}]", rows.text);
        let rows: Vec<Keyed<'_>> = serde_json::from_str(&text).map_err(Error::internal)?;
        for row in rows {
            let key = Value::from_json(row.id.get(), key_type).map_err(Error::internal)?;
            shown.insert(key.to_string());
        }
        Ok(shown)
    }
}

/// The row as it stands, read as any other read does.
fn current(planning: &Planning, ctx: &Ctx, table: &Table, key: &Value) -> Result<Query, Error> {
    let fields = vec![("id".to_owned(), Field::Scalar(Raw::new(key.to_json())))];
    let part = Part { fields, get: Some(Vec::new()), ..Part::default() };
    let (prepared, params) = read::prepare(planning, ctx, &table.name, &part)?;
    Ok(bind::query(&prepared.rows, ctx, &params))
}

/// Who an administrator is in the log.
const ADMIN: &str = "admin";

#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// Says of which row a cursor is: under another one it is refused.
fn cursor_tag(table: &Table, key: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(&table.name);
    hash.update([0]);
    hash.update(key.to_string());
    hash.finalize().iter().take(TAG_LENGTH / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// The number in the log that the page stands before.
fn after(page: &HistoryPage, tag: &str) -> Result<i64, Error> {
    let Some(after) = &page.after else { return Ok(i64::MAX) };
    let values = cursor::decode(after).filter(|(of, _)| of == tag).map(|(_, values)| values);
    let seq = values.and_then(|values| serde_json::from_str::<[i64; 1]>(&values).ok());
    seq.map(|[seq]| seq).ok_or_else(|| {
        let words = "is no cursor of this history; it must be what `next` said";
        Error::at(Key::Cursor, "/after", "cursor", words)
    })
}

/// `{"at":…,"kind":…,"actor":…,"changed":[…],"row":{…}}`
fn write_item(answer: &mut EntryAnswer, line: &Line, seen: &Seen, actors: &HashSet<String>) {
    if answer.row_count > 0 {
        answer.rows.push(',');
    }
    answer.row_count += 1;
    let actor = line.actor.as_ref().filter(|actor| actors.contains(*actor));
    let actor = actor.map_or(Value::Null, |actor| Value::Text(actor.clone())).to_json();
    let at = line.at.to_json();
    answer.rows.push_str(&format!("{{\"at\":{at},\"kind\":\"{}\",\"actor\":{actor}", line.kind));
    if let Some(changed) = &seen.changed {
        let names: Vec<String> = changed.iter().map(|name| format!("\"{name}\"")).collect();
        answer.rows.push_str(&format!(",\"changed\":[{}]", names.join(",")));
    }
    answer.rows.push_str(",\"row\":{");
    for (index, (name, value)) in seen.row.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        answer.rows.push_str(&format!("{comma}\"{name}\":{}", value.to_json()));
    }
    answer.rows.push_str("}}");
}
