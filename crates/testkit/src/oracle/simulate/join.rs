//! To-many relations of rows: making, adding, taking out, replacing, and writing what hangs there.

use mainstay_engine::error::Key;
use mainstay_lang::schema::{Member, Operation, Relation, RelationId, RelationKind, Rule, Table, TableId};
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use super::{After, Among, Part, Place, Predicted, Simulation, refused, row_parts, writes};
use crate::naive::{Eyes, Of, Row, Scene};
use crate::oracle::predict::is_keyword;

impl<'a> Simulation<'a> {
    /// What a part says about the to-many relations of its rows. Under a new row every part makes or finds one row and
    /// adds it; under rows that were found, parts write where they stand.
    pub(super) fn lists(
        &mut self,
        table: &'a Table,
        part: &Part,
        keys: &[Value],
        is_new: bool,
    ) -> Predicted<()> {
        for (name, json) in part.iter().filter(|(name, _)| !is_keyword(name)) {
            let Some(Member::Relation(id)) = table.members.get(name) else { continue };
            if !is_new && !writes(json) {
                continue;
            }
            let relation = table.relation(*id);
            for named in row_parts(json) {
                self.list(table, relation, &named, keys, is_new)?;
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        table: &'a Table,
        relation: &'a Relation,
        part: &Part,
        keys: &[Value],
        is_new: bool,
    ) -> Predicted<()> {
        let is_change = part.contains_key("add") || part.contains_key("remove");
        if is_change {
            for added in part.get("add").map(row_parts).unwrap_or_default() {
                for key in keys {
                    self.add(table, relation, key, &added, Place::linked())?;
                }
            }
            for removed in part.get("remove").map(row_parts).unwrap_or_default() {
                for key in keys {
                    let target = self.schema.table(relation.target);
                    for found in self.step(target, &removed, Place::linked())? {
                        self.join(table, relation, key, &found, false)?;
                    }
                }
            }
            return Ok(());
        }
        for key in keys {
            if is_new || part.contains_key("create") {
                self.add(table, relation, key, part, Place::linked_one())?;
            } else {
                self.within(table, relation, key, part)?;
            }
        }
        Ok(())
    }

    /// Rows that hang on a row, written where they stand.
    fn within(&mut self, table: &Table, relation: &'a Relation, key: &Value, part: &Part) -> Predicted<()> {
        let Some(row) = self.world.row(table.id, key).cloned() else { return Ok(()) };
        let among = match relation.kind {
            RelationKind::Reverse { column } => Among::Column(column, key.clone()),
            _ => {
                let related = self.naive().related(table.id, relation.id, &row);
                Among::Keys(related.iter().map(|row| row[0].clone()).collect())
            }
        };
        self.step(self.schema.table(relation.target), part, Place { among, ..Place::top() })?;
        Ok(())
    }

    /// Makes or finds rows and hangs them on a row; their keys.
    fn add(
        &mut self,
        table: &'a Table,
        relation: &'a Relation,
        key: &Value,
        part: &Part,
        place: Place,
    ) -> Predicted<Vec<Value>> {
        if self.world.row(table.id, key).is_none() {
            return Ok(Vec::new());
        }
        let target = self.schema.table(relation.target);
        let is_create = part.contains_key("create");
        if let (true, RelationKind::Reverse { column }) = (is_create, &relation.kind) {
            return self.step(target, part, Place { given: Some((*column, key.clone())), ..Place::top() });
        }
        let keys = self.step(target, part, Place { one: place.one && !is_create, ..place })?;
        for found in &keys {
            self.join(table, relation, key, found, true)?;
        }
        Ok(keys)
    }

    /// `set: {"relation": […]}`: exactly these, as far as the caller sees what hangs there.
    pub(super) fn replaced(&mut self, table: &'a Table, part: &Part, keys: &[Value]) -> Predicted<()> {
        for (name, json) in part.get("set").and_then(Json::as_object).into_iter().flatten() {
            let Some(Member::Relation(id)) = table.members.get(name) else { continue };
            let relation = table.relation(*id);
            for key in keys {
                let mut kept = Vec::new();
                for named in row_parts(json) {
                    kept.extend(self.add(table, relation, key, &named, Place::linked())?);
                }
                let Some(row) = self.world.row(table.id, key).cloned() else { continue };
                let related = self.naive().related(table.id, relation.id, &row);
                let mut others: Vec<Value> = related.iter().map(|row| row[0].clone()).collect();
                others.sort_by_key(Value::to_json);
                for other in others.iter().filter(|other| !kept.contains(other)) {
                    let is_seen = self.naive().related_readable(table.id, relation.id, &row)?;
                    if is_seen.iter().any(|seen| seen[0] == *other) {
                        self.join(table, relation, key, other, false)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Hangs a row on another one, or takes it out.
    fn join(
        &mut self,
        table: &Table,
        relation: &Relation,
        key: &Value,
        target: &Value,
        adds: bool,
    ) -> Predicted<()> {
        match &relation.kind {
            RelationKind::Reverse { column } => {
                let child = self.row(relation.target, target);
                let declared = self.schema.table(relation.target).column(*column);
                let held = &child[column.0 as usize];
                let value = if adds { key.clone() } else { Value::Null };
                if *held == value || (!adds && held != key) {
                    return Ok(());
                }
                if declared.immutable || (value.is_null() && !declared.nullable) {
                    return Err(refused(Key::Invalid));
                }
                let outer = std::mem::take(&mut self.afters);
                self.update(relation.target, &child, vec![(*column, value)])?;
                self.ask_afters()?;
                self.afters = outer;
                Ok(())
            }
            RelationKind::Link(link) => {
                let row = self.row(table.id, key);
                self.may_link(table.id, relation.id, &row, adds)?;
                self.link(&link.db_name, (key.clone(), target.clone()), adds);
                Ok(())
            }
            RelationKind::LinkReverse { relation: declared, link } => {
                let owner = self.row(relation.target, target);
                self.may_link(relation.target, *declared, &owner, adds)?;
                self.link(&link.db_name, (target.clone(), key.clone()), adds);
                Ok(())
            }
        }
    }

    /// The rule of linking, or else that of changing the row that declares the relation.
    fn may_link(&mut self, table: TableId, relation: RelationId, row: &Row, adds: bool) -> Predicted<()> {
        let operation = if adds { Operation::Link } else { Operation::Unlink };
        let declared = self.schema.table(table);
        let speaks = |rule: &&Rule| {
            rule.operations.contains(&operation)
                && (rule.relations.is_empty() || rule.relations.contains(&relation))
        };
        let scene = Scene::of(table, row, Eyes::All);
        let naive = self.naive();
        let what = (table, operation, Of::Relation(relation));
        if self.asker.admin || declared.rules.iter().any(|rule| speaks(&rule)) {
            let allowed = naive.ruled(what, declared.rules.iter().filter(speaks), &scene)?
                && naive.is_in_tenant(table, row);
            return if allowed { Ok(()) } else { Err(refused(Key::Forbidden)) };
        }
        if naive.is_denied(what, &scene)? {
            return Err(refused(Key::Forbidden));
        }
        if naive.is_added(what, &scene)? && naive.is_in_tenant(table, row) {
            return Ok(());
        }
        if self.creating.contains(&(table, row[0].clone())) {
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
}
