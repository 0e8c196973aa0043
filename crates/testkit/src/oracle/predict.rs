//! What a read must answer: the rows that the caller may read and asked for, found by looking at every one.
//!
//! Written from the language's and the protocol's pages, not from the engine: it knows rows, rules and the request's
//! JSON. [`Stop::Undecided`] is said where some expression overflows, because which ones are evaluated at all is the
//! database's choice.

mod constraint;
mod groups;
mod order;
mod overflow;
mod refuse;

pub use refuse::Refusals;

use mainstay_engine::error::Key;
use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::{Column, ColumnId, Member, Relation, Schema, Table, TableId};
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json};

use self::constraint::{holds, read};
use super::case::json_of;
use crate::naive::{Answer, Eyes, Failed, Naive, Scene};

/// Why there is no answer to foretell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is refused, with one of these keys.
    Refused(Vec<Key>),
    /// Some expression overflows.
    Undecided,
}

impl From<Failed> for Stop {
    fn from(_: Failed) -> Stop {
        Stop::Undecided
    }
}

type Predicted<T> = Result<T, Stop>;

/// Rows of a top-level read that says no `limit`.
const PAGE: usize = 100;

/// What reads must answer to one caller.
#[derive(Clone, Copy, Debug)]
pub struct Oracle<'a> {
    /// The rules, the rows and the caller.
    pub naive: Naive<'a>,
}

/// Whether a word is one of the query language and no member of a table.
pub fn is_keyword(name: &str) -> bool {
    mainstay_lang::reserved::QUERY_WORDS.contains(&name)
}

/// The objects of a member that holds one or several parts.
fn parts(json: &Json) -> Vec<&Map<String, Json>> {
    match json {
        Json::Object(part) => vec![part],
        Json::Array(items) => items.iter().filter_map(Json::as_object).collect(),
        _ => Vec::new(),
    }
}

fn texts<'j>(part: &'j Map<String, Json>, name: &str) -> Vec<&'j str> {
    match part.get(name) {
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
        Some(Json::String(text)) => vec![text],
        _ => Vec::new(),
    }
}

fn number(part: &Map<String, Json>, name: &str) -> Option<usize> {
    part.get(name).and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok())
}

const OPERATORS: [&str; 12] = ["gt", ">", "ge", ">=", "lt", "<", "le", "<=", "not", "!", "like", "~"];

/// The part that an object under a to-one relation is, unless it holds operators on its key.
pub fn nested<'j>(column: &Column, json: &'j Json) -> Option<&'j Map<String, Json>> {
    let part = json.as_object().filter(|_| column.target().is_some())?;
    let is_operators = !part.is_empty() && part.keys().all(|name| OPERATORS.contains(&name.as_str()));
    (!is_operators).then_some(part)
}

