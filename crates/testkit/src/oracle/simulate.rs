//! What a write must do: the request carried out on all rows in memory, every rule asked where the language says.
//!
//! Within a part, in this order: its rows are found, rows behind to-one relations are written, the rows themselves are
//! made or changed, then those behind to-many relations, and in the end deleted. Rules that look "after" wait until
//! everything nested has run, checks until everything has. What is foretold is the state afterwards, or the refusal,
//! after which nothing may have changed. Nothing here is prepared or kept: each question goes through all rows.

mod change;
mod check;
mod delete;
mod join;
mod validate;

use std::collections::BTreeSet;

use mainstay_engine::error::Key;
use mainstay_lang::schema::{Column, ColumnId, Member, Operation, Schema, Table, TableId};
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Map, Value as Json};

use super::case::json_of;
use super::predict::{Oracle, Stop, is_keyword, nested};
use crate::naive::{Added, Asker, Eyes, Naive, Of, Row, Scene, World, added};

type Predicted<T> = Result<T, Stop>;
type Part = Map<String, Json>;

/// A request while it is carried out.
#[derive(Debug)]
pub struct Simulation<'a> {
    schema: &'a Schema,
    asker: &'a Asker,
    now: Timestamp,
    start: World,
    /// The rows as they stand now.
    pub world: World,
    /// What checks and warnings say in the end.
    pub said: Said,
    /// Whether a value was another row's when it was given. Rows may swap values, so that is refused only where it stays
    /// so; where something reads the rows in between it may be refused at once.
    pub is_taken: bool,
    afters: Vec<After>,
    creating: Vec<(TableId, Value)>,
    added: Vec<Added>,
}

/// Messages of checks and warnings that are not met.
#[derive(Debug, Default)]
pub struct Said {
    /// Of checks that must have been asked: of rows that were written, or that were true before.
    pub checks: BTreeSet<String>,
    /// Of warnings likewise.
    pub warnings: BTreeSet<String>,
    /// Of checks that were not met before either, by rows that were not written: whether somebody asks is open.
    pub open_checks: BTreeSet<String>,
    /// Of warnings likewise.
    pub open_warnings: BTreeSet<String>,
}

/// A rule to be asked once everything nested has run.
#[derive(Debug)]
struct After {
    table: TableId,
    old: Row,
    named: Vec<ColumnId>,
    is_new: bool,
}

/// Which rows a part may find, and how many.
#[derive(Clone, Debug)]
struct Place {
    among: Among,
    /// Whether its rows are for a relation, so that one that is not there is refused.
    is_relation: bool,
    /// Exactly one.
    one: bool,
    /// The column of a new row that refers to the row around it.
    given: Option<(ColumnId, Value)>,
}

#[derive(Clone, Debug)]
enum Among {
    All,
    Keys(Vec<Value>),
    /// Rows whose column refers to the row of a key, as far as the caller sees that.
    Column(ColumnId, Value),
}

impl Place {
    /// Any rows of the table.
    fn top() -> Place {
        Place { among: Among::All, is_relation: false, one: false, given: None }
    }

    /// Rows for a relation.
    fn linked() -> Place {
        Place { is_relation: true, ..Place::top() }
    }

    /// The one row for a relation.
    fn linked_one() -> Place {
        Place { one: true, ..Place::linked() }
    }
}

fn refused(key: Key) -> Stop {
    Stop::Refused(vec![key])
}

/// The parts that a member holds; a scalar is the key of a row.
fn row_parts(json: &Json) -> Vec<Part> {
    match json {
        Json::Object(part) => vec![part.clone()],
        Json::Array(items) => items.iter().flat_map(row_parts).collect(),
        Json::Null => Vec::new(),
        key => vec![[("id".to_owned(), key.clone())].into_iter().collect()],
    }
}

/// Whether a part, or one nested in it, writes.
pub(super) fn writes(json: &Json) -> bool {
    match json {
        Json::Object(members) => members.iter().any(|(name, member)| {
            matches!(name.as_str(), "create" | "set" | "delete" | "add" | "remove") || writes(member)
        }),
        Json::Array(items) => items.iter().any(writes),
        _ => false,
    }
}

