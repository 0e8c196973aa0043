//! What is refused without looking at rows: names that are not there for callers, and places of rows that would tell
//! what may not be read.

use mainstay_engine::error::Key;
use mainstay_lang::filter::{compile_aggregate, compile_filter, compile_value};
use mainstay_lang::schema::{Column, Member, Operation, Table};
use serde_json::{Map, Value as Json};

use super::{Oracle, is_keyword, nested, parts, texts};

impl Oracle<'_> {
    /// Every reason to refuse a part without looking at rows. What is not shown is not sorted or grouped either.
    pub(super) fn refusals(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        is_shown: bool,
        refused: &mut Vec<Key>,
    ) {
        let is_secret = |name: &str| match table.members.get(name) {
            Some(Member::Column(id)) => table.column(*id).secret,
            Some(Member::Relation(_)) => false,
            None => true,
        };
        for name in texts(part, "get").into_iter().filter(|_| is_shown) {
            if name != "*" && is_secret(name) {
                refused.push(Key::NameUnknown);
            }
        }
        for word in ["order", "group"] {
            for item in texts(part, word) {
                if !is_shown || part.contains_key("aggregate") && word == "order" {
                    continue;
                }
                let path = item.trim_start_matches('-').split(' ').next().unwrap_or_default();
                if compile_value(self.schema(), table.id, path).is_err() {
                    refused.push(Key::Expression);
                } else if !self.sortable(table, path) {
                    refused.push(Key::ColumnGuarded);
                }
            }
        }
        if let Some(text) = part.get("where").and_then(Json::as_str)
            && compile_filter(self.schema(), table.id, text).is_err()
        {
            refused.push(Key::Expression);
        }
        for (_, text) in part.get("aggregate").and_then(Json::as_object).into_iter().flatten() {
            if compile_aggregate(self.schema(), table.id, text.as_str().unwrap_or_default()).is_err() {
                refused.push(Key::Expression);
            }
        }
        let is_shown = is_shown && !part.contains_key("aggregate");
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            match table.members.get(name) {
                Some(Member::Column(id)) => {
                    let column = table.column(*id);
                    if column.secret {
                        refused.push(Key::NameUnknown);
                    }
                    if let (Some(target), Some(part)) = (column.target(), nested(column, json)) {
                        self.refusals(self.schema().table(target), part, is_shown, refused);
                    }
                }
                Some(Member::Relation(id)) => {
                    let target = self.schema().table(table.relation(*id).target);
                    parts(json).iter().for_each(|part| self.refusals(target, part, is_shown, refused));
                }
                None => refused.push(Key::NameUnknown),
            }
        }
    }

    /// Whether rows may be sorted by a path: every column on it may be read whatever the row.
    fn sortable(&self, table: &Table, path: &str) -> bool {
        let mut table = table;
        for name in path.split('.') {
            let Some(column) = table.column_named(name) else { return true };
            if self.has_hidden_values(table, column) {
                return false;
            }
            match column.target() {
                Some(target) => table = self.schema().table(target),
                None => return true,
            }
        }
        true
    }

    pub(super) fn has_hidden_values(&self, table: &Table, column: &Column) -> bool {
        if column.secret {
            return true;
        }
        let mut rules = table.rules_of(Operation::Read, Some(column.id));
        let holds = rules.any(|rule| match &rule.condition {
            None => true,
            Some(condition) => self.naive.holds_for_every_row(condition),
        });
        table.is_guarded(Operation::Read, column.id) && !self.naive.asker.admin && !holds
    }
}
