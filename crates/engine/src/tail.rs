//! Following the change log: where it stands, and the lines behind a place in it.
//!
//! For those who tell others what has changed. Lines are whole images, past every rule: whoever is given them decides for
//! each caller anew, by [`crate::guard::Guard`]'s conditions, what may be told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::schema::{RelationId, RelationKind, TableId};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{Outcome, Query, ReadLimits};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::engine::{Engine, no_log};
use crate::error::Error;
use crate::history::{Image, prune};

/// How long the log may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A place in the change log that has everything that is seen beside it in one snapshot behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(Arc<str>);

impl Position {
    /// A position from its text, which must have been one of this database.
    pub fn of(text: &str) -> Position {
        Position(text.into())
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What has happened to a row.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// It was made, changed or deleted; an update of which nothing is known has neither image.
    Row {
        /// As it was; none: it is new.
        before: Option<Image>,
        /// As it is; none: it is gone.
        after: Option<Image>,
    },
    /// A target was added to one of its relations or taken from it.
    Link {
        /// The relation, which its table declares.
        relation: RelationId,
        /// The key of the target.
        target: Value,
    },
}

/// A line of the change log about a table that the app has.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number: later lines of one row have larger ones.
    pub seq: i64,
    /// Its transaction.
    pub tx: i64,
    /// The clock of the request that wrote it.
    pub at: Timestamp,
    /// The table.
    pub table: TableId,
    /// The key of the row.
    pub key: Value,
    /// What has happened.
    pub kind: ChangeKind,
}

/// Some lines of the log between two positions.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The position that they end at, if there are no [`more`](Tail::more).
    pub to: Position,
    /// The lines in order; those of tables that the app does not have are left out.
    pub changes: Vec<Change>,
    /// The number behind which the next lines stand, when there may be some.
    pub more: Option<i64>,
}

impl Engine {
    /// Grows whenever this process has committed something, and whenever others were found to have.
    pub fn commits(&self) -> (watch::Receiver<u64>, watch::Receiver<u64>) {
        (self.store.commits(), self.store.foreign_changes())
    }

