//! To-many relations of a row: adding, taking out, replacing.
//!
//! A `T[]` keeps its rows in a link table and is governed by the rules of the table that declares it, from whichever side
//! it is written. A reverse list is the other side of a to-one column: adding to it is an update of the child.

use std::sync::Arc;

use mainstay_lang::schema::{ColumnId, LinkTable, Operation, RelationId, RelationKind, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;

use super::step::{Among, AnswerRow, Place};
use super::{After, Run};
use crate::error::{Error, Key};
use crate::hook::Linking;
use crate::write::plan::{ListChange, ListStep, Source, Step};
use crate::write::rows::{Image, LinkWritten};
use crate::write::rules::Change;

/// How the rows of a relation hang on a row.
enum Joint {
    /// The child's column refers to it.
    Column(ColumnId),
    /// By a link.
    Link {
        link: Arc<LinkTable>,
        /// The relation in the table that declares it.
        declared: RelationId,
        /// Whether the row is on the declaring side.
        is_owner: bool,
    },
}

impl<'a> Run<'a> {
    /// Carries out one change of a relation of a row and answers the rows concerned.
    pub(super) async fn list<'p>(
        &mut self,
        table: TableId,
        row: &Image,
        list: &'p ListStep,
    ) -> Result<Vec<AnswerRow<'p>>, Error>
    where
        'a: 'p,
    {
        let relation = self.schema().table(table).relation(list.relation);
        let joint = match &relation.kind {
            RelationKind::Reverse { column } => Joint::Column(*column),
            RelationKind::Link(link) => {
                Joint::Link { link: link.clone(), declared: relation.id, is_owner: true }
            }
            RelationKind::LinkReverse { relation, link } => {
                Joint::Link { link: link.clone(), declared: *relation, is_owner: false }
            }
        };
        let target = relation.target;
        let found = self.list_change(table, row, (&joint, target), list).await?;
        self.tell_updates(&list.path).await?;
        self.tell_links(&list.path).await?;
        Ok(found)
    }

    async fn list_change<'p>(
        &mut self,
        table: TableId,
        row: &Image,
        (joint, target): (&Joint, TableId),
        list: &'p ListStep,
    ) -> Result<Vec<AnswerRow<'p>>, Error>
    where
        'a: 'p,
    {
        match &list.change {
            ListChange::Within(step) => {
                let among = match joint {
                    Joint::Column(column) => Among::Column(*column, row[0].clone()),
                    Joint::Link { .. } => Among::Keys(self.joined(joint, target, &row[0]).await?),
                };
                self.step(step, Place { among, ..Place::default() }).await
            }
            ListChange::Add { step, one } => self.add(table, row, joint, step, *one).await,
            ListChange::Remove(step) => {
                let place = Place { lock: target_lock(joint), ..Place::default() };
                for found in self.step(step, place).await? {
                    self.unjoin(table, row, joint, target, &found.key, &step.path).await?;
                }
                Ok(Vec::new())
            }
            ListChange::Replace(steps) => {
                let mut kept = Vec::new();
                for step in steps {
                    kept.extend(self.add(table, row, joint, step, false).await?);
                }
                for key in self.joined(joint, target, &row[0]).await? {
                    // What the caller cannot see is not meant by what the caller lists.
                    if !kept.iter().any(|row| row.key == key) && self.is_seen(joint, target, &key).await? {
                        self.unjoin(table, row, joint, target, &key, &list.path).await?;
                    }
                }
                Ok(kept)
            }
        }
    }

    async fn add<'p>(
        &mut self,
        table: TableId,
        row: &Image,
        joint: &Joint,
        step: &'p Step,
        one: bool,
    ) -> Result<Vec<AnswerRow<'p>>, Error>
    where
        'a: 'p,
    {
        let is_new = matches!(step.source, Source::Create);
        if let (true, Joint::Column(column)) = (is_new, joint) {
            let given = Some((*column, row[0].clone()));
            return self.step(step, Place { given, ..Place::default() }).await;
        }
        let lock = target_lock(joint);
        let found = self.step(step, Place { one: one && !is_new, lock, ..Place::default() }).await?;
        for target in &found {
            match joint {
                Joint::Column(column) => {
                    self.set_reference(step.table, &target.key, *column, &row[0], &step.path).await?;
                }
                Joint::Link { link, declared, is_owner } => {
                    let change = link_change(link, *is_owner, &row[0], &target.key, true, &step.path);
                    let owner = if *is_owner {
                        (table, row.clone())
                    } else {
                        self.owner(step.table, &target.key).await?
                    };
                    self.change_link(owner, *declared, change).await?;
                }
            }
        }
        Ok(found)
    }

    async fn unjoin(
        &mut self,
        table: TableId,
        row: &Image,
        joint: &Joint,
        target: TableId,
        key: &Value,
        path: &str,
    ) -> Result<(), Error> {
        match joint {
            Joint::Column(column) => {
                let Some(child) = self.image(target, key, Some(Lock::Write)).await? else { return Ok(()) };
                if child[column.0 as usize] != row[0] {
                    return Ok(());
                }
                self.set_reference(target, key, *column, &Value::Null, path).await
            }
            Joint::Link { link, declared, is_owner } => {
                let change = link_change(link, *is_owner, &row[0], key, false, path);
                let owner = if *is_owner { (table, row.clone()) } else { self.owner(target, key).await? };
                self.change_link(owner, *declared, change).await
            }
        }
    }

    async fn owner(&mut self, table: TableId, key: &Value) -> Result<(TableId, Image), Error> {
        let image = self.image(table, key, Some(Lock::Hold)).await?;
        Ok((table, image.ok_or_else(|| Error::internal("a row that was found is gone"))?))
    }

    /// Keys of the rows that hang on a row.
    async fn joined(&mut self, joint: &Joint, target: TableId, key: &Value) -> Result<Vec<Value>, Error> {
        match joint {
            Joint::Column(column) => {
                let images = self.images_by(target, *column, key, Some(Lock::Write)).await?;
                Ok(images.iter().map(|image| image[0].clone()).collect())
            }
            Joint::Link { link, is_owner, .. } => self.linked(link, *is_owner, key).await,
        }
    }

    /// Keys on the other side of a link table.
    pub(in crate::write) async fn linked(
        &mut self,
        link: &LinkTable,
        from_owner: bool,
        key: &Value,
    ) -> Result<Vec<Value>, Error> {
        let prepared = self.prepared.link(link);
        let statement = if from_owner { &prepared.targets } else { &prepared.owners };
        let rows = self.values(statement, std::slice::from_ref(key), Change::default()).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }

    /// Whether the caller sees that a row hangs there.
    async fn is_seen(&mut self, joint: &Joint, table: TableId, key: &Value) -> Result<bool, Error> {
        let Some(image) = self.image(table, key, Some(Lock::Write)).await? else { return Ok(false) };
        let is_column_seen = match joint {
            Joint::Column(column) => self.is_column_readable(table, *column, &image).await?,
            Joint::Link { .. } => true,
        };
        Ok(is_column_seen && self.is_readable(table, &image).await?)
    }

    /// Points a child's column at a row, or at none: an update of the child.
    async fn set_reference(
        &mut self,
        table: TableId,
        key: &Value,
        column: ColumnId,
        value: &Value,
        path: &str,
    ) -> Result<(), Error> {
        let Some(child) = self.image(table, key, Some(Lock::Write)).await? else { return Ok(()) };
        if child[column.0 as usize] == *value {
            return Ok(());
        }
        let declared = self.schema().table(table).column(column);
        let problem = if declared.immutable {
            Some(("immutable", "can be given at creation only"))
        } else if value.is_null() && !declared.nullable {
            Some(("required", "must not be null, so the row cannot be taken out; delete it instead"))
        } else {
            None
        };
        if let Some((problem, words)) = problem {
            return Err(Error::at(Key::Invalid, path, problem, format!("`{}` {words}", declared.name)));
        }
        let mark = self.afters.len();
        self.update(table, &child, vec![(column, value.clone())], &[], path).await?;
        self.ask_afters(mark).await
    }

    /// Makes or ends a link, as the rules of the declaring table let.
    async fn change_link(
        &mut self,
        (table, row): (TableId, Image),
        relation: RelationId,
        change: LinkWritten,
    ) -> Result<(), Error> {
        let operation = if change.added { Operation::Link } else { Operation::Unlink };
        let is_asked = self.require_link(table, operation, relation, &row, &change.path).await?;
        if self.hooks_of(table).is_some() {
            let name = self.schema().table(table).relation(relation).name.clone();
            let link = Linking { relation: name, target: change.target.clone() };
            let images = (Some(&row), Some(&row));
            self.require_rust(table, operation, images, Some(link), &change.path).await?;
        }
        // Without a rule of its own the link is a change of the declaring row, or a part of making it.
        if !is_asked && !self.is_creating(table, &row[0]) {
            let same = Change { old: Some(&row), new: Some(&row) };
            self.require(table, Operation::Update, &[], &row, same, &change.path).await?;
            let path = change.path.clone();
            self.afters.push(After {
                operation: Operation::Update,
                table,
                old: row,
                named: Vec::new(),
                path,
            });
        }
        self.hold_sides(&change.link, &change.owner, &change.target).await?;
        let prepared = self.prepared.link(&change.link);
        let statement = if change.added { &prepared.link } else { &prepared.unlink };
        let params = [change.owner.clone(), change.target.clone()];
        if self.write(statement, &params).await? > 0 {
            self.note_untold_link(&change);
            self.rows.note_link(change)?;
        }
        Ok(())
    }
}

/// What a row that comes to a relation, or leaves it, is found for.
fn target_lock(joint: &Joint) -> Lock {
    match joint {
        Joint::Column(_) => Lock::Write,
        Joint::Link { .. } => Lock::Hold,
    }
}

fn link_change(
    link: &Arc<LinkTable>,
    is_owner: bool,
    row: &Value,
    target: &Value,
    added: bool,
    path: &str,
) -> LinkWritten {
    let (owner, target) = if is_owner { (row, target) } else { (target, row) };
    LinkWritten {
        link: link.clone(),
        owner: owner.clone(),
        target: target.clone(),
        added,
        path: path.to_owned(),
    }
}
