//! What is the same under another name.
//!
//! Said by the author, or following from what was said: a link table bears the name of its owner. Where nothing was said and
//! something that came looks like something that went, it is asked for.

use std::collections::BTreeMap;

use mainstay_lang::schema::{Column, RelationKind, Table};

use super::planner::{Phase, Planner};
use super::{Effect, Obstacle};
use crate::model::{ModelColumn, ModelTable, index_key};

/// Columns that every table has say nothing about which one it is.
const COMMON: [&str; 3] = ["id", "created", "updated"];

impl Planner<'_> {
    /// Renames what was renamed, in the model and in the plan; asks where it is not known.
    pub(super) fn names(&mut self) {
        self.table_names();
        self.link_names();
        for table in self.schema.own_tables() {
            if self.from.tables.contains_key(&table.db_name) {
                self.column_names(table);
            }
        }
        self.unused_hints();
    }

    /// A table or column that was said to be renamed or dropped, and is not there to be.
    fn unused_hints(&mut self) {
        let hints = self.hints.renames.keys().chain(&self.hints.drops);
        let unknown: Vec<String> = hints.filter(|place| !self.used.contains(*place)).cloned().collect();
        for place in unknown {
            self.refuse(place, "is nothing that is gone, so it is neither renamed nor dropped");
        }
    }

    /// What was said to be the new name of one of these places.
    fn said(&mut self, places: &[String]) -> Option<String> {
        let (place, name) = places.iter().find_map(|place| self.hints.renames.get_key_value(place))?;
        self.used.insert(place.clone());
        Some(name.clone())
    }

    /// Whether one of these places was said to go.
    fn is_dropped(&mut self, places: &[String]) -> bool {
        let dropped = places.iter().find(|place| self.hints.drops.contains(*place));
        dropped.is_some_and(|place| {
            self.used.insert(place.clone());
            true
        })
    }

    fn table_names(&mut self) {
        let schema = self.schema;
        for table in schema.own_tables() {
            let old = self.said_table(table);
            if let Some(known) = self.from.tables.get(&table.db_name) {
                // Another name in the language alone.
                if let Some(was) = known.declared.clone().filter(|was| *was != table.name) {
                    self.change(Effect::Safe, format!("{was} is renamed to {}", table.name));
                    self.rename_in_log(&was, &table.name);
                    self.used.insert(was.clone());
                    self.old_tables.insert(table.db_name.clone(), was);
                }
                continue;
            }
            if let Some(old) = old {
                self.rename_table(&old, table);
            }
        }
        let new: Vec<&Table> =
            schema.own_tables().filter(|table| !self.from.tables.contains_key(&table.db_name)).collect();
        let gone: Vec<String> =
            self.from.tables.keys().filter(|name| !self.to.tables.contains_key(*name)).cloned().collect();
        for name in gone {
            let old = &self.from.tables[&name];
            let Some(declared) = old.declared.clone() else { continue };
            let alike = new.iter().filter(|table| looks_like(old, &self.to.tables[&table.db_name]));
            let alike: Vec<String> = alike.map(|table| table.name.clone()).collect();
            if !self.is_dropped(std::slice::from_ref(&declared)) && !alike.is_empty() {
                self.obstacles.push(Obstacle::Renamed { from: declared, to: alike });
            }
        }
    }

    /// The name in the database of the table that this one was.
    fn said_table(&mut self, table: &Table) -> Option<String> {
        let said = self.hints.renames.iter().find(|(from, to)| !from.contains('.') && **to == table.name);
        let said = said.map(|(from, _)| from).or(table.was.as_ref())?;
        let is_it = |(name, of): &(&String, &ModelTable)| {
            of.declared.as_ref() == Some(said) && !self.to.tables.contains_key(*name)
        };
        let found = self.from.tables.iter().find(is_it).map(|(name, _)| name.clone())?;
        self.used.insert(said.clone());
        Some(found)
    }

    fn rename_table(&mut self, old: &str, table: &Table) {
        let new = &table.db_name;
        let Some(mut model) = self.from.tables.remove(old) else { return };
        let was = model.declared.replace(table.name.clone()).unwrap_or_default();
        for index in model.indexes.values_mut() {
            index.table.clone_from(new);
        }
        self.from.tables.insert(new.clone(), model);
        let columns = self.from.tables.values_mut().flat_map(|of| of.columns.values_mut());
        columns
            .filter(|column| column.references.as_deref() == Some(old))
            .for_each(|column| column.references = Some(new.clone()));
        let columns: Vec<String> = self.from.tables[new].columns.keys().cloned().collect();
        for column in columns {
            self.old_names.insert((new.clone(), column.clone()), (old.to_owned(), column));
        }
        self.old_tables.insert(new.clone(), was.clone());
        self.change(Effect::Safe, format!("{was} is renamed to {}", table.name));
        let statement = self.rename_statement(old, new);
        self.step(Phase::Rename, format!("rename the table {old} to {new}"), statement);
        if was != table.name {
            self.rename_in_log(&was, &table.name);
        }
    }

    fn rename_statement(&self, old: &str, new: &str) -> String {
        self.alter(old, |w| {
            w.text("RENAME TO ");
            w.identifier(new);
        })
    }

    /// The relations that link tables are of, by the tables' names in the database.
    fn links_by_relation(&self) -> BTreeMap<String, (String, String)> {
        let links = self.from.tables.iter().filter(|(_, of)| of.declared.is_none());
        let named = links.filter_map(|(name, of)| {
            let owner = of.columns.get("owner")?.references.clone()?;
            let declared = self.from.tables.get(&owner)?.declared.clone()?;
            let (before, _) = self.before_renames(&owner, "id");
            let relation =
                name.strip_prefix(&format!("{before}_")).or(name.strip_prefix(&format!("{owner}_")))?;
            Some((name.clone(), (declared, relation.to_owned())))
        });
        named.collect()
    }

    fn link_names(&mut self) {
        let relations = self.links_by_relation();
        let gone: Vec<(String, (String, String))> =
            relations.into_iter().filter(|(name, _)| !self.to.tables.contains_key(name)).collect();
        for (old, (owner, relation)) in gone {
            let was = &self.from.tables[&old];
            let sides = |of: &ModelTable| -> Vec<Option<String>> {
                of.columns.values().map(|column| column.references.clone()).collect()
            };
            let new: Vec<(String, String)> = self
                .schema
                .table_named(&owner)
                .into_iter()
                .flat_map(|table| table.relations.iter().map(move |relation| (table, relation)))
                .filter_map(|(_, relation)| match &relation.kind {
                    RelationKind::Link(link) => Some((link.db_name.clone(), relation.name.clone())),
                    _ => None,
                })
                .filter(|(name, _)| !self.from.tables.contains_key(name))
                .filter(|(name, _)| sides(&self.to.tables[name]) == sides(was))
                .collect();
            let place = format!("{owner}.{relation}");
            let before =
                was.columns["owner"].references.as_ref().and_then(|owner| self.old_tables.get(owner));
            let places: Vec<String> = std::iter::once(place.clone())
                .chain(before.map(|owner| format!("{owner}.{relation}")))
                .collect();
            let noted = self.schema.table_named(&owner).and_then(|table| {
                let noted = table.relations.iter().find(|new| new.was.as_ref() == Some(&relation));
                noted.map(|new| new.name.clone())
            });
            let said = self.said(&places).or(noted).unwrap_or_else(|| relation.clone());
            let is_dropped = self.is_dropped(&places);
            match new.iter().find(|(_, name)| *name == said) {
                Some((name, _)) => {
                    let name = name.clone();
                    self.rename_link(&old, &name);
                }
                None if new.is_empty() || is_dropped => {}
                None => {
                    let to = new.into_iter().map(|(_, name)| name).collect();
                    self.obstacles.push(Obstacle::Renamed { from: place, to });
                }
            }
        }
    }

    fn rename_link(&mut self, old: &str, new: &str) {
        let Some(mut model) = self.from.tables.remove(old) else { return };
        for index in model.indexes.values_mut() {
            new.clone_into(&mut index.table);
        }
        self.from.tables.insert(new.to_owned(), model);
        self.change(Effect::Safe, format!("the links {old} are called {new}"));
        let statement = self.rename_statement(old, new);
        self.step(Phase::Rename, format!("rename the table {old} to {new}"), statement);
    }

    fn column_names(&mut self, table: &Table) {
        let (was, is) = (self.from.tables[&table.db_name].clone(), self.to.tables[&table.db_name].clone());
        let old_table = self.old_tables.get(&table.db_name).cloned();
        let spoken = |column: &ModelColumn| {
            let names = [Some(&table.name), old_table.as_ref()];
            names
                .into_iter()
                .flatten()
                .map(|table| format!("{table}.{}", column.declared))
                .collect::<Vec<_>>()
        };
        let gone: Vec<(String, ModelColumn)> = was
            .columns
            .iter()
            .filter(|(name, _)| !is.columns.contains_key(*name))
            .map(|(name, column)| (name.clone(), column.clone()))
            .collect();
        let new: Vec<_> =
            table.columns.iter().filter(|column| !was.columns.contains_key(&column.db_name)).collect();
        let mut renames: Vec<(String, &Column)> = Vec::new();
        for (old, column) in &gone {
            let places = spoken(column);
            let found = match self.said(&places) {
                Some(said) => new.iter().find(|new| new.name == said),
                None => new.iter().find(|new| new.was.as_ref() == Some(&column.declared)),
            };
            if let Some(found) = found {
                renames.push((old.clone(), *found));
                continue;
            }
            if self.is_dropped(&places) {
                continue;
            }
            let alike = new.iter().filter(|new| {
                let other = &is.columns[&new.db_name];
                let is_taken = new.was.is_some() || self.hints.renames.values().any(|name| *name == new.name);
                !is_taken && other.ty == column.ty && other.references == column.references
            });
            let alike: Vec<String> = alike.map(|new| new.name.clone()).collect();
            if !alike.is_empty() {
                self.obstacles.push(Obstacle::Renamed { from: places[0].clone(), to: alike });
            }
        }
        // Another name in the language alone.
        let declared: Vec<(String, String)> = table
            .columns
            .iter()
            .filter_map(|column| {
                let was = was.columns.get(&column.db_name)?;
                (was.declared != column.name).then(|| (was.declared.clone(), column.name.clone()))
            })
            .collect();
        for (was, is) in declared {
            self.used.insert(format!("{}.{was}", table.name));
            self.change(Effect::Safe, format!("{}.{was} is renamed to {is}", table.name));
            self.rename_column_in_log(&table.name, &was, &is);
        }
        for (old, column) in renames {
            self.rename_column(table, &old, column);
        }
    }

    fn rename_column(&mut self, table: &Table, old: &str, column: &Column) {
        let new = &column.db_name;
        let before = self.before_renames(&table.db_name, old);
        let Some(of) = self.from.tables.get_mut(&table.db_name) else { return };
        let Some(mut model) = of.columns.remove(old) else { return };
        let was = std::mem::replace(&mut model.declared, column.name.clone());
        of.columns.insert(new.clone(), model);
        let indexes = std::mem::take(&mut of.indexes);
        for mut index in indexes.into_values() {
            index
                .columns
                .iter_mut()
                .filter(|part| part.name == old)
                .for_each(|part| part.name.clone_from(new));
            of.indexes.insert(index_key(&index), index);
        }
        self.old_names.remove(&(table.db_name.clone(), old.to_owned()));
        self.old_names.insert((table.db_name.clone(), new.clone()), before);
        self.change(Effect::Safe, format!("{}.{was} is renamed to {}", table.name, column.name));
        let statement = self.alter(&table.db_name, |w| {
            w.text("RENAME COLUMN ");
            w.identifier(old);
            w.text(" TO ");
            w.identifier(new);
        });
        self.step(Phase::Rename, format!("rename {}.{old} to {new}", table.db_name), statement);
        if was != column.name {
            self.rename_column_in_log(&table.name, &was, &column.name);
        }
    }
}

/// Whether most of a table's own columns are in another one.
fn looks_like(old: &ModelTable, new: &ModelTable) -> bool {
    let own = old.columns.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
    let (mut all, mut same) = (0, 0);
    for (name, column) in own {
        all += 1;
        same += usize::from(new.columns.get(name).is_some_and(|other| other.ty == column.ty));
    }
    same * 2 >= all && (same > 0 || new.columns.len() == COMMON.len())
}
