//! Random writes: rows that are made, found, linked, changed and deleted, one in the other.

use mainstay_lang::schema::{Column, ColumnId, Relation, RelationKind, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use super::{Members, Requests, json_doc, put};
use crate::author::key_text;
use crate::oracle::case::json_of;
use crate::oracle::model::Doc;
use crate::rows;

/// How deep parts that write are nested.
const DEPTH: usize = 2;

impl<'a> Requests<'a> {
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
        let part = self.new_row(table, None, DEPTH);
        if self.dice.one_in(6) { Doc::Array(vec![part, self.new_row(table, None, 0)]) } else { part }
    }

    /// A new row; the column `given` is filled by the row around it.
    fn new_row(&mut self, table: &'a Table, given: Option<ColumnId>, depth: usize) -> Doc {
        let number = 100 + self.dice.below(900);
        let mut members: Members = vec![("create".into(), json_doc(true))];
        if table.key_of.is_empty() {
            put(&mut members, "id", json_doc(key_text(number)));
        }
        if table.platform {
            put(&mut members, "email", json_doc(format!("new{number}@example.org")));
            put(&mut members, "name", json_doc("New"));
        }
        if table.tenant.is_some() && self.dice.one_in(6) {
            let tenant = rows::tenant(self.dice.below(rows::TENANTS));
            put(&mut members, "tenant", Doc::Json(json_of(&tenant)));
        }
        for column in table.columns.iter().filter(|column| is_free(table, column)) {
            let must = !column.nullable && column.default.is_none();
            if Some(column.id) != given && (must && !self.dice.one_in(12) || self.dice.one_in(2)) {
                let value = self.new_value(table, column, depth);
                put(&mut members, &column.name, value);
            }
        }
        if !table.relations.is_empty() && self.dice.one_in(3) {
            let relation = self.dice.pick(&table.relations);
            let rows = self.added(relation, depth);
            put(&mut members, &relation.name, rows);
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

    fn new_value(&mut self, table: &Table, column: &Column, depth: usize) -> Doc {
        if column.nullable && self.dice.one_in(5) {
            return Doc::Json(Json::Null);
        }
        match column.target() {
            Some(target) if depth > 0 && self.dice.one_in(3) => {
                let target = self.schema.table(target);
                if self.dice.one_in(2) { self.new_row(target, None, depth - 1) } else { self.one_row(target) }
            }
            // Rows that exist, that may not be read, and that do not exist.
            Some(target) => Doc::Json(json_of(&self.some_key(target))),
            None if matches!(column.ty, Type::List(_)) => {
                Doc::Json(json_of(&rows::scalar(self.dice, &column.ty, false)))
            }
            None => Doc::Json(self.value(table, column)),
        }
    }

    fn some_key(&mut self, table: TableId) -> Value {
        let rows = self.world.rows(table);
        if rows.is_empty() || self.dice.one_in(12) {
            return rows::key(self.dice.below(9));
        }
        rows[self.dice.below(rows.len())][0].clone()
    }

    /// A part that may find exactly one row.
    fn one_row(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        members.retain(|(name, _)| name != "all");
        Doc::Object(members)
    }

    /// What a relation shall have besides.
    fn added(&mut self, relation: &'a Relation, depth: usize) -> Doc {
        let count = 1 + usize::from(self.dice.one_in(4));
        let rows: Vec<Doc> = (0..count).map(|_| self.row_of(relation, depth)).collect();
        match self.dice.below(3) {
            0 => Doc::Object(vec![("add".into(), Doc::Array(rows))]),
            _ if rows.len() > 1 || self.dice.one_in(3) => Doc::Array(rows),
            _ => rows.into_iter().next().expect("at least one was made"),
        }
    }

    /// A row for a relation: its key, a part that finds it, or one that makes it.
    fn row_of(&mut self, relation: &'a Relation, depth: usize) -> Doc {
        let target = self.schema.table(relation.target);
        let given = match relation.kind {
            RelationKind::Reverse { column } => Some(column),
            _ => None,
        };
        match self.dice.below(5) {
            0 | 1 if depth > 0 => self.new_row(target, given, depth - 1),
            2 => {
                let Doc::Object(members) = self.one_row(target) else { unreachable!("a part is an object") };
                // Adding what nothing restricts is refused.
                if members.iter().any(|(name, _)| name != "where") {
                    Doc::Object(members)
                } else {
                    self.key_part(relation.target)
                }
            }
            _ => self.key_part(relation.target),
        }
    }

    fn key_part(&mut self, table: TableId) -> Doc {
        let key = self.some_key(table);
        Doc::Object(vec![("id".into(), Doc::Json(json_of(&key)))])
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
        let Some(set) = self.new_values(table, DEPTH) else { return self.deletion(table) };
        put(&mut members, "set", set);
        self.version(table, &mut members);
        if self.dice.one_in(6) {
            self.inner(table, &mut members, 1);
        }
        self.shown(table, &mut members);
        Doc::Object(members)
    }

    /// The version that a row must have; of the row meant, if it has a key.
    fn version(&mut self, table: &Table, members: &mut Members) {
        let Some(updated) = table.updated.filter(|_| self.dice.one_in(8)) else { return };
        let rows = self.world.rows(table.id);
        let is_meant = |row: &&Vec<Value>| {
            members.iter().any(|(name, doc)| name == "id" && doc.json() == json_of(&row[0]))
        };
        if let Some(row) = rows.iter().find(is_meant).or(rows.first()) {
            put(members, "if_updated", Doc::Json(json_of(&row[updated.0 as usize])));
        }
    }

    /// What `set` gives; `None`: the table has no column for it.
    fn new_values(&mut self, table: &'a Table, depth: usize) -> Option<Doc> {
        let columns: Vec<&Column> = table.columns.iter().filter(|column| is_free(table, column)).collect();
        let mut set: Members = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            if columns.is_empty() {
                break;
            }
            let column = columns[self.dice.below(columns.len())];
            let value = match column.ty {
                Type::Int if self.dice.one_in(3) => Doc::Json(json!({"$add": 1})),
                _ => self.new_value(table, column, depth),
            };
            put(&mut set, &column.name, value);
        }
        if table.tenant.is_some() && self.dice.one_in(20) {
            put(&mut set, "tenant", Doc::Json(json_of(&rows::tenant(0))));
        }
        if !table.relations.is_empty() && self.dice.one_in(5) {
            let relation = self.dice.pick(&table.relations);
            let rows = (0..self.dice.below(3)).map(|_| self.row_of(relation, depth)).collect();
            put(&mut set, &relation.name, Doc::Array(rows));
        }
        (!set.is_empty()).then_some(Doc::Object(set))
    }

    fn deletion(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        put(&mut members, "delete", json_doc(true));
        self.version(table, &mut members);
        self.shown(table, &mut members);
        Doc::Object(members)
    }

    /// Rows that stay as they are, while something nested in them is written.
    fn joining(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        members.retain(|(name, _)| name != "all");
        if members.is_empty() {
            let key = self.some_key(table.id);
            put(&mut members, "id", Doc::Json(json_of(&key)));
        }
        let is_empty = table.relations.is_empty();
        if is_empty || self.dice.one_in(2) {
            self.inner(table, &mut members, DEPTH);
        } else {
            let relation = self.dice.pick(&table.relations);
            let word = *self.dice.pick(&["add", "add", "remove"]);
            let part = match word {
                "add" => self.row_of(relation, 1),
                _ => self.row_of(relation, 0),
            };
            put(&mut members, &relation.name, Doc::Object(vec![(word.into(), part)]));
        }
        if members.len() < 2 {
            return self.change(table);
        }
        Doc::Object(members)
    }

    /// A part that writes under a relation of rows that were found.
    fn inner(&mut self, table: &'a Table, members: &mut Members, depth: usize) {
        let refs: Vec<&Column> = table
            .columns
            .iter()
            .filter(|column| column.target().is_some() && is_free(table, column))
            .filter(|column| !members.iter().any(|(name, _)| *name == column.name))
            .filter(|column| !names_in_set(members, &column.name))
            .collect();
        if !refs.is_empty() && (table.relations.is_empty() || self.dice.one_in(2)) {
            let column = *self.dice.pick(&refs);
            let target = self.schema.table(column.target().expect("only relations were collected"));
            let part = match self.dice.below(4) {
                0 => self.new_row(target, None, depth - 1),
                _ => self.inner_change(target),
            };
            return put(members, &column.name, part);
        }
        if table.relations.is_empty() {
            return;
        }
        let relation = self.dice.pick(&table.relations);
        let target = self.schema.table(relation.target);
        let part = match (self.dice.below(3), &relation.kind) {
            (0, RelationKind::Reverse { column }) => self.new_row(target, Some(*column), depth - 1),
            (0, _) => self.new_row(target, None, depth - 1),
            _ => self.inner_change(target),
        };
        put(members, &relation.name, part);
    }

    /// A nested part that changes or deletes; it says whether it restricts the rows around it.
    fn inner_change(&mut self, table: &'a Table) -> Doc {
        let mut members = self.meant(table);
        if self.dice.one_in(2) {
            members = vec![("all".into(), json_doc(true))];
        }
        let set = if self.dice.one_in(4) { None } else { self.new_values(table, 0) };
        match set {
            Some(set) => put(&mut members, "set", set),
            None => put(&mut members, "delete", json_doc(true)),
        }
        let required = self.dice.one_in(3);
        put(&mut members, "required", json_doc(required));
        Doc::Object(members)
    }
}

fn names_in_set(members: &Members, wanted: &str) -> bool {
    members.iter().any(|(name, doc)| match doc {
        Doc::Object(set) if name == "set" => set.iter().any(|(name, _)| name == wanted),
        _ => false,
    })
}

/// Whether a caller may name new values for a column, and they are kept as they are.
fn is_free(table: &Table, column: &Column) -> bool {
    let is_trimmed = table.platform && matches!(column.name.as_str(), "email" | "name");
    let is_kept = column.id == ColumnId::ID || column.stamp.is_some() || Some(column.id) == table.tenant;
    !is_kept && !column.secret && !is_trimmed
}
