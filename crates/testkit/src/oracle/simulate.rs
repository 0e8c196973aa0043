//! What a write must do: the request carried out on all rows in memory, every rule asked where the language says.
//!
//! It knows a family of requests, those that [`super::request`] makes: creating rows, changing and deleting found ones,
//! and adding to and taking out of relations by key. What is foretold is the state afterwards, or the refusal, after
//! which nothing may have changed.

use mainstay_engine::error::Key;
use mainstay_lang::expr::Node;
use mainstay_lang::ops::OpError;
use mainstay_lang::schema::{
    Column, ColumnId, Member, OnDelete, Operation, Relation, RelationId, RelationKind, Schema, Table, TableId,
};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Map, Value as Json};

use super::predict::{Oracle, Stop, is_keyword};
use crate::naive::{Asker, Eyes, Naive, Row, Scene, World};

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
    afters: Vec<After>,
    creating: Vec<(TableId, Value)>,
}

/// A rule to be asked once everything nested has run.
#[derive(Debug)]
struct After {
    table: TableId,
    old: Row,
    named: Vec<ColumnId>,
    is_new: bool,
}

fn refused(key: Key) -> Stop {
    Stop::Refused(vec![key])
}

fn objects(json: &Json) -> Vec<&Part> {
    match json {
        Json::Object(part) => vec![part],
        Json::Array(items) => items.iter().filter_map(Json::as_object).collect(),
        _ => Vec::new(),
    }
}