impl<'a> Simulation<'a> {
    /// Before anything has happened.
    pub fn new(schema: &'a Schema, asker: &'a Asker, now: Timestamp, world: World) -> Simulation<'a> {
        let start = world.clone();
        let added = added::read(schema, &world);
        let (afters, creating) = (Vec::new(), Vec::new());
        Simulation {
            schema,
            asker,
            now,
            start,
            world,
            said: Said::default(),
            is_taken: false,
            afters,
            creating,
            added,
        }
    }

    /// Carries out a document.
    ///
    /// # Errors
    /// The key with which it must be refused, or that it cannot be foretold. When checks or warnings refuse it, the rows
    /// stand as they would if nobody minded.
    pub fn run(&mut self, request: &Json) -> Predicted<()> {
        let mut parts: Vec<(&'a Table, Part)> = Vec::new();
        for (name, json) in request.as_object().into_iter().flatten() {
            let table = self.schema.table_named(name).ok_or_else(|| refused(Key::NameUnknown))?;
            parts.extend(row_parts(json).into_iter().map(|part| (table, part)));
        }
        let mut is_invalid = false;
        for (table, part) in &parts {
            is_invalid |= !self.is_valid(table, part, None)?;
        }
        if is_invalid {
            return Err(refused(Key::Invalid));
        }
        for (table, part) in &parts {
            self.step(table, part, Place::top())?;
        }
        let checked = self.check();
        let stays_taken = self.is_taken
            && self
                .schema
                .tables
                .iter()
                .any(|table| self.world.rows(table.id).iter().any(|row| self.collides(table.id, row)));
        match checked {
            Ok(()) if stays_taken => Err(refused(Key::Unique)),
            Err(Stop::Refused(mut keys)) if stays_taken => {
                keys.push(Key::Unique);
                Err(Stop::Refused(keys))
            }
            checked => checked,
        }
    }

    fn naive(&self) -> Naive<'_> {
        Naive {
            schema: self.schema,
            world: &self.world,
            at_start: &self.start,
            asker: self.asker,
            now: self.now,
            added: &self.added,
        }
    }

    /// One part with all that is nested in it; the keys of its rows.
    fn step(&mut self, table: &'a Table, part: &Part, place: Place) -> Predicted<Vec<Value>> {
        let outer = std::mem::take(&mut self.afters);
        let keys = match part.contains_key("create") {
            true => vec![self.create(table, part, place.given)?],
            false => self.change(table, part, &place)?,
        };
        self.ask_afters()?;
        self.afters = outer;
        if part.contains_key("delete") {
            self.delete(table, &keys)?;
        }
        Ok(keys)
    }

    /// Rows that are found, and everything that happens to them short of their deletion.
    fn change(&mut self, table: &'a Table, part: &Part, place: &Place) -> Predicted<Vec<Value>> {
        let keys = self.found(table, part, place)?;
        if let Some(version) = part.get("if_updated")
            && let Some(updated) = table.updated
            && keys.iter().any(|key| json_of(&self.row(table.id, key)[updated.0 as usize]) != *version)
        {
            return Err(refused(Key::Version));
        }
        for (column, named) in self.ones(table, part).filter(|(_, named)| !named.contains_key("create")) {
            for key in &keys {
                let Some(row) = self.world.row(table.id, key).cloned() else { continue };
                let to = row[column.id.0 as usize].clone();
                // A reference that the caller may not read leads nowhere.
                if !to.is_null() && self.naive().column_readable(table.id, &row, column.id)? {
                    let target = self.schema.table(column.target().expect("a relation"));
                    let among = Among::Keys(vec![to]);
                    self.step(target, &named, Place { among, ..Place::top() })?;
                }
            }
        }
        let mut set = part.get("set").and_then(Json::as_object).cloned().unwrap_or_default();
        let made = self.ones(table, part).filter(|(_, named)| named.contains_key("create"));
        set.extend(made.map(|(column, named)| (column.name.clone(), named.into())));
        let columns = self.columns_of(table, &set);
        if !columns.is_empty() && !keys.is_empty() {
            let assigned = self.assigned(table, &columns)?;
            for key in keys.iter() {
                if self.world.row(table.id, key).is_some() {
                    self.set(table, key, &assigned)?;
                }
            }
        }
        self.replaced(table, part, &keys)?;
        self.lists(table, part, &keys, false)?;
        Ok(keys)
    }

    /// Parts under to-one relations that write.
    fn ones(&self, table: &'a Table, part: &Part) -> impl Iterator<Item = (&'a Column, Part)> + use<'a> {
        let ones: Vec<_> = part
            .iter()
            .filter(|(name, _)| !is_keyword(name))
            .filter_map(|(name, json)| {
                let column = table.column_named(name)?;
                nested(column, json).filter(|_| writes(json)).map(|part| (column, part.clone()))
            })
            .collect();
        ones.into_iter()
    }

    /// The members that are columns.
    fn columns_of(&self, table: &Table, part: &Part) -> Part {
        let is_column =
            |name: &str| !is_keyword(name) && matches!(table.members.get(name), Some(Member::Column(_)));
        let members = part.iter().filter(|(name, _)| is_column(name));
        members.map(|(name, json)| (name.clone(), json.clone())).collect()
    }

    /// Keys of the rows that a part finds.
    fn found(&self, table: &Table, part: &Part, place: &Place) -> Predicted<Vec<Value>> {
        let oracle = Oracle { naive: self.naive() };
        let mut keys = Vec::new();
        for row in self.world.rows(table.id) {
            let is_among = match &place.among {
                Among::All => true,
                Among::Keys(keys) => keys.contains(&row[0]),
                Among::Column(column, key) => {
                    row[column.0 as usize] == *key && oracle.naive.column_readable(table.id, row, *column)?
                }
            };
            if is_among && oracle.naive.readable(table.id, row)? && oracle.matches(table, part, row)? {
                keys.push(row[0].clone());
            }
        }
        keys.sort_by_key(Value::to_json);
        if keys.is_empty() && place.is_relation && is_key_alone(table, part) {
            return Err(refused(Key::RelationRefused));
        }
        if place.one && keys.len() != 1 {
            return Err(refused(Key::NotOne));
        }
        Ok(keys)
    }

    fn require_readable(&self, table: TableId, key: &Value) -> Predicted<()> {
        match self.world.row(table, key) {
            Some(row) if self.naive().readable(table, row)? => Ok(()),
            _ => Err(refused(Key::RelationRefused)),
        }
    }

    fn row(&self, table: TableId, key: &Value) -> Row {
        self.world.row(table, key).expect("the row is there").clone()
    }

    /// The rule of an operation on a row, and those of the columns named.
    fn require(
        &self,
        table: TableId,
        operation: Operation,
        named: &[ColumnId],
        row: &Row,
        (old, new): (Option<&Row>, Option<&Row>),
    ) -> Predicted<()> {
        let naive = self.naive();
        let declared = self.schema.table(table);
        let scene = Scene {
            scopes: vec![(table, row.as_slice())],
            old: old.map(Vec::as_slice),
            new: new.map(Vec::as_slice),
            params: &[],
            eyes: Eyes::All,
        };
        let rules = declared.rules_of(operation, None).filter(|rule| rule.relations.is_empty());
        let mut allowed =
            naive.ruled((table, operation, Of::Rows), rules, &scene)? && naive.is_in_tenant(table, row);
        for column in named {
            let rules = declared.rules_of(operation, Some(*column));
            allowed &= naive.ruled((table, operation, Of::Column(*column)), rules, &scene)?;
        }
        if allowed { Ok(()) } else { Err(refused(Key::Forbidden)) }
    }

    fn ask_afters(&mut self) -> Predicted<()> {
        for after in std::mem::take(&mut self.afters) {
            let Some(row) = self.world.row(after.table, &after.old[0]).cloned() else { continue };
            let (operation, old) = match after.is_new {
                true => (Operation::Create, None),
                false => (Operation::Update, Some(&after.old)),
            };
            self.require(after.table, operation, &after.named, &row, (old, Some(&row)))?;
            if after.is_new {
                self.creating.retain(|place| *place != (after.table, row[0].clone()));
            }
        }
        Ok(())
    }
}

/// Whether a part says which row it means by its key and nothing else.
fn is_key_alone(table: &Table, part: &Part) -> bool {
    let is_constraint = |(name, json): &(&String, &Json)| match table.column_named(name) {
        _ if *name == "where" => true,
        _ if is_keyword(name) => false,
        Some(column) if nested(column, json).is_some() => is_required(json),
        Some(_) => true,
        None => match json {
            Json::Array(items) => items.iter().any(is_required),
            json => is_required(json),
        },
    };
    let constraints: Vec<_> = part.iter().filter(is_constraint).collect();
    matches!(constraints.as_slice(), [(name, Json::String(_))] if *name == "id")
}

fn is_required(json: &Json) -> bool {
    json.get("required") == Some(&Json::Bool(true))
}
