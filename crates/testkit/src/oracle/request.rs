//! Random requests along a schema: reads of every form, and writes.

use mainstay_lang::filter::{compile_aggregate, compile_filter, compile_value};
use mainstay_lang::schema::{Column, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::case::json_of;
use super::model::Doc;
use crate::author::{Author, Place, key_text};
use crate::dice::Dice;
use crate::naive::World;
use crate::rows;

/// A maker of requests.
#[derive(Debug)]
pub struct Requests<'a> {
    /// The app.
    pub schema: &'a Schema,
    /// Its rows: constraints mostly name values that are there.
    pub world: &'a World,
    /// The choices.
    pub dice: &'a mut Dice,
    /// Whether values at the ends of their types are named.
    pub extremes: bool,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Top,
    ToOne,
    ToMany,
}

/// How deep parts are nested.
const DEPTH: usize = 3;

type Members = Vec<(String, Doc)>;

fn json_doc(json: impl Into<Json>) -> Doc {
    Doc::Json(json.into())
}

impl<'a> Requests<'a> {
    /// A document that reads one or two tables.
    pub fn read(&mut self) -> Doc {
        let mut members: Members = Vec::new();
        for _ in 0..1 + usize::from(self.dice.one_in(6)) {
            let table = self.some_table();
            if !members.iter().any(|(name, _)| *name == table.name) {
                let part = self.part(table, At::Top, DEPTH);
                members.push((table.name.clone(), part));
            }
        }
        Doc::Object(members)
    }

    /// A document that writes one or two tables.
    pub fn write(&mut self) -> Doc {
        let mut members: Members = Vec::new();
        for _ in 0..1 + usize::from(self.dice.one_in(5)) {
            let table = self.some_table();
            let part = match self.dice.below(8) {
                0..3 => self.creation(table),
                3..5 => self.change(table),
                5 => self.deletion(table),
                _ => self.joining(table),
            };
            put(&mut members, &table.name, part);
        }
        Doc::Object(members)
    }

    fn creation(&mut self, table: &'a Table) -> Doc {
        let part = self.new_row(table);
        if self.dice.one_in(6) { Doc::Array(vec![part, self.new_row(table)]) } else { part }
    }

    fn new_row(&mut self, table: &'a Table) -> Doc {
        let number = 100 + self.dice.below(900);
        let mut members: Members =
            vec![("create".into(), json_doc(true)), ("id".into(), json_doc(key_text(number)))];
        if table.platform {
            put(&mut members, "email", json_doc(format!("new{number}@example.org")));
            put(&mut members, "name", json_doc("New"));
        }
        for column in table.columns.iter().filter(|column| is_free(table, column)) {
            let must = !column.nullable && column.default.is_none();
            if must && !self.dice.one_in(12) || self.dice.one_in(2) {
                let value = self.new_value(table, column);
                put(&mut members, &column.name, Doc::Json(value));
            }
        }
        if self.dice.one_in(4) {
            self.join(table, &mut members, &["add"]);
        }
        self.shown(table, &mut members);
        Doc::Object(members)
    }

    fn shown(&mut self, table: &'a Table, members: &mut Members) {
        if self.dice.one_in(3) {
            let columns: Vec<&Column> = table.columns.iter().filter(|column| !column.secret).collect();
            let name = &columns[self.dice.below(columns.len())].name;
            put(members, "get", Doc::Array(vec![json_doc(name.as_str())]));
        }
    }

    fn new_value(&mut self, table: &Table, column: &Column) -> Json {
        if column.nullable && self.dice.one_in(5) {
            return Json::Null;
        }
        match column.target() {
            // Rows that exist, that may not be read, and that do not exist.
            Some(target) => json_of(&self.some_key(target)),
            None if matches!(column.ty, Type::List(_)) => {
                json_of(&rows::scalar(self.dice, &column.ty, false))
            }
            None => self.value(table, column),
        }
    }

    fn some_key(&mut self, table: TableId) -> Value {
        let rows = self.world.rows(table);
        if rows.is_empty() || self.dice.one_in(12) {
            return rows::key(self.dice.below(9));
        }
        rows[self.dice.below(rows.len())][0].clone()
    }

    /// Constraints that say which rows are written.
    fn meant(&mut self, table: &'a Table) -> Members {
        let mut members: Members = Vec::new();
        if self.dice.one_in(2) {
            let key = self.some_key(table.id);
            put(&mut members, "id", Doc::Json(json_of(&key)));
            return members;
        }
        match self.dice.below(4) {
            0 => put(&mut members, "all", json_doc(true)),
            1 => {
                // A filter need not read the row, and then it restricts nothing.
                self.filter(table, &mut members);
                put(&mut members, "all", json_doc(true));
            }
            _ => {
                let columns: Vec<&Column> = table.columns.iter().filter(|column| !column.secret).collect();
                let column = columns[self.dice.below(columns.len())];
                let constraint = self.constraint(table, column);
                put(&mut members, &column.name, Doc::Json(constraint));
            }
        }
        if members.is_empty() {
            put(&mut members, "all", json_doc(true));
        }
        members
    }