impl<'a> Simulation<'a> {
    /// Before anything has happened.
    pub fn new(schema: &'a Schema, asker: &'a Asker, now: Timestamp, world: World) -> Simulation<'a> {
        let start = world.clone();
        Simulation { schema, asker, now, start, world, afters: Vec::new(), creating: Vec::new() }
    }

    /// Carries out a document.
    ///
    /// # Errors
    /// The key with which it must be refused, or that it cannot be foretold.
    pub fn run(&mut self, request: &Json) -> Predicted<()> {
        let entries = || request.as_object().into_iter().flatten();
        for (name, json) in entries() {
            let table = self.schema.table_named(name).ok_or_else(|| refused(Key::NameUnknown))?;
            objects(json).iter().try_for_each(|part| validate(table, part))?;
        }
        for (name, json) in entries() {
            let table = self.schema.table_named(name).ok_or_else(|| refused(Key::NameUnknown))?;
            for part in objects(json) {
                self.part(table, part)?;
            }
        }
        Ok(())
    }

    fn naive(&self) -> Naive<'_> {
        Naive {
            schema: self.schema,
            world: &self.world,
            at_start: &self.start,
            asker: self.asker,
            now: self.now,
        }
    }

    fn part(&mut self, table: &Table, part: &Part) -> Predicted<()> {
        if part.contains_key("create") {
            self.create(table, part)?;
            return self.ask_afters();
        }
        let keys = self.found(table, part)?;
        if let Some(set) = part.get("set").and_then(Json::as_object)
            && !keys.is_empty()
        {
            let assigned = self.assigned(table, set)?;
            for key in &keys {
                self.set(table, key, set, &assigned)?;
            }
        }
        self.lists(table, part, &keys)?;
        self.ask_afters()?;
        if part.contains_key("delete") {
            self.delete(table, &keys)?;
        }
        Ok(())
    }

    /// Keys of the rows that a part finds.
    fn found(&self, table: &Table, part: &Part) -> Predicted<Vec<Value>> {
        let oracle = Oracle { naive: self.naive() };
        let own: Part = part
            .iter()
            .filter(|(name, _)| *name == "where" || *name == "params" || self.is_constraint(table, name))
            .map(|(name, json)| (name.clone(), json.clone()))
            .collect();
        let mut keys = Vec::new();
        for row in self.world.rows(table.id) {
            if oracle.naive.readable(table.id, row)? && oracle.matches(table, &own, row)? {
                keys.push(row[0].clone());
            }
        }
        keys.sort_by_key(Value::to_json);
        Ok(keys)
    }

    fn is_constraint(&self, table: &Table, name: &str) -> bool {
        !is_keyword(name) && matches!(table.members.get(name), Some(Member::Column(_)))
    }

    /// The values of columns; what they refer to must be there for the caller.
    fn assigned(&self, table: &Table, given: &Part) -> Predicted<Vec<(ColumnId, Json)>> {
        let mut assigned = Vec::new();
        for (name, json) in given {
            let Some(column) = table.column_named(name) else { continue };
            if let (Some(target), false) = (column.target(), json.is_null()) {
                let key = self.value(column, json)?;
                self.require_readable(target, &key)?;
            }
            assigned.push((column.id, json.clone()));
        }
        Ok(assigned)
    }

    fn require_readable(&self, table: TableId, key: &Value) -> Predicted<()> {
        match self.world.row(table, key) {
            Some(row) if self.naive().readable(table, row)? => Ok(()),
            _ => Err(refused(Key::RelationRefused)),
        }
    }

    /// Requests are made with values that fit.
    fn value(&self, column: &Column, json: &Json) -> Predicted<Value> {
        let ty = self.schema.storage_type(&column.ty);
        if json.is_null() {
            return Ok(Value::Null);
        }
        Value::from_json(&json.to_string(), ty).map_err(|_| Stop::Undecided)
    }

    fn create(&mut self, table: &Table, part: &Part) -> Predicted<()> {
        let columns: Part =
            part.iter().filter(|(name, _)| self.is_constraint(table, name)).map(owned).collect();
        let assigned = self.assigned(table, &columns)?;
        let mut row: Row = vec![Value::Null; table.columns.len()];
        let mut named = Vec::new();
        for (id, json) in &assigned {
            row[id.0 as usize] = self.value(table.column(*id), json)?;
            named.push(*id);
        }
        row[1] = Value::Timestamp(self.now);
        row[2] = Value::Timestamp(self.now);
        for column in table.columns.iter().filter(|column| !named.contains(&column.id)) {
            if let Some(default) = &column.default {
                row[column.id.0 as usize] = match &default.node {
                    Node::Literal(value) => value.clone(),
                    Node::Clock(_) => Value::Timestamp(self.now),
                    other => panic!("{other:?} is no default that is made here"),
                };
            }
        }
        let key = row[0].clone();
        if key.is_null() {
            // The server gives one that nobody can foretell.
            return Err(Stop::Undecided);
        }
        if self.world.row(table.id, &key).is_some() {
            return Err(refused(Key::Unique));
        }
        self.world.tables[table.id.0 as usize].push(row.clone());
        self.afters.push(After { table: table.id, old: row, named, is_new: true });
        self.creating.push((table.id, key.clone()));
        self.lists(table, part, &[key])
    }

    fn row(&self, table: TableId, key: &Value) -> Row {
        self.world.row(table, key).expect("the row is there").clone()
    }

    fn put(&mut self, table: TableId, row: Row) {
        let rows = &mut self.world.tables[table.0 as usize];
        let held = rows.iter_mut().find(|held| held[0] == row[0]).expect("the row is there");
        *held = row;
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
        let mut allowed = naive.any_rule_for(rules, &scene)?;
        for column in named.iter().filter(|column| declared.is_guarded(operation, **column)) {
            allowed &= naive.any_rule_for(declared.rules_of(operation, Some(*column)), &scene)?;
        }
        if allowed { Ok(()) } else { Err(refused(Key::Forbidden)) }
    }

    fn set(
        &mut self,
        table: &Table,
        key: &Value,
        set: &Part,
        assigned: &[(ColumnId, Json)],
    ) -> Predicted<()> {
        let current = self.row(table.id, key);
        let mut changes = Vec::new();
        for (id, json) in assigned {
            let column = table.column(*id);
            let value = match set[&column.name].get("$add") {
                Some(operand) => add(&current[id.0 as usize], &self.value(column, operand)?, &column.ty)?,
                None => self.value(column, json)?,
            };
            if value.is_null() && !column.nullable {
                return Err(refused(Key::Invalid));
            }
            changes.push((*id, value));
        }
        self.update(table.id, &current, changes)
    }

    fn update(&mut self, table: TableId, current: &Row, changes: Vec<(ColumnId, Value)>) -> Predicted<()> {
        let next = self.changed(current, &changes);
        let named: Vec<ColumnId> = changes.iter().map(|(column, _)| *column).collect();
        self.require(table, Operation::Update, &named, current, (Some(current), Some(&next)))?;
        self.put(table, next);
        self.afters.push(After { table, old: current.clone(), named, is_new: false });
        Ok(())
    }

    fn changed(&self, current: &Row, changes: &[(ColumnId, Value)]) -> Row {
        let mut next = current.clone();
        for (column, value) in changes {
            next[column.0 as usize] = value.clone();
        }
        if next != *current {
            let Value::Timestamp(last) = current[2] else { panic!("`updated` is a timestamp") };
            next[2] = Value::Timestamp(Timestamp(self.now.0.max(last.0 + 1)));
        }
        next
    }

    fn ask_afters(&mut self) -> Predicted<()> {
        for after in std::mem::take(&mut self.afters) {
            let Some(row) = self.world.row(after.table, &after.old[0]).cloned() else { continue };
            let (operation, old) = match after.is_new {
                true => (Operation::Create, None),
                false => (Operation::Update, Some(&after.old)),
            };
            self.require(after.table, operation, &after.named, &row, (old, Some(&row)))?;
        }
        self.creating.clear();
        Ok(())
    }

    /// `add` and `remove` under the relations of rows.
    fn lists(&mut self, table: &Table, part: &Part, keys: &[Value]) -> Predicted<()> {
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            let Some(Member::Relation(id)) = table.members.get(name) else { continue };
            let relation = table.relation(*id);
            for word in ["add", "remove"] {
                for named in json.get(word).map(objects).unwrap_or_default() {
                    for key in keys {
                        let row = self.row(table.id, key);
                        let id = named.get("id").ok_or(Stop::Undecided)?;
                        let target = self.value(&self.schema.table(relation.target).columns[0], id)?;
                        self.require_readable(relation.target, &target)?;
                        self.join(table, relation, &row, &target, word == "add")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn join(
        &mut self,
        table: &Table,
        relation: &Relation,
        row: &Row,
        target: &Value,
        adds: bool,
    ) -> Predicted<()> {
        match &relation.kind {
            RelationKind::Reverse { column } => {
                let child = self.row(relation.target, target);
                let declared = self.schema.table(relation.target).column(*column);
                let held = &child[column.0 as usize];
                let value = if adds { row[0].clone() } else { Value::Null };
                if *held == value || (!adds && *held != row[0]) {
                    return Ok(());
                }
                if value.is_null() && !declared.nullable {
                    return Err(refused(Key::Invalid));
                }
                let outer = std::mem::take(&mut self.afters);
                self.update(relation.target, &child, vec![(*column, value)])?;
                let creating = self.creating.clone();
                self.ask_afters()?;
                (self.afters, self.creating) = (outer, creating);
                Ok(())
            }
            RelationKind::Link(link) => {
                self.may_link(table.id, relation.id, row, adds)?;
                self.link(&link.db_name, (row[0].clone(), target.clone()), adds);
                Ok(())
            }
            RelationKind::LinkReverse { relation: declared, link } => {
                let owner = self.row(relation.target, target);
                self.may_link(relation.target, *declared, &owner, adds)?;
                self.link(&link.db_name, (target.clone(), row[0].clone()), adds);
                Ok(())
            }
        }
    }

    /// The rule of linking, or else that of changing the row that declares the relation.
    fn may_link(&mut self, table: TableId, relation: RelationId, row: &Row, adds: bool) -> Predicted<()> {
        let operation = if adds { Operation::Link } else { Operation::Unlink };
        let declared = self.schema.table(table);
        let speaks = |rule: &&mainstay_lang::schema::Rule| {
            rule.operations.contains(&operation)
                && (rule.relations.is_empty() || rule.relations.contains(&relation))
        };
        let scene = Scene::of(table, row, Eyes::All);
        if declared.rules.iter().any(|rule| speaks(&rule)) {
            let allowed = self.naive().any_rule_for(declared.rules.iter().filter(speaks), &scene)?;
            return if allowed { Ok(()) } else { Err(refused(Key::Forbidden)) };
        }
        if self.asker.admin || self.creating.contains(&(table, row[0].clone())) {
            return Ok(());
        }
        self.require(table, Operation::Update, &[], row, (Some(row), Some(row)))?;
        self.afters.push(After { table, old: row.clone(), named: Vec::new(), is_new: false });
        Ok(())
    }

    fn link(&mut self, name: &str, pair: (Value, Value), adds: bool) {
        let pairs = self.world.links.entry(name.to_owned()).or_default();
        pairs.retain(|held| *held != pair);
        if adds {
            pairs.push(pair);
        }
    }

    fn delete(&mut self, table: &Table, keys: &[Value]) -> Predicted<()> {
        let mut doomed: Vec<(TableId, Value)> = Vec::new();
        for key in keys {
            let Some(row) = self.world.row(table.id, key).cloned() else { continue };
            self.require(table.id, Operation::Delete, &[], &row, (Some(&row), None))?;
            doomed.push((table.id, key.clone()));
        }
        let schema = self.schema;
        let references = || {
            schema.tables.iter().flat_map(|table| {
                table.columns.iter().filter_map(move |column| Some((table, column, column.target()?)))
            })
        };
        let mut next = 0;
        while let Some((to, key)) = doomed.get(next).cloned() {
            next += 1;
            for (from, column, _) in references()
                .filter(|(_, column, target)| *target == to && column.on_delete == OnDelete::Cascade)
            {
                for row in self.world.rows(from.id) {
                    let place = (from.id, row[0].clone());
                    if row[column.id.0 as usize] == key && !doomed.contains(&place) {
                        doomed.push(place);
                    }
                }
            }
        }
        for (from, column, to) in references() {
            for row in self.world.rows(from.id).to_vec() {
                let held = row[column.id.0 as usize].clone();
                if !doomed.contains(&(to, held)) || doomed.contains(&(from.id, row[0].clone())) {
                    continue;
                }
                if column.on_delete == OnDelete::Restrict {
                    return Err(refused(Key::DeleteRestricted));
                }
                let next = self.changed(&self.row(from.id, &row[0]), &[(column.id, Value::Null)]);
                self.put(from.id, next);
            }
        }
        for table in &schema.tables {
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                if let Some(pairs) = self.world.links.get_mut(&link.db_name) {
                    pairs.retain(|(owner, target)| {
                        !doomed.contains(&(table.id, owner.clone()))
                            && !doomed.contains(&(relation.target, target.clone()))
                    });
                }
            }
            let rows = &mut self.world.tables[table.id.0 as usize];
            rows.retain(|row| !doomed.contains(&(table.id, row[0].clone())));
        }
        Ok(())
    }
}

/// What is wrong with the values of a part, whatever rows there are.
fn validate(table: &Table, part: &Part) -> Predicted<()> {
    let is_null = |given: &Part, column: &Column| given.get(&column.name) == Some(&Json::Null);
    let required = table.columns.iter().filter(|column| !column.nullable && column.id.0 > 2);
    let wrong = match part.get("set").and_then(Json::as_object) {
        Some(set) => required.clone().any(|column| is_null(set, column)),
        None if part.contains_key("create") => required.clone().any(|column| {
            is_null(part, column) || (column.default.is_none() && !part.contains_key(&column.name))
        }),
        None => false,
    };
    if wrong { Err(refused(Key::Invalid)) } else { Ok(()) }
}

fn owned((name, json): (&String, &Json)) -> (String, Json) {
    (name.clone(), json.clone())
}

/// `$add` to an int; with null it is null.
fn add(held: &Value, operand: &Value, ty: &Type) -> Predicted<Value> {
    let overflow = |_: Option<OpError>| refused(Key::Invalid);
    match (held, operand, ty) {
        (Value::Null, ..) | (_, Value::Null, _) => Ok(Value::Null),
        (Value::Int(a), Value::Int(b), _) => a.checked_add(*b).map(Value::Int).ok_or_else(|| overflow(None)),
        other => panic!("{other:?} are not added here"),
    }
}
