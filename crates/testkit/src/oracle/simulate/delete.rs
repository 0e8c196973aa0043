//! Rows that go, and what hangs on them.

use mainstay_engine::error::Key;
use mainstay_lang::schema::{OnDelete, Operation, RelationKind, Table, TableId};
use mainstay_lang::value::Value;

use super::{Predicted, Simulation, refused};

impl Simulation<'_> {
    /// Deletes rows under their table's rule; what refers to them goes too, lets go, or is in the way.
    pub(super) fn delete(&mut self, table: &Table, keys: &[Value]) -> Predicted<()> {
        let mut doomed: Vec<(TableId, Value)> = Vec::new();
        for key in keys {
            let Some(row) = self.world.row(table.id, key).cloned() else { continue };
            self.require(table.id, Operation::Delete, &[], &row, (Some(&row), None))?;
            doomed.push((table.id, key.clone()));
        }
        let schema = self.schema;
        let references = || {
            schema.tables.iter().flat_map(|table| {
                table.columns.iter().filter_map(move |column| Some((table, column, column.target()?)))
            })
        };
        let mut next = 0;
        while let Some((to, key)) = doomed.get(next).cloned() {
            next += 1;
            let cascading = |target: TableId, on_delete| target == to && on_delete == OnDelete::Cascade;
            for (from, column, _) in
                references().filter(|(_, column, target)| cascading(*target, column.on_delete))
            {
                for row in self.world.rows(from.id) {
                    let place = (from.id, row[0].clone());
                    if row[column.id.0 as usize] == key && !doomed.contains(&place) {
                        doomed.push(place);
                    }
                }
            }
        }
        for (from, column, to) in references() {
            for row in self.world.rows(from.id).to_vec() {
                let held = row[column.id.0 as usize].clone();
                if !doomed.contains(&(to, held)) || doomed.contains(&(from.id, row[0].clone())) {
                    continue;
                }
                if column.on_delete == OnDelete::Restrict {
                    return Err(refused(Key::DeleteRestricted));
                }
                let next = self.changed(from.id, &self.row(from.id, &row[0]), &[(column.id, Value::Null)]);
                self.put(from.id, next);
            }
        }
        for table in &schema.tables {
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                if let Some(pairs) = self.world.links.get_mut(&link.db_name) {
                    pairs.retain(|(owner, target)| {
                        !doomed.contains(&(table.id, owner.clone()))
                            && !doomed.contains(&(relation.target, target.clone()))
                    });
                }
            }
            let rows = &mut self.world.tables[table.id.0 as usize];
            rows.retain(|row| !doomed.contains(&(table.id, row[0].clone())));
        }
        Ok(())
    }
}