    fn change(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        let columns: Vec<&Column> = table.columns.iter().filter(|column| is_free(table, column)).collect();
        let mut set: Members = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            if columns.is_empty() {
                break;
            }
            let column = columns[self.dice.below(columns.len())];
            let value = match column.ty {
                Type::Int if self.dice.one_in(3) => json!({"$add": 1}),
                _ => self.new_value(table, column),
            };
            put(&mut set, &column.name, Doc::Json(value));
        }
        if set.is_empty() {
            return self.deletion(table);
        }
        put(&mut members, "set", Doc::Object(set));
        self.shown(table, &mut members);
        Doc::Object(members)
    }

    fn deletion(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        put(&mut members, "delete", json_doc(true));
        self.shown(table, &mut members);
        Doc::Object(members)
    }

    fn joining(&mut self, table: &'a Table) -> Doc {
        if table.relations.is_empty() {
            return self.change(table);
        }
        let mut members = self.meant(table);
        members.retain(|(name, _)| name != "all");
        if members.is_empty() {
            let key = self.some_key(table.id);
            put(&mut members, "id", Doc::Json(json_of(&key)));
        }
        self.join(table, &mut members, &["add", "add", "remove"]);
        Doc::Object(members)
    }

    fn join(&mut self, table: &'a Table, members: &mut Members, words: &[&str]) {
        if table.relations.is_empty() {
            return;
        }
        let relation = self.dice.pick(&table.relations);
        let word = *self.dice.pick(words);
        let key = self.some_key(relation.target);
        put(members, &relation.name, Doc::Json(json!({ word: {"id": json_of(&key)} })));
    }

    fn some_table(&mut self) -> &'a Table {
        let own: Vec<&Table> =
            self.schema.tables.iter().filter(|table| !table.platform || table.name == "User").collect();
        own[self.dice.below(own.len())]
    }

    fn part(&mut self, table: &'a Table, at: At, depth: usize) -> Doc {
        let mut members: Members = Vec::new();
        let groups = at != At::ToOne && self.dice.one_in(8);
        for _ in 0..self.dice.below(3) {
            let columns: Vec<&Column> = table.columns.iter().filter(|column| !column.secret).collect();
            let column = *self.dice.pick(&columns);
            let constraint = match column.target() {
                Some(target) if depth > 0 && self.dice.one_in(2) => {
                    let part = self.part(self.schema.table(target), At::ToOne, depth - 1);
                    if groups { required(part) } else { part }
                }
                _ => Doc::Json(self.constraint(table, column)),
            };
            put(&mut members, &column.name, constraint);
        }
        if depth > 0 && !table.relations.is_empty() && self.dice.one_in(2) {
            let relation = self.dice.pick(&table.relations);
            let part = self.part(self.schema.table(relation.target), At::ToMany, depth - 1);
            put(&mut members, &relation.name, if groups { required(part) } else { part });
        }
        if self.dice.one_in(3) {
            self.filter(table, &mut members);
        }
        if at != At::Top && self.dice.one_in(3) {
            put(&mut members, "required", json_doc(true));
        }
        if groups {
            self.groups(table, &mut members);
            return Doc::Object(members);
        }
        if !self.dice.one_in(5) {
            let get = self.get(table);
            put(&mut members, "get", get);
        }
        if at != At::ToOne {
            self.paging(table, &mut members);
        }
        Doc::Object(members)
    }

    fn filter(&mut self, table: &Table, members: &mut Members) {
        let place = Place { images: false, trusted: false, extremes: self.extremes };
        for _ in 0..3 {
            let depth = 1 + self.dice.below(3);
            let phrase = Author::new(self.schema, self.dice, table.id, place).condition(depth);
            if compile_filter(self.schema, table.id, &phrase.text()).is_ok() {
                return put(members, "where", Doc::Phrase(phrase));
            }
        }
    }

    fn get(&mut self, table: &Table) -> Doc {
        if self.dice.one_in(3) {
            return Doc::Array(vec![json_doc("*")]);
        }
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..1 + self.dice.below(4) {
            let secret_too = self.dice.one_in(30);
            let columns = table.columns.iter().filter(|column| secret_too || !column.secret);
            let relations = table.relations.iter().map(|relation| relation.name.as_str());
            let known: Vec<&str> = columns.map(|column| column.name.as_str()).chain(relations).collect();
            let name = *self.dice.pick(&known);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Doc::Array(names.into_iter().map(json_doc).collect())
    }

    fn paging(&mut self, table: &Table, members: &mut Members) {
        if self.dice.one_in(2) {
            let mut items = Vec::new();
            for _ in 0..1 + self.dice.below(2) {
                if let Some(path) = self.path(table) {
                    let sign = *self.dice.pick(&["", "-"]);
                    let nulls = *self.dice.pick(&["", "", " nulls first", " nulls last"]);
                    items.push(json_doc(format!("{sign}{path}{nulls}")));
                }
            }
            put(members, "order", Doc::Array(items));
        }
        if self.dice.one_in(3) {
            put(members, "limit", json_doc(1 + self.dice.below(4)));
        }
        if self.dice.one_in(8) {
            put(members, "offset", json_doc(self.dice.below(3)));
        }
        if self.dice.one_in(5) {
            put(members, "count", json_doc(true));
        }
    }

    /// A path that rows can be sorted by.
    fn path(&mut self, table: &Table) -> Option<String> {
        let mut table = table;
        let mut text = String::new();
        loop {
            let columns: Vec<&Column> = table
                .columns
                .iter()
                .filter(|column| {
                    !column.secret && !matches!(column.ty, Type::List(_) | Type::Json | Type::Bytes)
                })
                .collect();
            let column = *self.dice.pick(&columns);
            text.push_str(&column.name);
            match column.target() {
                Some(target) if self.dice.one_in(2) => {
                    table = self.schema.table(target);
                    text.push('.');
                }
                _ => break,
            }
            if text.len() > 60 {
                return None;
            }
        }
        Some(text)
    }

    fn groups(&mut self, table: &Table, members: &mut Members) {
        let mut values: Members = Vec::new();
        for at in 0..1 + self.dice.below(2) {
            let column = self.dice.pick(&table.columns).name.clone();
            let function = *self.dice.pick(&["count", "sum", "min", "max", "avg"]);
            let text =
                if self.dice.one_in(3) { "count()".to_owned() } else { format!("{function}({column})") };
            if compile_aggregate(self.schema, table.id, &text).is_ok() {
                values.push((format!("v{at}"), json_doc(text)));
            }
        }
        if values.is_empty() {
            values.push(("v".into(), json_doc("count()")));
        }
        put(members, "aggregate", Doc::Object(values));
        if self.dice.one_in(2)
            && let Some(path) = self.path(table)
            && compile_value(self.schema, table.id, &path).is_ok()
        {
            put(members, "group", Doc::Array(vec![json_doc(path)]));
        }
    }

    fn constraint(&mut self, table: &Table, column: &Column) -> Json {
        let is_plain = !matches!(column.ty, Type::List(_) | Type::Json | Type::Bytes);
        match self.dice.below(10) {
            0 => Json::Null,
            1 => json!({"not": null}),
            2 if is_plain => {
                let items = (0..self.dice.below(4)).map(|_| self.value_or_null(table, column));
                items.collect::<Vec<_>>().into()
            }
            3 if is_plain => {
                let items: Vec<Json> =
                    (0..self.dice.below(3)).map(|_| self.value_or_null(table, column)).collect();
                json!({"not": items})
            }
            4 if is_plain => json!({"not": self.value_or_null(table, column)}),
            5 | 6 if is_plain && column.ty != Type::Bool => {
                let operator = *self.dice.pick(&["gt", "ge", "lt", "le", ">", ">=", "<", "<="]);
                let value = self.value(table, column);
                json!({ operator: value })
            }
            7 if column.ty.is_textual() => {
                let pattern = *self.dice.pick(&["%", "a%", "%b", "_", "\\%", "", "l%"]);
                json!({ (*self.dice.pick(&["like", "~"])): pattern })
            }
            _ if is_plain => self.value(table, column),
            _ => json!({"not": null}),
        }
    }

    fn value_or_null(&mut self, table: &Table, column: &Column) -> Json {
        if self.dice.one_in(4) { Json::Null } else { self.value(table, column) }
    }

    /// A value of a column, mostly one that some row has.
    fn value(&mut self, table: &Table, column: &Column) -> Json {
        let there = self.world.rows(table.id).iter().map(|row| &row[column.id.0 as usize]);
        let there: Vec<&Value> = there.filter(|value| !value.is_null()).collect();
        if !there.is_empty() && !self.dice.one_in(5) {
            return json_of(there[self.dice.below(there.len())]);
        }
        let ty = self.schema.storage_type(&column.ty);
        json_of(&rows::scalar(self.dice, ty, self.extremes))
    }
}

/// Whether a caller may name new values for a column, and they are kept as they are.
fn is_free(table: &Table, column: &Column) -> bool {
    let is_trimmed = table.platform && matches!(column.name.as_str(), "email" | "name");
    column.id.0 > 2 && !column.secret && !is_trimmed
}

fn put(members: &mut Members, name: &str, doc: Doc) {
    if !members.iter().any(|(known, _)| known == name) {
        members.push((name.to_owned(), doc));
    }
}

fn required(part: Doc) -> Doc {
    let Doc::Object(mut members) = part else { return part };
    put(&mut members, "required", json_doc(true));
    Doc::Object(members)
}
