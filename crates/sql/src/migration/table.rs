//! What is different between a table that is there and its declaration, column by column.
//!
//! Found here and said in words; how it is done is a matter of the database: [`super::alter`] or [`super::rebuild`].

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::compile_fill;
use mainstay_lang::schema::{Column, Table};
use mainstay_lang::types::Type;

use super::Effect;
use super::checks::Lookout;
use super::planner::Planner;
use crate::ddl;
use crate::dialect::TypeChange;
use crate::model::ModelColumn;

/// What a table needs.
pub(super) struct Work<'s> {
    pub(super) table: &'s Table,
    pub(super) added: Vec<Added<'s>>,
    /// Names in the database of columns that go.
    pub(super) dropped: Vec<String>,
    pub(super) retyped: Vec<Retyped<'s>>,
    /// Columns that become required.
    pub(super) required: Vec<Filled<'s>>,
    /// Columns of which some values are replaced.
    pub(super) replaced: Vec<Replaced<'s>>,
    /// Columns that may be null from now on.
    pub(super) loosened: Vec<&'s Column>,
    /// Columns that refer to a table from now on.
    pub(super) referring: Vec<&'s Column>,
    /// Columns that refer to none any more.
    pub(super) unreferring: Vec<&'s Column>,
    /// Columns with another default of the database's own.
    pub(super) defaults: Vec<&'s Column>,
}

/// A new column.
pub(super) struct Added<'s> {
    pub(super) column: &'s Column,
    pub(super) fill: Fill,
}

/// What rows that are there have in a new column.
pub(super) enum Fill {
    /// Null.
    Nothing,
    /// The constant that is its default.
    Default,
    /// SQL over the row, which is called `t1`.
    Expression(String),
    /// A number in the order in which they were made.
    Number,
}

/// A column of another type.
pub(super) struct Retyped<'s> {
    pub(super) column: &'s Column,
    pub(super) was: ModelColumn,
    pub(super) change: TypeChange,
}

/// A column that is required from now on, and what rows without a value get.
pub(super) struct Filled<'s> {
    pub(super) column: &'s Column,
    pub(super) fill: Option<String>,
}

/// A column of which the values under a condition are replaced.
pub(super) struct Replaced<'s> {
    pub(super) column: &'s Column,
    /// A template of the value `{0}`.
    pub(super) condition: String,
    pub(super) fill: String,
}

impl<'a> Planner<'a> {
    pub(super) fn table(&mut self, table: &'a Table) {
        let mut work = Work {
            table,
            added: Vec::new(),
            dropped: Vec::new(),
            retyped: Vec::new(),
            required: Vec::new(),
            replaced: Vec::new(),
            loosened: Vec::new(),
            referring: Vec::new(),
            unreferring: Vec::new(),
            defaults: Vec::new(),
        };
        let was = self.from.tables[&table.db_name].columns.clone();
        let is = self.to.tables[&table.db_name].columns.clone();
        for column in &table.columns {
            match was.get(&column.db_name) {
                None => self.added(&mut work, column),
                Some(was) => self.column(&mut work, column, was, &is[&column.db_name]),
            }
        }
        for (name, column) in was.iter().filter(|(name, _)| !is.contains_key(*name)) {
            if column.key {
                self.refuse(format!("{}.{name}", table.db_name), "is the key of the table and cannot go");
                continue;
            }
            let words = format!("{}.{} is dropped: its values are lost", table.name, column.declared);
            self.change(Effect::Destructive, words);
            work.dropped.push(name.clone());
        }
        let filled = work.required.iter().filter(|filled| filled.fill.is_some()).map(|filled| filled.column);
        let touched = filled.chain(work.replaced.iter().map(|replaced| replaced.column));
        self.touched.extend(touched.map(|column| (table.db_name.clone(), column.db_name.clone())));
        if self.dialect.alters_columns() { self.alter_table(&work) } else { self.rebuild_table(&work) }
    }

