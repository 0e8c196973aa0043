//! `check` and `warn` lines, asked when everything else of the request is done.
//!
//! For every row written, and for every row whose check reads one that was written. A failing check refuses the request,
//! each with its message; warnings refuse it until the caller names them. A warning's name is a hash of what it says, of
//! its place in the request and of the values that it read, so that accepting it says yes to this case and no other.

use std::collections::HashSet;

use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::{Check, ColumnId, RelationKind, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use mainstay_sql::plan::WayStep;
use sha2::{Digest, Sha256};

use super::depend::{CheckId, Way};
use super::rows::{Image, RowKey, too_many};
use super::rules::Change;
use super::run::Run;
use crate::error::{Error, FieldError, Key, Warning};

/// A check to be asked of a row.
struct Due {
    check: CheckId,
    row: Image,
    path: String,
}

impl<'a> Run<'a> {
    /// Asks everything that is due.
    pub(super) async fn check(&mut self, accepted: &[String]) -> Result<(), Error> {
        let (mut failed, mut warnings): (Vec<FieldError>, Vec<Warning>) = (Vec::new(), Vec::new());
        for due in self.due().await? {
            let check = self.check_of(due.check);
            let test = self.prepared.test(&check.condition);
            self.hold(due.check.table, &test, &due.row, Change::default()).await?;
            if self.truth(due.check.table, &test, &due.row, Change::default()).await? != Some(false) {
                continue;
            }
            let name = if due.check.warns { "warn" } else { "check" };
            Box::pin(self.note_check((due.check.table, check, name), &due.row, &due.path)).await?;
            let message = check.message.clone();
            if !due.check.warns {
                let error = FieldError { path: due.path, key: "check".to_owned(), message };
                if !failed.contains(&error) {
                    failed.push(error);
                }
                continue;
            }
            let warning =
                Warning { id: Box::pin(self.warning_id(&due, check)).await?, message, path: due.path };
            if !accepted.contains(&warning.id) && !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        if let Some(first) = failed.first() {
            let mut error = Error::new(Key::Check, first.message.clone());
            error.errors = failed;
            return Err(error);
        }
        if let Some(first) = warnings.first() {
            let mut error = Error::new(Key::Warnings, first.message.clone());
            error.warnings = warnings;
            return Err(error);
        }
        Ok(())
    }

    fn check_of(&self, check: CheckId) -> &'a Check {
        let table = self.schema().table(check.table);
        if check.warns { &table.warns[check.index] } else { &table.checks[check.index] }
    }

    async fn due(&mut self) -> Result<Vec<Due>, Error> {
        let (mut due, mut seen) = (Vec::new(), HashSet::new());
        let mut add = |check: CheckId, row: &Image, path: &str| {
            if seen.insert((check, RowKey::of(&row[0]))) {
                due.push(Due { check, row: row.clone(), path: path.to_owned() });
            }
        };
        let mut walks: Vec<(&'a Way, Vec<Image>, String)> = Vec::new();
        for written in self.rows.written() {
            if written.kind().is_none() {
                continue;
            }
            let table = self.schema().table(written.table);
            if let Some(row) = &written.after {
                for (warns, count) in [(false, table.checks.len()), (true, table.warns.len())] {
                    for index in 0..count {
                        add(CheckId { table: table.id, warns, index }, row, &written.path);
                    }
                }
            }
            let images: Vec<Image> = written.before.iter().chain(&written.after).cloned().collect();
            for way in self.prepared.dependencies.on_rows(written.table) {
                let differs = |column: &ColumnId| match images.as_slice() {
                    [before, after] => before[column.0 as usize] != after[column.0 as usize],
                    _ => true,
                };
                if way.columns.iter().any(differs) || (way.columns.is_empty() && images.len() == 1) {
                    walks.push((way, images.clone(), written.path.clone()));
                }
            }
        }
        for (way, images, path) in walks {
            for row in Box::pin(self.walk_back(&way.steps, images, &path)).await? {
                add(way.check, &row, &path);
            }
        }
        for change in self.rows.links().to_vec() {
            for way in self.prepared.dependencies.on_links(&change.link.db_name) {
                let Some((WayStep::Many { from, relation }, before)) = way.steps.split_last() else {
                    continue;
                };
                let kind = &self.schema().table(*from).relation(*relation).kind;
                let is_owner = matches!(kind, RelationKind::Link(_));
                let near = if is_owner { &change.owner } else { &change.target };
                let images: Vec<Image> =
                    Box::pin(self.image(*from, near, Some(Lock::Hold))).await?.into_iter().collect();
                for row in Box::pin(self.walk_back(before, images, &change.path)).await? {
                    add(way.check, &row, &change.path);
                }
            }
        }
        Ok(due)
    }

    /// The rows from which a way leads to some rows.
    async fn walk_back(
        &mut self,
        steps: &[WayStep],
        mut images: Vec<Image>,
        path: &str,
    ) -> Result<Vec<Image>, Error> {
        for step in steps.iter().rev() {
            let (mut next, mut seen) = (Vec::new(), HashSet::new());
            for image in &images {
                for row in self.step_back(step, image).await? {
                    if seen.insert(RowKey::of(&row[0])) {
                        next.push(row);
                    }
                }
                if next.len() as u64 > self.rows.rows_max() {
                    return Err(too_many(path, self.rows.rows_max()));
                }
            }
            images = next;
        }
        Ok(images)
    }

    async fn step_back(&mut self, step: &WayStep, image: &Image) -> Result<Vec<Image>, Error> {
        match step {
            WayStep::One { from, column } => {
                self.images_by(*from, *column, &image[0], Some(Lock::Hold)).await
            }
            WayStep::Many { from, relation } => {
                let keys = match &self.schema().table(*from).relation(*relation).kind {
                    RelationKind::Reverse { column } => vec![image[column.0 as usize].clone()],
                    RelationKind::Link(link) => self.linked(link, false, &image[0]).await?,
                    RelationKind::LinkReverse { link, .. } => self.linked(link, true, &image[0]).await?,
                };
                let mut rows = Vec::new();
                for key in keys.iter().filter(|key| !key.is_null()) {
                    rows.extend(self.image(*from, key, Some(Lock::Hold)).await?);
                }
                Ok(rows)
            }
        }
    }

    /// The name of a warning about a row. What the server gave in this very request stands in no name, because it will
    /// be another when the request is sent again.
    async fn warning_id(&mut self, due: &Due, check: &Check) -> Result<String, Error> {
        let table = due.check.table;
        let is_new = self.is_new(table, &due.row[0]);
        let mut hash = Sha256::new();
        for text in [&self.schema().table(table).name, &check.message, &due.path] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        if !is_new {
            hash.update(due.row[0].to_json());
        }
        let mut reads = Vec::new();
        collect_reads(&check.condition, &mut reads);
        let reads: Vec<Expr> =
            reads.into_iter().filter(|read| !self.is_given(read, is_new)).cloned().collect();
        if !reads.is_empty() {
            let statement = self.prepared.values(table, &reads);
            let values = self.values(&statement, &due.row[..1], Change::default()).await?;
            for (read, value) in reads.iter().zip(values.into_iter().flatten()) {
                let is_new_key = match read.ty {
                    mainstay_lang::types::Type::Ref(target) => self.is_new(target, &value),
                    _ => false,
                };
                hash.update(if is_new_key { "new".to_owned() } else { value.to_json() });
                hash.update([0]);
            }
        }
        Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    fn is_new(&self, table: TableId, key: &Value) -> bool {
        self.rows.get(table, key).is_some_and(|written| written.before.is_none())
    }

    /// Whether the server chose the value: times always, keys and numbers in new rows.
    fn is_given(&self, read: &Expr, is_new: bool) -> bool {
        let Node::Column { row, table, column } = &read.node else { return false };
        let declared = self.schema().table(*table).column(*column);
        let is_time = declared.stamp.is_some();
        let is_number = *column == ColumnId::ID || declared.auto.is_some() || declared.generated.is_some();
        is_time || (is_number && is_new && row.hops.is_empty())
    }
}

/// What a condition reads of its row and by relations, as far as it can be read from the row. A question to many rows is
/// read whole, wherever it starts: what stands in it speaks of those rows.
fn collect_reads<'e>(expr: &'e Expr, reads: &mut Vec<&'e Expr>) {
    match &expr.node {
        Node::Column { row, .. } if row.root == Root::Scope(0) => reads.push(expr),
        Node::Many(_) => reads.push(expr),
        _ => crate::expression::for_children(expr, &mut |child| collect_reads(child, reads)),
    }
}
