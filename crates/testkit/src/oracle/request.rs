//! Random requests along a schema: reads of every form here, writes in [`write`].

mod write;

use mainstay_lang::filter::{compile_aggregate, compile_filter, compile_value};
use mainstay_lang::schema::{Column, Schema, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::case::json_of;
use super::model::Doc;
use crate::author::{Author, Place};
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
        let mut names: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
        put(members, "aggregate", Doc::Object(values));
        let mut paths: Vec<String> = Vec::new();
        for _ in 0..self.dice.below(3) {
            if let Some(path) = self.path(table)
                && compile_value(self.schema, table.id, &path).is_ok()
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return;
        }
        names.extend(paths.iter().cloned());
        put(members, "group", Doc::Array(paths.into_iter().map(json_doc).collect()));
        if self.dice.one_in(3) {
            let name = self.dice.pick(&names);
            let sign = *self.dice.pick(&["", "-"]);
            let nulls = *self.dice.pick(&["", " nulls first"]);
            put(members, "order", Doc::Array(vec![json_doc(format!("{sign}{name}{nulls}"))]));
        }
        if self.dice.one_in(4) {
            put(members, "limit", json_doc(1 + self.dice.below(3)));
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