    fn added(&mut self, work: &mut Work<'a>, column: &'a Column) {
        let table = work.table;
        let place = format!("{}.{}", table.name, column.name);
        let fill = self.fill(table, column);
        let (fill, effect, words) = if column.auto.is_some() {
            let words = "rows that are there are numbered in the order in which they were made";
            (Fill::Number, Effect::Values, words.to_owned())
        } else {
            match fill {
                Some(said) if self.hints.fills.contains_key(&place) => {
                    let words = format!("rows that are there get {}", self.hints.fills[&place]);
                    (Fill::Expression(said), Effect::Values, words)
                }
                _ if column.nullable => {
                    (Fill::Nothing, Effect::Safe, "rows that are there have none".to_owned())
                }
                _ if self.has_constant(column) => {
                    (Fill::Default, Effect::Safe, "rows that are there get its default".to_owned())
                }
                Some(default) => (
                    Fill::Expression(default),
                    Effect::Values,
                    "rows that are there get its default".to_owned(),
                ),
                None => {
                    let words = format!(
                        "is new and required, and nothing says what the rows that are there have in it: give it a default, \
                         make it nullable, or say --fill {place}=EXPRESSION"
                    );
                    return self.refuse(place, words);
                }
            }
        };
        self.change(effect, format!("{place} is new: {words}"));
        work.added.push(Added { column, fill });
        if column.auto.is_some() {
            self.raise_counter(table, column);
        }
    }

    /// Whether the database can be told the default with the column.
    pub(super) fn has_constant(&self, column: &Column) -> bool {
        let constant = crate::model::constant_default(column).and_then(|value| self.dialect.literal(value));
        constant.is_some() && column.target().is_none()
    }

    /// What the author says that rows get in a column: with `--fill`, or as its default.
    fn fill(&mut self, table: &Table, column: &Column) -> Option<String> {
        let place = format!("{}.{}", table.name, column.name);
        let said = match self.hints.fills.get(&place) {
            None => None,
            Some(text) => match compile_fill(self.schema, table.id, column.id, text) {
                Ok(expr) => Some(expr),
                Err(problems) => {
                    let words = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
                    self.refuse(place, format!("--fill {text:?}: {words}"));
                    return None;
                }
            },
        };
        match (&said, &column.default) {
            (Some(expr), _) => {
                let text = self.over_the_row(table, expr);
                if text.is_none() {
                    let words = "--fill may read the columns that the row has before and after the change, and nothing else";
                    self.refuse(place, words);
                }
                text
            }
            (None, Some(default)) => self.over_the_row(table, default),
            (None, None) => None,
        }
    }

    /// An expression as SQL over a row called `t1`; none when it asks for more than the row and the clock.
    fn over_the_row(&self, table: &Table, expr: &Expr) -> Option<String> {
        let mut w = crate::writer::Writer::new(self.schema, self.dialect);
        w.inlines = true;
        let scope = w.scope("t1", table.id, None);
        w.alone(scope, |w| w.expr(expr));
        let was = &self.from.tables[&table.db_name];
        let is = &self.to.tables[&table.db_name];
        let steady = w.used(scope).iter().all(|column| {
            let name = &table.column(*column).db_name;
            was.columns.get(name).is_some_and(|was| was.ty == is.columns[name].ty)
        });
        (steady && w.unbound.is_none() && expr.is_row_local()).then(|| w.into_text())
    }