    /// Where the change log stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn position(&self) -> Result<Position, Error> {
        if !self.keeps_log() {
            return Err(no_log("be subscribed to"));
        }
        let outcomes = self.store.read(vec![self.position_query()], limits()).await?;
        position(outcomes.into_iter().next())
    }

    /// At most `count` lines between two positions (the second one absent: now), of those with a number greater than `behind`: 0, or
    /// what the lines before had as [`more`](Tail::more).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tail(
        &self,
        from: &Position,
        to: Option<&Position>,
        behind: i64,
        count: usize,
    ) -> Result<Tail, Error> {
        let text = |position: &Position| Value::Text(position.text().to_owned());
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut values = vec![text(from), to.map_or(Value::Null, text)];
        let statement = match behind {
            0 => &self.log.tail,
            _ => {
                values.push(Value::Int(behind));
                &self.log.tail_next
            }
        };
        values.push(Value::Int(count));
        let tail = Query { statement: statement.clone(), values };
        let mut outcomes = self.store.read(vec![self.position_query(), tail], limits()).await?.into_iter();
        let now = position(outcomes.next())?;
        let Some(Outcome::Values(rows)) = outcomes.next() else {
            return Err(Error::internal("the change log answers values"));
        };
        let last = rows.last().and_then(|row| match row.first() {
            Some(Value::Int(seq)) => Some(*seq),
            _ => None,
        });
        let more = last.filter(|_| rows.len() as i64 >= count);
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            changes.extend(self.change(row)?);
        }
        Ok(Tail { to: to.cloned().unwrap_or(now), changes, more })
    }

    /// Whether a change is among those that a position has behind it.
    pub fn is_behind(&self, change: &Change, position: &Position) -> bool {
        (self.dialect.change_log().holds)(position.text(), change.tx, change.seq).unwrap_or(false)
    }

    /// Whether a position can have been one of this database by the time of another.
    pub fn is_reached(&self, position: &Position, now: &Position) -> bool {
        let progress = self.dialect.change_log().progress;
        match (progress(position.text()), progress(now.text())) {
            (Some(then), Some(now)) => then <= now,
            _ => false,
        }
    }

    /// The oldest time of which a table's changes are kept.
    pub fn oldest_change(&self, table: TableId, now: Timestamp) -> Timestamp {
        prune::oldest_kept(Some(self.schema().table(table)), now)
    }

    /// The rows whose callers a change may change, by table and key: the row itself, that of the user whose it is, and without a key
    /// that of everybody who was read from such a table.
    pub fn callers_touched(&self, change: &Change) -> Vec<(TableId, Value)> {
        let known = self.planning_known();
        let Some(owner) = known.callers.tables().get(change.table) else { return Vec::new() };
        let mut rows = vec![(change.table, change.key.clone())];
        match (owner, self.schema().user_table()) {
            (Some(owner), Some(users)) if users.id != change.table => {
                if let ChangeKind::Row { before, after } = &change.kind {
                    let images = before.iter().chain(after);
                    rows.extend(images.map(|image| (users.id, image.values[owner.0 as usize].clone())));
                }
            }
            _ => rows.push((change.table, Value::Null)),
        }
        rows
    }

    pub(crate) fn position_query(&self) -> Query {
        Query { statement: self.log.position.clone(), values: Vec::new() }
    }

    fn change(&self, row: Vec<Value>) -> Result<Option<Change>, Error> {
        let unreadable = || Error::internal("a line of the change log cannot be read");
        let [seq, tx, at, table, key, kind, before, after, ..] =
            <[Value; 10]>::try_from(row).map_err(|_| unreadable())?;
        let (Value::Int(seq), Value::Int(tx), Value::Timestamp(at)) = (seq, tx, at) else {
            return Err(unreadable());
        };
        let (Value::Text(table), Value::Text(key), Value::Text(kind)) = (table, key, kind) else {
            return Err(unreadable());
        };
        let schema = self.schema();
        let Some(table) = schema.table_named(&table) else { return Ok(None) };
        let Ok(key) = Value::parse_text(&key, schema.key_type(table.id)) else { return Ok(None) };
        let is_link = kind == "link" || kind == "unlink";
        let kind = if is_link {
            let json = if kind == "link" { after } else { before };
            let Value::Json(json) = json else { return Err(unreadable()) };
            let Json::Object(members) = serde_json::from_str(&json).map_err(Error::internal)? else {
                return Err(unreadable());
            };
            let Some((name, target)) = members.into_iter().next() else { return Err(unreadable()) };
            let declared = table.relation_named(&name);
            let Some(relation) = declared.filter(|relation| matches!(relation.kind, RelationKind::Link(_)))
            else {
                return Ok(None);
            };
            let ty = schema.key_type(relation.target);
            let Ok(target) = Value::from_json(&target.to_string(), ty) else { return Ok(None) };
            ChangeKind::Link { relation: relation.id, target }
        } else {
            let image = |json: Value| match json {
                Value::Json(text) => Image::read(schema, table, &text).map(Some),
                _ => Ok(None),
            };
            ChangeKind::Row { before: image(before)?, after: image(after)? }
        };
        Ok(Some(Change { seq, tx, at, table: table.id, key, kind }))
    }
}

pub(crate) fn position(outcome: Option<Outcome>) -> Result<Position, Error> {
    match outcome {
        Some(Outcome::Values(rows)) => match rows.into_iter().flatten().next() {
            Some(Value::Text(text)) => Ok(Position(text.into())),
            _ => Err(Error::internal("a position is a text")),
        },
        _ => Err(Error::internal("a position is a value")),
    }
}

fn limits() -> ReadLimits {
    ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT }
}
