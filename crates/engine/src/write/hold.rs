//! What a rule or check reads beyond its row stays true until the end of the transaction, where others write at the same time.
//!
//! Rows are locked before they are read, never the other way round, and by statements that go out together with the one
//! that reads. Rows that this request has written are its own already. A row that will be written is locked for writing at
//! once: two who hold the same row and both come to want more of it would wait for each other. Where one writes at a
//! time, there is nothing to hold.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use mainstay_sql::plan::WayStep;

use super::prepared::Test;
use super::reads::{Reach, Start};
use super::rows::{Image, RowKey};
use super::rules::Change;
use super::run::Run;
use crate::error::Error;

/// What a request has locked.
#[derive(Debug, Default)]
pub(super) struct Holding {
    rows: HashMap<(TableId, RowKey), Held>,
    /// Ways of conditions, by their address and where they started, and how much had been written when they were held.
    reaches: HashMap<(usize, RowKey), usize>,
}

/// A row of others.
#[derive(Debug)]
struct Held {
    lock: Lock,
    /// As it is, and stays.
    image: Option<Image>,
}

impl Holding {
    /// The row, when it was read under its lock.
    pub(super) fn image(&self, table: TableId, key: &Value, lock: Option<Lock>) -> Option<&Image> {
        let held = self.rows.get(&(table, RowKey::of(key)))?;
        held.image.as_ref().filter(|_| Some(held.lock) >= lock)
    }

    fn has(&self, table: TableId, key: &Value, lock: Lock) -> bool {
        self.rows.get(&(table, RowKey::of(key))).is_some_and(|held| held.lock >= lock)
    }

    /// A row was read under a lock.
    pub(super) fn note(&mut self, table: TableId, image: &Image, lock: Lock) {
        let held = self.rows.entry((table, RowKey::of(&image[0]))).or_insert(Held { lock, image: None });
        held.lock = held.lock.max(lock);
        held.image = Some(image.clone());
    }
}

impl Run<'_> {
    /// Holds what a condition about a row reads.
    pub(super) async fn hold(
        &mut self,
        table: TableId,
        test: &Test,
        row: &Image,
        change: Change<'_>,
    ) -> Result<(), Error> {
        if test.local.is_some() || !self.prepared.holds() {
            return Ok(());
        }
        for reach in self.prepared.reaches(table, test) {
            Box::pin(self.hold_reach(reach, row, change)).await?;
        }
        Ok(())
    }

    async fn hold_reach(&mut self, reach: &Reach, row: &Image, change: Change<'_>) -> Result<(), Error> {
        let image = match reach.start {
            Start::Row => Some(row),
            Start::Old => change.old,
            Start::New => change.new,
            Start::User => None,
        };
        // The first step of most ways is known without asking the database.
        let (table, key, steps) = match (image, reach.steps.split_first()) {
            (None, _) if reach.start != Start::User => return Ok(()),
            (None, _) => {
                let Some(user) = self.ctx.caller.user.clone() else { return Ok(()) };
                (reach.table, user, &reach.steps[..])
            }
            (Some(image), Some((WayStep::One { from, column }, steps))) => {
                let column = self.schema().table(*from).column(*column);
                let target = column.target().expect("a way follows to-one columns");
                (target, image[column.id.0 as usize].clone(), steps)
            }
            (Some(image), _) => (reach.table, image[0].clone(), &reach.steps[..]),
        };
        if key.is_null() {
            return Ok(());
        }
        if steps.is_empty() {
            return self.hold_row(table, &key, Lock::Hold).await;
        }
        let name = (std::ptr::from_ref(reach) as usize, RowKey::of(&key));
        let written = self.rows.writes();
        if self.held.reaches.insert(name, written) == Some(written) {
            return Ok(());
        }
        let make = || self.prepared.hold(table, steps, Lock::Hold);
        let statement = reach.statement.get_or_init(make).clone();
        self.later(&statement, std::slice::from_ref(&key)).await
    }

    /// Locks a row of others.
    pub(super) async fn hold_row(&mut self, table: TableId, key: &Value, lock: Lock) -> Result<(), Error> {
        if !self.prepared.holds() || self.is_own(table, key, lock) || self.held.has(table, key, lock) {
            return Ok(());
        }
        let held = self.held.rows.entry((table, RowKey::of(key))).or_insert(Held { lock, image: None });
        // What was read under the weaker lock is still so: it was held.
        held.lock = held.lock.max(lock);
        let statement = self.prepared.hold_row(table, lock);
        self.later(&statement, std::slice::from_ref(key)).await
    }

    /// Remembers rows that were read under a lock.
    pub(super) fn note_held(&mut self, table: TableId, images: &[Image], lock: Option<Lock>) {
        if let Some(lock) = lock.filter(|_| self.prepared.holds()) {
            images.iter().for_each(|image| self.held.note(table, image, lock));
        }
    }

    /// Whether the request's own writes keep others from a row as well as a lock would.
    fn is_own(&self, table: TableId, key: &Value, lock: Lock) -> bool {
        let written = self.rows.get(table, key);
        written.is_some_and(|written| written.before.is_none() || lock < Lock::Delete)
    }

    /// Locks the rows whose to-many relations a row belongs to, as far as conditions ask about them: when the row is made or
    /// goes, or when `changed` are columns of it that matter to them.
    pub(super) async fn hold_parents(
        &mut self,
        table: TableId,
        images: &[&Image],
        changed: Option<&[ColumnId]>,
    ) -> Result<(), Error> {
        if !self.prepared.holds() {
            return Ok(());
        }
        let prepared = self.prepared;
        for watch in prepared.watched.columns(table) {
            let matters = |column: &ColumnId| *column == watch.column || watch.reads.contains(column);
            if !changed.is_none_or(|changed| changed.iter().any(matters)) {
                continue;
            }
            for image in images {
                let key = &image[watch.column.0 as usize];
                if !key.is_null() {
                    self.hold_row(watch.parent, key, Lock::Write).await?;
                }
            }
        }
        Ok(())
    }

    /// Locks the sides of a link that conditions ask about.
    pub(super) async fn hold_sides(
        &mut self,
        link: &Arc<mainstay_lang::schema::LinkTable>,
        owner: &Value,
        target: &Value,
    ) -> Result<(), Error> {
        if self.prepared.watched.is_link(&link.db_name, true) {
            self.hold_row(link.owner, owner, Lock::Write).await?;
        }
        if self.prepared.watched.is_link(&link.db_name, false) {
            self.hold_row(link.target, target, Lock::Write).await?;
        }
        Ok(())
    }
}