    fn column(&mut self, work: &mut Work<'a>, column: &'a Column, was: &ModelColumn, is: &ModelColumn) {
        let table = work.table;
        let place = format!("{}.{}", table.name, column.name);
        if was.key != is.key {
            return self.refuse(place, "is the key in only one of the database and the declaration");
        }
        if was.ty != is.ty {
            self.retyped(work, column, was, is);
        }
        match (&was.references, &is.references) {
            (was, is) if was == is => {}
            (None, None) => {}
            (None, Some(target)) => {
                self.change(Effect::Values, format!("{place} refers to {target}"));
                work.referring.push(column);
                self.look_for_dangling(table, column);
            }
            (Some(target), None) => {
                self.change(Effect::Safe, format!("{place} no longer refers to {target}"));
                work.unreferring.push(column);
            }
            (Some(was), Some(is)) => {
                let words = format!(
                    "refers to {was} and is declared to refer to {is}, whose rows have other keys: add a column for the new reference, \
                     fill it, and drop this one"
                );
                self.refuse(&place, words);
            }
        }
        if was.nullable && !is.nullable {
            let fill = self.fill(table, column);
            let said = self.hints.fills.contains_key(&place) || fill.is_some();
            let words =
                if said { ": rows without a value get one" } else { ", and no row may be without a value" };
            self.change(Effect::Values, format!("{place} is required{words}"));
            if fill.is_none() {
                let words = format!("have no value in it (say --fill {place}=EXPRESSION)");
                let lookout = Lookout { table, column: &column.db_name, words };
                self.look_out(&lookout, |name| format!("{name} IS NULL"));
            }
            work.required.push(Filled { column, fill });
        } else if !was.nullable && is.nullable {
            self.change(Effect::Safe, format!("{place} may be null"));
            work.loosened.push(column);
        }
        if was.default != is.default {
            let is_kept = ddl::kept_default(self.dialect, column).is_some();
            let words = if is_kept { "has another default" } else { "has no constant default any more" };
            self.change(Effect::Safe, format!("{place} {words}"));
            work.defaults.push(column);
        }
        if is.guarded && !was.guarded {
            self.change(Effect::Safe, format!("{place} is guarded: the change log forgets its values"));
            self.scrub(table, column);
        }
        if is.counter && !was.counter {
            self.change(Effect::Safe, format!("{place} is numbered by the server from now on"));
            self.raise_counter(table, column);
        }
    }

    fn retyped(&mut self, work: &mut Work<'a>, column: &'a Column, was: &ModelColumn, is: &ModelColumn) {
        let table = work.table;
        let place = format!("{}.{}", table.name, column.name);
        let change = self.dialect.change_type(&was.ty, &is.ty).filter(|_| !was.key);
        let Some(change) = change else {
            let words = format!(
                "is {} and is declared to be {}, and no value becomes the other by itself: add a column, fill it by a step written \
                 by hand, and drop this one",
                was.ty, is.ty
            );
            return self.refuse(place, words);
        };
        let from = self.dialect.type_name(&was.ty);
        let to = self.dialect.type_name(&is.ty);
        let widens = from != to && self.dialect.widens(&from, &to);
        let harmless = widens || (change.value.is_none() && change.lost.is_none());
        let effect = if harmless { Effect::Safe } else { Effect::Values };
        self.change(effect, format!("{place} becomes {}, which was {}", is.ty, was.ty));
        let lost = change.lost.clone().filter(|_| !harmless);
        let replacement = match (&was.ty, &is.ty) {
            (Type::Enum(_), Type::Enum(_)) if self.hints.fills.contains_key(&place) => {
                self.fill(table, column)
            }
            _ => None,
        };
        match (lost, replacement) {
            (Some(condition), Some(fill)) => work.replaced.push(Replaced { column, condition, fill }),
            (Some(condition), None) => {
                let words = format!("have a value in it that is no {}", is.ty);
                let lookout = Lookout { table, column: &column.db_name, words };
                self.look_out(&lookout, |name| condition.replace("{0}", name));
            }
            (None, _) => {}
        }
        self.retyped.insert((table.db_name.clone(), column.db_name.clone()));
        work.retyped.push(Retyped { column, was: was.clone(), change });
    }

    fn look_for_dangling(&mut self, table: &Table, column: &Column) {
        let Some(target) = column.target().map(|target| self.schema.table(target)) else { return };
        let (target_table, target_key) = self.before_renames(&target.db_name, Planner::key_of(target));
        if !self.from.tables.contains_key(&target.db_name) {
            // Nobody is there yet to be referred to.
            let words = format!("have a value in it, and {} is new", target.name);
            let lookout = Lookout { table, column: &column.db_name, words };
            return self.look_out(&lookout, |name| format!("{name} IS NOT NULL"));
        }
        let target_text = self.write(|w| {
            w.identifier(&target_key);
            w.text(" FROM ");
            w.identifier(&target_table);
        });
        let words = format!("have a value in it that is no key of {}", target.name);
        let lookout = Lookout { table, column: &column.db_name, words };
        self.look_out(&lookout, |name| {
            format!("{name} IS NOT NULL AND {name} NOT IN (SELECT {target_text})")
        });
    }
}
