//! What is wrong with the values of a write, whatever rows there are.

use mainstay_engine::error::Key;
use mainstay_lang::schema::{Column, ColumnId, Member, RelationKind, Table};
use serde_json::Value as Json;

use super::{Part, Predicted, Simulation, refused, row_parts};
use crate::oracle::predict::{is_keyword, nested};

impl<'a> Simulation<'a> {
    /// Whether every value of a part can be taken; `given`: the column that the row around a new one fills.
    ///
    /// # Errors
    /// What is refused before values are looked at.
    pub(super) fn is_valid(&self, table: &Table, part: &Part, given: Option<&str>) -> Predicted<bool> {
        let is_create = part.contains_key("create");
        let set = part.get("set").and_then(Json::as_object);
        let mut is_valid = true;
        for (name, json) in part.iter().chain(set.into_iter().flatten()) {
            if matches!(name.as_str(), "add" | "remove") || !is_keyword(name) {
                is_valid &= self.is_member_valid(table, name, json)?;
            }
        }
        let assigned = if is_create { Some(part) } else { set };
        let needs_value =
            |column: &&Column| !column.nullable && column.id != ColumnId::ID && column.stamp.is_none();
        for column in table.columns.iter().filter(needs_value) {
            let value = assigned.and_then(|assigned| assigned.get(&column.name));
            let is_missing = is_create && column.default.is_none() && given != Some(column.name.as_str());
            is_valid &= if Some(column.id) == table.tenant {
                // The server says to which tenant a row belongs, unless an administrator asks for none in particular.
                let may_say = is_create && self.asker.admin && self.asker.tenant.is_none();
                value.is_none_or(|value| may_say && !value.is_null())
            } else {
                value.map_or(!is_missing, |value| !value.is_null())
            };
        }
        for (name, json) in part.iter().chain(set.into_iter().flatten()) {
            let is_kept = table.column_named(name).is_some_and(|column| column.immutable);
            let is_new = !is_create && json.get("create").is_some();
            is_valid &= !(is_kept && (is_new || set.is_some_and(|set| set.contains_key(name))));
        }
        let changes = set.is_some() || part.contains_key("delete");
        if changes && !self.is_restricted(table, part) {
            return Err(refused(Key::Unrestricted));
        }
        Ok(is_valid)
    }

    fn is_member_valid(&self, table: &Table, name: &str, json: &Json) -> Predicted<bool> {
        let mut is_valid = true;
        match table.members.get(name) {
            Some(Member::Column(id)) => {
                let column = table.column(*id);
                if let (Some(target), Some(part)) = (column.target(), nested(column, json)) {
                    is_valid &= self.is_valid(self.schema.table(target), part, None)?;
                }
            }
            Some(Member::Relation(id)) => {
                let relation = table.relation(*id);
                let target = self.schema.table(relation.target);
                let given = match relation.kind {
                    RelationKind::Reverse { column } => Some(target.column(column).name.as_str()),
                    _ => None,
                };
                for part in row_parts(json) {
                    for word in ["add", "remove"] {
                        for named in part.get(word).map(row_parts).unwrap_or_default() {
                            is_valid &= self.is_valid(target, &named, given)?;
                        }
                    }
                    is_valid &= self.is_valid(target, &part, given)?;
                }
            }
            None => {}
        }
        Ok(is_valid)
    }

    /// Whether something restricts the rows of a part themselves.
    fn is_restricted(&self, table: &Table, part: &Part) -> bool {
        part.contains_key("all")
            || part.iter().filter(|(name, _)| !is_keyword(name)).any(|(name, json)| {
                let required = |json: &Json| super::is_required(json);
                match table.column_named(name) {
                    Some(column) => nested(column, json).is_none() || required(json),
                    None => required(json) || json.as_array().is_some_and(|items| items.iter().any(required)),
                }
            })
    }
}