impl<'a> Oracle<'a> {
    fn schema(&self) -> &'a Schema {
        self.naive.schema
    }

    /// The answer to a document.
    ///
    /// # Errors
    /// The keys with which it must be refused, or that it cannot be foretold.
    pub fn answer(&self, request: &Json) -> Predicted<Json> {
        let refused = self.refused(request);
        if !refused.must.is_empty() {
            return Err(Stop::Refused(refused.must));
        }
        let mut answer = Map::new();
        for (name, json) in request.as_object().into_iter().flatten() {
            let table = self.schema().table_named(name).expect("looked up above");
            let mut list = Vec::new();
            for part in parts(json) {
                let all: Vec<&'a [Value]> =
                    self.naive.world.rows(table.id).iter().map(Vec::as_slice).collect();
                if part.contains_key("aggregate") {
                    list.extend(self.groups(table, part, &all)?);
                    continue;
                }
                let found = self.rows(table, part, &all)?;
                let limit = number(part, "limit").unwrap_or(PAGE);
                let shown = page(&found, number(part, "offset"), Some(limit));
                for row in &shown {
                    list.push(Json::Object(self.show(table, part, row)?));
                }
                let is_point = part.get("id").is_some_and(|id| !id.is_object() && !id.is_array());
                let more = number(part, "offset").unwrap_or(0) + shown.len() < found.len();
                let mut beside = Map::new();
                if part.get("count") == Some(&Json::Bool(true)) {
                    beside.insert("count".into(), found.len().into());
                }
                if !is_point && (more || !beside.is_empty()) {
                    beside.insert("next".into(), cursor(more));
                }
                if !beside.is_empty() {
                    answer.insert(format!("{name}@"), Json::Object(beside));
                }
            }
            answer.insert(name.clone(), list.into());
        }
        Ok(Json::Object(answer))
    }

    /// The rows among `all` that the caller may read and that the part means, in its order.
    pub fn rows(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        all: &[&'a [Value]],
    ) -> Predicted<Vec<&'a [Value]>> {
        let found = self.found(table, part, all)?;
        self.sort(table, part, found)
    }

    /// The same in any order.
    fn found(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        all: &[&'a [Value]],
    ) -> Predicted<Vec<&'a [Value]>> {
        let mut found = Vec::new();
        for row in all {
            if self.naive.readable(table.id, row)? && self.matches(table, part, row)? {
                found.push(*row);
            }
        }
        Ok(found)
    }

    /// Whether everything that a part says about its rows is true for a row that may be read.
    pub fn matches(&self, table: &Table, part: &Map<String, Json>, row: &'a [Value]) -> Predicted<bool> {
        let mut all = true;
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            let Some(member) = table.members.get(name) else {
                return Err(Stop::Refused(vec![Key::NameUnknown]));
            };
            all &= match member {
                Member::Column(id) => {
                    let column = table.column(*id);
                    match nested(column, json) {
                        Some(part) if is_required(part) => self.one(table, column, part, row)?.is_some(),
                        Some(_) => true,
                        None => self.constraint(table, column, json, row)?,
                    }
                }
                Member::Relation(id) => {
                    let relation = table.relation(*id);
                    let mut met = true;
                    for part in parts(json).into_iter().filter(|part| is_required(part)) {
                        let all = self.naive.related_readable(table.id, relation.id, row)?;
                        let target = self.schema().table(relation.target);
                        met &= !self.found(target, part, &all)?.is_empty();
                    }
                    met
                }
            };
        }
        if let Some(text) = part.get("where").and_then(Json::as_str) {
            all &= self.is_true(table.id, text, part, row)?;
        }
        Ok(all)
    }

    fn is_true(
        &self,
        table: TableId,
        text: &str,
        part: &Map<String, Json>,
        row: &'a [Value],
    ) -> Predicted<bool> {
        let Ok(filter) = compile_filter(self.schema(), table, text) else {
            return Err(Stop::Refused(vec![Key::Expression]));
        };
        let given = part.get("params");
        let params: Vec<Value> = filter
            .params
            .iter()
            .map(|(name, ty)| {
                let json = given.and_then(|given| given.get(name)).unwrap_or(&Json::Null);
                read(json, self.schema().storage_type(ty))
            })
            .collect();
        let scene =
            Scene { scopes: vec![(table, row)], old: None, new: None, params: &params, eyes: Eyes::Caller };
        Ok(self.naive.is_true_for(&filter.condition, &scene)?)
    }

    /// The row that a to-one relation leads to, as the caller sees it, when it passes the part.
    fn one(
        &self,
        table: &Table,
        column: &Column,
        part: &Map<String, Json>,
        row: &'a [Value],
    ) -> Predicted<Option<&'a [Value]>> {
        if !self.naive.column_readable(table.id, row, column.id)? {
            return Ok(None);
        }
        let target = self.schema().table(column.target().expect("only relations have parts"));
        let found = self.naive.world.row(target.id, &row[column.id.0 as usize]);
        let Some(found) = found else { return Ok(None) };
        let is_it = self.naive.readable(target.id, found)? && self.matches(target, part, found)?;
        Ok(is_it.then_some(found.as_slice()))
    }

    /// The rows of a to-many relation that the caller may read and that pass the part, in its order.
    fn many(
        &self,
        table: &Table,
        relation: &Relation,
        part: &Map<String, Json>,
        row: &'a [Value],
    ) -> Predicted<Vec<&'a [Value]>> {
        let all = self.naive.related_readable(table.id, relation.id, row)?;
        self.rows(self.schema().table(relation.target), part, &all)
    }

    /// A column's value as the caller sees it.
    fn value(&self, table: &Table, column: ColumnId, row: &'a [Value]) -> Answer {
        let seen = self.naive.column_readable(table.id, row, column)?;
        Ok(if seen { row[column.0 as usize].clone() } else { Value::Null })
    }

    fn constraint(&self, table: &Table, column: &Column, json: &Json, row: &'a [Value]) -> Predicted<bool> {
        let value = self.value(table, column.id, row)?;
        Ok(holds(&value, self.schema().storage_type(&column.ty), json) == Some(true))
    }

    /// A row as the part shows it.
    fn show(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        row: &'a [Value],
    ) -> Predicted<Map<String, Json>> {
        let mut shown = Map::new();
        shown.insert("id".into(), json_of(&row[0]));
        let own = |name: &str| part.get(name).filter(|_| !is_keyword(name));
        for name in texts(part, "get") {
            if name == "*" {
                for column in table.columns.iter().filter(|column| !column.secret && !column.hidden) {
                    self.show_column(table, column, row, &mut shown)?;
                }
                continue;
            }
            match table.members.get(name).expect("refused before") {
                Member::Column(id) => self.show_column(table, table.column(*id), row, &mut shown)?,
                Member::Relation(_) if own(name).is_some() => {}
                Member::Relation(id) => {
                    self.show_many(table, table.relation(*id), &Map::new(), row, &mut shown)?;
                }
            }
        }
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            match table.members.get(name).expect("refused before") {
                Member::Column(id) => {
                    let column = table.column(*id);
                    match nested(column, json) {
                        None => self.show_column(table, column, row, &mut shown)?,
                        Some(part) => {
                            // A part says more than the key that `get` may have put there.
                            shown.remove(name);
                            if self.naive.column_readable(table.id, row, *id)? {
                                let target = column.target().expect("only relations have parts");
                                let value = match self.one(table, column, part, row)? {
                                    None => Json::Null,
                                    Some(found) => {
                                        self.show(self.schema().table(target), part, found)?.into()
                                    }
                                };
                                shown.insert(name.clone(), value);
                            }
                        }
                    }
                }
                Member::Relation(id) => {
                    for part in parts(json) {
                        self.show_many(table, table.relation(*id), part, row, &mut shown)?;
                    }
                }
            }
        }
        Ok(shown)
    }

    fn show_column(
        &self,
        table: &Table,
        column: &Column,
        row: &'a [Value],
        shown: &mut Map<String, Json>,
    ) -> Predicted<()> {
        if self.naive.column_readable(table.id, row, column.id)? {
            shown.insert(column.name.clone(), json_of(&row[column.id.0 as usize]));
        }
        Ok(())
    }

    fn show_many(
        &self,
        table: &Table,
        relation: &Relation,
        part: &Map<String, Json>,
        row: &'a [Value],
        shown: &mut Map<String, Json>,
    ) -> Predicted<()> {
        let target = self.schema().table(relation.target);
        if part.contains_key("aggregate") {
            let all = self.naive.related_readable(table.id, relation.id, row)?;
            let groups = self.groups(target, part, &all)?;
            shown.insert(relation.name.clone(), groups.into());
            return Ok(());
        }
        let found = self.many(table, relation, part, row)?;
        let limit = number(part, "limit");
        let rows = page(&found, number(part, "offset"), limit);
        let list = rows
            .iter()
            .map(|row| Ok(self.show(target, part, row)?.into()))
            .collect::<Predicted<Vec<Json>>>()?;
        let mut beside = Map::new();
        if part.get("count") == Some(&Json::Bool(true)) {
            beside.insert("count".into(), found.len().into());
        }
        let more = number(part, "offset").unwrap_or(0) + rows.len() < found.len();
        if limit.is_some() && (more || !beside.is_empty()) {
            beside.insert("next".into(), cursor(more));
        }
        if !beside.is_empty() {
            shown.insert(format!("{}@", relation.name), beside.into());
        }
        shown.insert(relation.name.clone(), list.into());
        Ok(())
    }
}

fn is_required(part: &Map<String, Json>) -> bool {
    part.get("required") == Some(&Json::Bool(true))
}

/// A cursor is opaque: it is there or not.
fn cursor(more: bool) -> Json {
    if more { Json::from("cursor") } else { Json::Null }
}

fn page<'a>(rows: &[&'a [Value]], offset: Option<usize>, limit: Option<usize>) -> Vec<&'a [Value]> {
    rows.iter().copied().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX)).collect()
}
