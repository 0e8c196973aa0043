//! Indexes that come, go, or are called otherwise.
//!
//! Known by their columns; names follow from these and from the table's. Where others go on working, an index is built beside
//! them, outside of any transaction; one whose building was broken off serves nobody, so it is dropped before it is built again.

use std::collections::BTreeSet;

use super::planner::{Phase, Planner};
use super::{Effect, Mode, Step, Way};
use crate::ddl::{self, IndexPlan};

/// An index that is about to be replaced is called by so much of its name and a word, which fits every database.
const REPLACED_BYTES_MAX: usize = 59;

impl Planner<'_> {
    pub(super) fn indexes(&mut self, created: &BTreeSet<&str>) {
        let tables: Vec<String> = self.to.tables.keys().cloned().collect();
        for name in tables {
            let is = self.to.tables[&name].indexes.clone();
            let was = self.from.tables.get(&name).map(|table| table.indexes.clone()).unwrap_or_default();
            if created.contains(name.as_str()) {
                is.values().for_each(|index| self.create_index(Phase::Create, index, true));
                continue;
            }
            for (key, index) in &is {
                match was.get(key) {
                    Some(known) => self.known_index(known, index),
                    None => self.new_index(index),
                }
            }
            for (_, index) in was.iter().filter(|(key, _)| !is.contains_key(*key)) {
                self.change(Effect::Safe, format!("the index {} goes", index.name));
                // Not every type has an order that its index could keep.
                let is_in_the_way = index
                    .columns
                    .iter()
                    .any(|column| self.retyped.contains(&(name.clone(), column.name.clone())));
                self.drop_index(&index.name_in(self.dialect), &name, is_in_the_way);
            }
        }
    }

    fn new_index(&mut self, index: &IndexPlan) {
        let table = self.schema.tables.iter().find(|table| table.db_name == index.table);
        if let (true, Some(table)) = (index.unique, table) {
            self.change(Effect::Values, format!("{} is new: rows may not have the same values", index.name));
            self.look_for_duplicates(table, index);
        } else {
            self.change(Effect::Safe, format!("the index {} is new", index.name));
        }
        if index.unique || !self.rebuilt.contains(&index.table) {
            self.create_index(Phase::Index, index, false);
        }
    }

    fn create_index(&mut self, phase: Phase, index: &IndexPlan, at_once: bool) {
        let name = index.name_in(self.dialect);
        let statement = ddl::create_index(self.schema, self.dialect, index);
        let words = format!("make the index {name}");
        if at_once || self.way == Way::AtOnce {
            return self.step(phase, words, statement);
        }
        let words = format!("{words}, while others go on writing");
        let drop = self.write(|w| {
            w.text("DROP INDEX CONCURRENTLY IF EXISTS ");
            w.identifier(&name);
        });
        let build = statement.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
        self.push(
            phase,
            Step { words, mode: Mode::Outside, statements: vec![drop, build], ..Step::default() },
        );
    }

    fn drop_index(&mut self, name: &str, table: &str, is_in_the_way: bool) {
        // One of a table that is built anew went with the old one.
        if self.rebuilt.contains(table) {
            return;
        }
        let online = self.way == Way::Online;
        let concurrently = if online { "CONCURRENTLY " } else { "" };
        let statement = self.write(|w| {
            w.text("DROP INDEX ");
            w.text(concurrently);
            w.text("IF EXISTS ");
            w.identifier(name);
        });
        // What a table cannot lose while an index holds it is let go before.
        let is_first = is_in_the_way || !self.dialect.alters_columns();
        let phase = if is_first { Phase::Loosen } else { Phase::Unindex };
        let mode = if online { Mode::Outside } else { Mode::Joined };
        let words = format!("drop the index {name}");
        self.push(phase, Step { words, mode, statements: vec![statement], ..Step::default() });
    }

    /// An index that stays, perhaps under another name, or in another order of nulls.
    fn known_index(&mut self, known: &IndexPlan, index: &IndexPlan) {
        let (old, new) = (known.name_in(self.dialect), index.name_in(self.dialect));
        let is_ordered_anew = index.columns.iter().any(|part| {
            let nullable = |model: &crate::model::Model| {
                model.column(&index.table, &part.name).is_some_and(|column| column.nullable)
            };
            !self.dialect.index_nulls(part.descending).is_empty()
                && nullable(&self.from) != nullable(&self.to)
        });
        if self.rebuilt.contains(&index.table) || (old == new && !is_ordered_anew) {
            return;
        }
        if self.dialect.alters_columns() {
            let kept = match is_ordered_anew {
                true => format!("{}~old", &old[..old.floor_char_boundary(REPLACED_BYTES_MAX)]),
                false => new.clone().into_owned(),
            };
            let statement = self.write(|w| {
                w.text("ALTER INDEX ");
                w.identifier(&old);
                w.text(" RENAME TO ");
                w.identifier(&kept);
            });
            self.step(Phase::Rename, format!("rename the index {old} to {kept}"), statement);
            if is_ordered_anew {
                self.create_index(Phase::Index, index, false);
                self.drop_index(&kept, &index.table, false);
            }
        } else {
            self.drop_index(&old, &index.table, true);
            self.create_index(Phase::Index, index, false);
        }
    }
}
