//! Deleting rows, and what hangs on them.
//!
//! What refers to a deleted row is deleted too, let go, or in the way, as its column says; the children's own rules are
//! not asked. Everything that goes is found first, breadth first and without recursion, so chains may be long and close
//! on themselves; then rows go in an order in which none is referred to any more, because the database's own constraint
//! is there as a net and holds at once.

use std::collections::{HashMap, HashSet};

use mainstay_lang::schema::{ColumnId, OnDelete, Operation, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;

use super::Run;
use super::step::AnswerRow;
use crate::error::{Error, Key};
use crate::write::plan::Step;
use crate::write::rows::{Image, LinkWritten, RowKey, too_many};
use crate::write::rules::Change;

/// A row that goes.
type Doomed = (TableId, Image);

/// A reference to a row that goes, from one that may stay.
struct Reference {
    table: TableId,
    column: ColumnId,
    row: Image,
    to: TableId,
}

impl Run<'_> {
    /// Deletes the rows of a step, under its table's rule. What was asked of them is read before.
    pub(super) async fn delete_found(
        &mut self,
        step: &Step,
        rows: &mut [AnswerRow<'_>],
    ) -> Result<(), Error> {
        let mut doomed = Vec::new();
        for row in rows.iter() {
            let Some(image) = self.image(step.table, &row.key, Some(Lock::Delete)).await? else { continue };
            // One that this request has written is not locked by being read.
            self.hold_row(step.table, &row.key, Lock::Delete).await?;
            let change = Change { old: Some(&image), new: None };
            self.require(step.table, Operation::Delete, &[], &image, change, &step.path).await?;
            self.require_rust(step.table, Operation::Delete, (Some(&image), None), None, &step.path).await?;
            doomed.push((step.table, image));
        }
        self.read_doomed(rows).await?;
        self.delete_all(doomed, &step.path).await
    }

    async fn delete_all(&mut self, first: Vec<Doomed>, path: &str) -> Result<(), Error> {
        let (doomed, references) = self.told_closure(first, path).await?;
        let going: HashSet<(TableId, RowKey)> =
            doomed.iter().map(|(table, image)| (*table, RowKey::of(&image[0]))).collect();
        for reference in references {
            if going.contains(&(reference.table, RowKey::of(&reference.row[0]))) {
                continue;
            }
            let column = self.schema().table(reference.table).column(reference.column);
            if column.on_delete == OnDelete::Restrict {
                return Err(self.restricted(&reference, path));
            }
            // Another of its references may have been let go already.
            let Some(row) = self.rows.current(reference.table, &reference.row) else { continue };
            self.update_unasked(reference.table, &row, vec![(reference.column, Value::Null)], path).await?;
        }
        for (table, image) in &doomed {
            self.hold_parents(*table, &[image], None).await?;
            self.end_links(*table, &image[0], path).await?;
        }
        let doomed = self.in_order(doomed).await?;
        for (table, image) in doomed {
            let statement = self.prepared.delete(table).clone();
            self.later(&statement, &image[..1]).await?;
            self.rows.note(table, Some(image), None, path)?;
        }
        self.tell_updates(path).await?;
        self.tell_links(path).await
    }

    /// Everything that goes with some rows, once hooks were told of each. They may have changed what there is: what they have
    /// taken out of the way is no longer, and what they have added goes as well, and is told.
    async fn told_closure(
        &mut self,
        mut first: Vec<Doomed>,
        path: &str,
    ) -> Result<(Vec<Doomed>, Vec<Reference>), Error> {
        let mut told = HashSet::new();
        loop {
            let (doomed, references) = self.closure(first.clone(), path).await?;
            let untold: Vec<Doomed> = doomed
                .iter()
                .filter(|(table, image)| {
                    self.sees_deletions(*table) && told.insert((*table, RowKey::of(&image[0])))
                })
                .cloned()
                .collect();
            if untold.is_empty() {
                return Ok((doomed, references));
            }
            self.tell_deletions(&untold, path).await?;
            first = first
                .into_iter()
                .filter_map(|(table, image)| Some((table, self.rows.current(table, &image)?)))
                .collect();
        }
    }

    /// Everything that goes with some rows, and the references to it that do not take their rows along.
    async fn closure(
        &mut self,
        first: Vec<Doomed>,
        path: &str,
    ) -> Result<(Vec<Doomed>, Vec<Reference>), Error> {
        let mut seen = HashSet::new();
        let mut doomed: Vec<Doomed> =
            first.into_iter().filter(|(table, image)| seen.insert((*table, RowKey::of(&image[0])))).collect();
        let mut references = Vec::new();
        let mut next = 0;
        while let Some((to, key)) = doomed.get(next).map(|(table, image)| (*table, image[0].clone())) {
            next += 1;
            // Nobody comes to refer to it any more, so that what refers to it is found whole.
            self.hold_row(to, &key, Lock::Delete).await?;
            for incoming in self.prepared.incoming(to) {
                let goes = incoming.on_delete == OnDelete::Cascade;
                let lock = Some(if goes { Lock::Delete } else { Lock::Write });
                for row in self.images_by(incoming.table, incoming.column, &key, lock).await? {
                    if !goes {
                        references.push(Reference {
                            table: incoming.table,
                            column: incoming.column,
                            row,
                            to,
                        });
                    } else if seen.insert((incoming.table, RowKey::of(&row[0]))) {
                        doomed.push((incoming.table, row));
                    }
                    if (doomed.len() + references.len()) as u64 > self.rows.rows_max() {
                        return Err(too_many(path, self.rows.rows_max()));
                    }
                }
            }
        }
        Ok((doomed, references))
    }

    async fn end_links(&mut self, table: TableId, key: &Value, path: &str) -> Result<(), Error> {
        for link in self.prepared.links_of(table) {
            for from_owner in [true, false] {
                let near = if from_owner { link.owner } else { link.target };
                if near != table {
                    continue;
                }
                for other in self.linked(link, from_owner, key).await? {
                    let (owner, target) =
                        if from_owner { (key.clone(), other) } else { (other, key.clone()) };
                    self.hold_sides(link, &owner, &target).await?;
                    let statement = &self.prepared.link(link).unlink;
                    self.write(statement, &[owner.clone(), target.clone()]).await?;
                    let path = path.to_owned();
                    let ended = LinkWritten { link: link.clone(), owner, target, added: false, path };
                    self.note_untold_link(&ended);
                    self.rows.note_link(ended)?;
                }
            }
        }
        Ok(())
    }

    /// The rows in an order in which each goes before those that it refers to. References that close a circle are set to
    /// null first; the log still shows the rows as they were.
    async fn in_order(&mut self, doomed: Vec<Doomed>) -> Result<Vec<Doomed>, Error> {
        let places: HashMap<(TableId, RowKey), usize> = doomed
            .iter()
            .enumerate()
            .map(|(place, (table, image))| ((*table, RowKey::of(&image[0])), place))
            .collect();
        // For each row: the columns that refer to another row that goes, and that row's place.
        let mut outgoing: Vec<Vec<(ColumnId, usize)>> = Vec::with_capacity(doomed.len());
        let mut referrers = vec![0usize; doomed.len()];
        for (place, (table, image)) in doomed.iter().enumerate() {
            let columns = self.schema().table(*table).columns.iter();
            let references = columns.filter_map(|column| {
                let value = &image[column.id.0 as usize];
                let key = (column.target().filter(|_| !value.is_null())?, RowKey::of(value));
                places.get(&key).filter(|to| **to != place).map(|to| (column.id, *to))
            });
            let references: Vec<_> = references.collect();
            references.iter().for_each(|(_, to)| referrers[*to] += 1);
            outgoing.push(references);
        }
        let mut order = Order { rows: Vec::with_capacity(doomed.len()), outgoing, referrers };
        let mut is_ordered = vec![false; doomed.len()];
        let free = (0..doomed.len()).rev().filter(|place| order.referrers[*place] == 0).collect();
        order.take(free, &mut is_ordered);
        // What is left stands in circles: one row after the other lets go of what it can.
        for (place, row) in doomed.iter().enumerate() {
            if !is_ordered[place] {
                let free = self.let_go(row, place, &mut order).await?;
                order.take(free, &mut is_ordered);
            }
        }
        // A circle that cannot be opened is left to the database, which refuses it.
        let closed = (0..doomed.len()).filter(|place| !is_ordered[*place]);
        let places: Vec<usize> = order.rows.iter().copied().chain(closed).collect();
        let mut doomed: Vec<Option<Doomed>> = doomed.into_iter().map(Some).collect();
        Ok(places.into_iter().filter_map(|place| doomed[place].take()).collect())
    }

    /// Sets the nullable references of a row in a circle to null; answers the rows that nothing refers to any more.
    async fn let_go(
        &mut self,
        (table, image): &Doomed,
        place: usize,
        order: &mut Order,
    ) -> Result<Vec<usize>, Error> {
        let columns = self.schema().table(*table);
        let outgoing = std::mem::take(&mut order.outgoing[place]);
        let (gone, kept): (Vec<_>, Vec<_>) =
            outgoing.into_iter().partition(|(column, _)| columns.column(*column).nullable);
        order.outgoing[place] = kept;
        let mut free = Vec::new();
        for (column, to) in gone {
            let statement = self.prepared.update(*table, &[column]);
            self.write(&statement, &[image[0].clone(), Value::Null]).await?;
            order.referrers[to] -= 1;
            if order.referrers[to] == 0 {
                free.push(to);
            }
        }
        Ok(free)
    }

    fn restricted(&self, reference: &Reference, path: &str) -> Error {
        let schema = self.schema();
        let (by, to) = (schema.table(reference.table), schema.table(reference.to));
        let column = &by.column(reference.column).name;
        let message = format!("a row of {} still refers to this {} (`{column}`)", by.name, to.name);
        Error::at(Key::DeleteRestricted, path, "restricted", message)
    }
}

/// Rows that go, while their order is found; rows are named by their places.
struct Order {
    /// Those that have their turn.
    rows: Vec<usize>,
    /// For each row the columns that refer to another one.
    outgoing: Vec<Vec<(ColumnId, usize)>>,
    /// For each row how many others, without a turn yet, refer to it.
    referrers: Vec<usize>,
}

impl Order {
    /// Gives rows that nothing refers to their turn, and those that this makes free.
    fn take(&mut self, mut free: Vec<usize>, is_ordered: &mut [bool]) {
        while let Some(place) = free.pop() {
            if std::mem::replace(&mut is_ordered[place], true) {
                continue;
            }
            self.rows.push(place);
            for (_, to) in std::mem::take(&mut self.outgoing[place]) {
                self.referrers[to] -= 1;
                if self.referrers[to] == 0 {
                    free.push(to);
                }
            }
        }
    }
}
