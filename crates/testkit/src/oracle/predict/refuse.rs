//! What is refused without looking at rows: names that are not there for callers, and places of rows that would tell
//! what may not be read.

use mainstay_engine::error::Key;
use mainstay_lang::filter::{compile_aggregate, compile_filter, compile_value};
use mainstay_lang::schema::{Column, Member, Operation, Table};
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json};

use super::{Oracle, is_keyword, nested, parts, texts};
use crate::naive::Of;

impl<'a> Oracle<'a> {
    /// Why a document is refused, or may be.
    pub fn refused(&self, request: &Json) -> Refusals {
        let mut refused = Refusals::default();
        for (name, json) in request.as_object().into_iter().flatten() {
            match self.schema().table_named(name) {
                None => refused.must.push(Key::NameUnknown),
                Some(table) => {
                    parts(json).iter().for_each(|part| self.refusals(table, part, true, &mut refused));
                }
            }
        }
        if self.may_overflow(request) {
            refused.may.push(Key::Arithmetic);
        }
        refused
    }

    /// Every reason to refuse a part without looking at rows. What is not shown is not sorted or grouped either.
    pub(super) fn refusals(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        is_shown: bool,
        refused: &mut Refusals,
    ) {
        let is_secret = |name: &str| match table.members.get(name) {
            Some(Member::Column(id)) => table.column(*id).secret,
            Some(Member::Relation(_)) => false,
            None => true,
        };
        for name in texts(part, "get").into_iter().filter(|_| is_shown) {
            if name != "*" && is_secret(name) {
                refused.must.push(Key::NameUnknown);
            }
        }
        for word in ["order", "group"] {
            for item in texts(part, word) {
                if !is_shown || part.contains_key("aggregate") && word == "order" {
                    continue;
                }
                let path = item.trim_start_matches('-').split(' ').next().unwrap_or_default();
                if compile_value(self.schema(), table.id, path).is_err() {
                    refused.must.push(Key::Expression);
                    continue;
                }
                match self.hides(table, path) {
                    Hides::Nothing => {}
                    Hides::Perhaps => refused.may.push(Key::ColumnGuarded),
                    Hides::Something => refused.must.push(Key::ColumnGuarded),
                }
            }
        }
        if let Some(text) = part.get("where").and_then(Json::as_str)
            && compile_filter(self.schema(), table.id, text).is_err()
        {
            refused.must.push(Key::Expression);
        }
        for (_, text) in part.get("aggregate").and_then(Json::as_object).into_iter().flatten() {
            if compile_aggregate(self.schema(), table.id, text.as_str().unwrap_or_default()).is_err() {
                refused.must.push(Key::Expression);
            }
        }
        let is_shown = is_shown && !part.contains_key("aggregate");
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            match table.members.get(name) {
                Some(Member::Column(id)) => {
                    let column = table.column(*id);
                    if column.secret {
                        refused.must.push(Key::NameUnknown);
                    }
                    if let (Some(target), Some(part)) = (column.target(), nested(column, json)) {
                        self.refusals(self.schema().table(target), part, is_shown, refused);
                    }
                }
                Some(Member::Relation(id)) => {
                    let target = self.schema().table(table.relation(*id).target);
                    parts(json).iter().for_each(|part| self.refusals(target, part, is_shown, refused));
                }
                None => refused.must.push(Key::NameUnknown),
            }
        }
    }

    /// Whether rows may not be sorted by a path: a column on it may not be read, in whatever row.
    fn hides(&self, table: &Table, path: &str) -> Hides {
        let mut table = table;
        let mut hides = Hides::Nothing;
        for name in path.split('.') {
            let Some(column) = table.column_named(name) else { break };
            hides = hides.max(self.column_hides(table, column));
            match column.target() {
                Some(target) => table = self.schema().table(target),
                None => break,
            }
        }
        hides
    }

    /// Whether a column may not be read in some row that there is, or could be.
    pub(super) fn column_hides(&self, table: &Table, column: &Column) -> Hides {
        if column.secret {
            return Hides::Something;
        }
        let what = (table.id, Operation::Read, Of::Column(column.id));
        let is_spoken_of = self.naive.is_spoken_of(what);
        if self.naive.asker.admin || !(table.is_guarded(Operation::Read, column.id) || is_spoken_of) {
            return Hides::Nothing;
        }
        let mut rules = table.rules_of(Operation::Read, Some(column.id));
        let holds = rules.any(|rule| {
            rule.condition.as_ref().is_none_or(|condition| self.naive.decided(condition) == Some(true))
        });
        if holds && !is_spoken_of {
            return Hides::Nothing;
        }
        let rows = self.naive.world.rows(table.id);
        let is_hidden = |row: &'a [Value]| self.naive.column_readable(table.id, row, column.id) == Ok(false);
        if rows.iter().any(|row| is_hidden(row)) { Hides::Something } else { Hides::Perhaps }
    }
}

/// Whether a column holds what the caller may not read. The greater one counts on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hides {
    /// Its rule holds without a look at any row, or it has none.
    Nothing,
    /// All rows that there are may be read; whether others could is not seen at a glance.
    Perhaps,
    /// A row that there is may not.
    Something,
}

/// Why a document is refused without a look at the rows asked for.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    /// One of these keys it must be, if there are any.
    pub must: Vec<Key>,
    /// One of these it may be.
    pub may: Vec<Key>,
}
