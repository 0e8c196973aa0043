//! Hooks between the statements of a request, and what they ask.
//!
//! A question is planned and carried out in the same transaction and on the same memory of what was written, under a context
//! and rules of its own; checks and the change log come at the end, for everything together. One that writes and fails has
//! left something half done, so the whole request fails with it, whatever the hook makes of the error.

use std::sync::Arc;

use mainstay_lang::schema::{ColumnId, LinkTable, Operation as Ruled, RelationKind, TableId};
use mainstay_lang::value::Value;

use super::Run;
use crate::error::Error;
use crate::hook::{
    Access, Answer, Answers, Asked, Changing, Deleted, Hooking, Linking, ListUpdated, Processing, Question,
    Row, TableHooks, Update, Updated,
};
use crate::part::Operation;
use crate::response::Response;
use crate::write::planned::Planned;
use crate::write::rows::{Image, LinkWritten};
use crate::write::value::{self, Problems};

/// An update that hooks have not been told of yet.
#[derive(Debug)]
pub(super) struct Untold {
    table: TableId,
    old: Image,
    new: Image,
}

impl Answers for Run<'_> {
    fn answer<'s>(&'s mut self, hooking: &'s Hooking, asked: Asked) -> Answer<'s> {
        Box::pin(async move {
            if asked.access == Access::Read {
                asked.refuse_writes(&hooking.planning)?;
            }
            let writes = asked.writes(&hooking.planning);
            let result = match &asked.question {
                Question::Along(along) => self.along(along).await.map(|()| Response::default()),
                Question::Operation(_) => self.nested(hooking, asked).await,
            };
            if let (true, Err(error)) = (writes, &result) {
                self.broken.get_or_insert_with(|| error.clone());
            }
            result
        })
    }

    fn broken(&mut self) -> Option<Error> {
        self.broken.clone()
    }
}

impl<'a> Run<'a> {
    /// What a hook asks, in this transaction.
    async fn nested(&mut self, hooking: &Hooking, asked: Asked) -> Result<Response, Error> {
        // What the request has put off is its own to be refused for.
        self.send_put_off().await?;
        let ctx = asked.context(&hooking.shared);
        let hooking = hooking.by(asked.by);
        let Question::Operation(Operation { mut documents, .. }) = asked.question else {
            return Ok(Response::default());
        };
        Box::pin(hooking.requests(self, &mut documents)).await?;
        let planned = Planned::new(&hooking.planning, &ctx, &documents)?;
        let mut run = Run::new(&mut *self.tx, &hooking.planning, &ctx);
        run.careful = planned.careful.clone();
        run.hooking = Some(&hooking);
        std::mem::swap(&mut run.memory, &mut self.memory);
        let result = Box::pin(run.nested_answer(&planned)).await;
        let Run { memory, broken, .. } = run;
        self.memory = memory;
        self.broken = self.broken.take().or(broken);
        let mut response = result?;
        Box::pin(hooking.results(self, &documents, &mut response)).await?;
        Ok(response)
    }

    async fn nested_answer(&mut self, planned: &Planned) -> Result<Response, Error> {
        let answers = planned.carry_out(self).await?;
        let response = planned.answer(self, answers).await?;
        // A hook that was answered may rely on it.
        match self.send_put_off().await {
            Ok(()) => Ok(response),
            Err(error) => Err(self.refusal.take().unwrap_or(error)),
        }
    }

    /// The hooks of a table, where hooks are called at all.
    pub(super) fn hooks_of(&self, table: TableId) -> Option<(&'a Hooking, &'a TableHooks)> {
        let hooking = self.hooking?;
        Some((hooking, hooking.planning.hooks.table(table)))
    }

    fn row(&self, table: TableId, image: &[Value]) -> Row {
        Row::new(self.planning.schema(), table, image)
    }

    /// Lets hooks change a row before it is written; answers the columns that they changed.
    pub(super) async fn processing(
        &mut self,
        table: TableId,
        old: Option<&Image>,
        row: &mut [Value],
        path: &str,
    ) -> Result<Vec<ColumnId>, Error> {
        let Some((hooking, hooks)) = self.hooks_of(table) else { return Ok(Vec::new()) };
        if hooks.on_processing.is_empty() {
            return Ok(Vec::new());
        }
        let old_row = old.map(|old| self.row(table, old));
        let processing = Processing { old: old_row, row: self.row(table, row) };
        let site = (Some(table), "on_processing", path);
        let processing = hooking.call_all(self, &hooks.on_processing, site, processing).await?;
        self.adopt(table, old, row, processing.row.values(), path).await
    }

    /// Takes over what hooks have set in a row, as far as it may be set; answers the columns.
    async fn adopt(
        &mut self,
        table: TableId,
        old: Option<&Image>,
        row: &mut [Value],
        set: &[Value],
        path: &str,
    ) -> Result<Vec<ColumnId>, Error> {
        let declared = self.schema().table(table);
        let mut problems = Problems::default();
        let mut changed = Vec::new();
        for column in &declared.columns {
            let place = column.id.0 as usize;
            if row[place] == set[place] {
                continue;
            }
            let path = crate::document::join_path(path, &column.name);
            if column.immutable && old.is_some_and(|old| old[place] != set[place]) {
                problems.add(&path, "immutable", "can be given at creation only");
            }
            if let (Some(target), false) = (column.target(), set[place].is_null()) {
                let lock = self.lock_to_refer(declared, column.id);
                self.require_readable(target, &set[place], lock, &path).await?;
            }
            row[place] = set[place].clone();
            changed.push(column.id);
        }
        problems.into_result()?;
        Ok(changed)
    }

    /// Columns that hooks may have filled and that still have no value.
    pub(super) fn require_values(&self, table: TableId, row: &[Value], path: &str) -> Result<(), Error> {
        let declared = self.schema().table(table);
        let mut problems = Problems::default();
        for column in declared.columns.iter().filter(|column| column.id != ColumnId::ID) {
            let value = &row[column.id.0 as usize];
            let is_given_later = column.auto.is_some() || column.generated.is_some();
            if value.is_null() && !column.nullable && !is_given_later {
                let path = crate::document::join_path(path, &column.name);
                value::check(column, self.schema().storage_type(&column.ty), value, &path, &mut problems);
            }
        }
        problems.into_result()
    }

    /// Tells hooks of a new row, and writes what they set in it.
    pub(super) async fn created(&mut self, table: TableId, row: Image, path: &str) -> Result<Image, Error> {
        match self.hooks_of(table) {
            Some((hooking, hooks)) if !hooks.on_create.is_empty() => {
                Box::pin(self.tell_created(hooking, hooks, table, row, path)).await
            }
            _ => Ok(row),
        }
    }

    async fn tell_created(
        &mut self,
        hooking: &Hooking,
        hooks: &TableHooks,
        table: TableId,
        row: Image,
        path: &str,
    ) -> Result<Image, Error> {
        // Nobody is told of a row that the database refuses.
        self.send_put_off().await?;
        let site = (Some(table), "on_create", path);
        let made = self.row(table, &row);
        let left = hooking.call_all(self, &hooks.on_create, site, made).await?;
        // The hook's own questions may have changed the row as well.
        let Some(current) = self.rows.current(table, &row) else { return Ok(row) };
        let mut next = current.to_vec();
        let set: Vec<Value> = left
            .values()
            .iter()
            .zip(row.iter())
            .zip(current.iter())
            .map(|((left, was), now)| if left == was { now.clone() } else { left.clone() })
            .collect();
        let changed = self.adopt(table, None, &mut next, &set, path).await?;
        if changed.is_empty() {
            return Ok(current);
        }
        self.require_values(table, &next, path)?;
        let next = Image::from(next);
        self.hold_parents(table, &[&current, &next], Some(&changed)).await?;
        self.store(table, &current, &next, &changed, &[], path).await?;
        if let Some(after) = self.afters.last_mut() {
            after.named.extend(changed);
        }
        Ok(self.rows.current(table, &next).unwrap_or(next))
    }

    /// Notes an update that hooks are to be told of.
    pub(super) fn note_update(&mut self, table: TableId, old: &Image, new: &Image) {
        if self.hooks_of(table).is_some_and(|(_, hooks)| !hooks.on_update.is_empty()) {
            self.untold.push(Untold { table, old: old.clone(), new: new.clone() });
        }
    }

    /// Tells hooks of the updates noted so far, those of one table together.
    pub(super) async fn tell_updates(&mut self, path: &str) -> Result<(), Error> {
        let mut untold = std::mem::take(&mut self.untold);
        if !untold.is_empty() {
            self.send_put_off().await?;
        }
        while let Some(table) = untold.first().map(|update| update.table) {
            let (now, later): (Vec<_>, Vec<_>) = untold.into_iter().partition(|update| update.table == table);
            untold = later;
            let Some((hooking, hooks)) = self.hooks_of(table) else { continue };
            let updated = self.updated(table, &now);
            hooking.call_all(self, &hooks.on_update, (Some(table), "on_update", path), updated).await?;
        }
        Ok(())
    }

    fn updated(&self, table: TableId, updates: &[Untold]) -> Updated {
        let row = |image: &Image| self.row(table, image);
        let update = |update: &Untold| Update { old: row(&update.old), new: row(&update.new) };
        Updated { rows: updates.iter().map(update).collect() }
    }

    /// Notes a link that hooks are to be told of.
    pub(super) fn note_untold_link(&mut self, link: &LinkWritten) {
        let sees = |table| self.hooks_of(table).is_some_and(|(_, hooks)| !hooks.on_list_update.is_empty());
        if sees(link.link.owner) || sees(link.link.target) {
            self.untold_links.push(link.clone());
        }
    }

    /// Tells hooks of the links noted so far: each side that is still there, by the name that its list has.
    pub(super) async fn tell_links(&mut self, path: &str) -> Result<(), Error> {
        let links = std::mem::take(&mut self.untold_links);
        let mut lists: Vec<(TableId, ListUpdated)> = Vec::new();
        for change in &links {
            for is_owner in [true, false] {
                let LinkWritten { link, owner, target, added, .. } = change;
                let (table, key, other) =
                    if is_owner { (link.owner, owner, target) } else { (link.target, target, owner) };
                let is_gone = self.rows.get(table, key).is_some_and(|row| row.is_gone());
                let Some(relation) = self.list_name(link, is_owner).filter(|_| !is_gone) else { continue };
                let place = lists.iter().position(|(known, list)| {
                    *known == table && list.row == *key && list.relation == relation
                });
                let place = place.unwrap_or_else(|| {
                    let (added, removed) = (Vec::new(), Vec::new());
                    lists.push((table, ListUpdated { row: key.clone(), relation, added, removed }));
                    lists.len() - 1
                });
                let list = &mut lists[place].1;
                if *added { &mut list.added } else { &mut list.removed }.push(other.clone());
            }
        }
        for (table, list) in lists {
            let Some((hooking, hooks)) = self.hooks_of(table) else { continue };
            let site = (Some(table), "on_list_update", path);
            hooking.call_all(self, &hooks.on_list_update, site, list).await?;
        }
        Ok(())
    }

    /// The name of the list that a link is in, on one side; none: that side has no list.
    fn list_name(&self, link: &Arc<LinkTable>, is_owner: bool) -> Option<String> {
        let table = self.schema().table(if is_owner { link.owner } else { link.target });
        let relation = table.relations.iter().find(|relation| match &relation.kind {
            RelationKind::Link(own) => is_owner && own.db_name == link.db_name,
            RelationKind::LinkReverse { link: other, .. } => !is_owner && other.db_name == link.db_name,
            RelationKind::Reverse { .. } => false,
        });
        relation.map(|relation| relation.name.clone())
    }

    /// Tells hooks of rows that are about to go, those of one table together.
    pub(super) async fn tell_deletions(
        &mut self,
        doomed: &[(TableId, Image)],
        path: &str,
    ) -> Result<(), Error> {
        let mut tables: Vec<TableId> = Vec::new();
        for (table, _) in doomed {
            if !tables.contains(table) {
                tables.push(*table);
            }
        }
        for table in tables {
            let Some((hooking, hooks)) = self.hooks_of(table) else { continue };
            let own = doomed.iter().filter(|(of, _)| *of == table);
            let deleted = Deleted { rows: own.map(|(_, image)| self.row(table, image)).collect() };
            hooking.call_all(self, &hooks.on_delete, (Some(table), "on_delete", path), deleted).await?;
        }
        Ok(())
    }

    /// Whether hooks are to be told when rows of a table go.
    pub(super) fn sees_deletions(&self, table: TableId) -> bool {
        self.hooks_of(table).is_some_and(|(_, hooks)| !hooks.on_delete.is_empty())
    }

    /// Asks the rules in Rust, behind those declared.
    pub(super) async fn require_rust(
        &mut self,
        table: TableId,
        operation: Ruled,
        (old, new): (Option<&Image>, Option<&Image>),
        link: Option<Linking>,
        path: &str,
    ) -> Result<(), Error> {
        let Some((hooking, hooks)) = self.hooks_of(table) else { return Ok(()) };
        let (rules, name) = match operation {
            Ruled::Create => (&hooks.may_create, "create"),
            Ruled::Update => (&hooks.may_update, "update"),
            Ruled::Delete => (&hooks.may_delete, "delete"),
            Ruled::Link => (&hooks.may_link, "link"),
            Ruled::Unlink => (&hooks.may_unlink, "unlink"),
            Ruled::Read => return Ok(()),
        };
        if rules.is_empty() || self.ctx.caller.admin {
            return Ok(());
        }
        let changing = Changing {
            operation,
            old: old.map(|image| self.row(table, image)),
            new: new.map(|image| self.row(table, image)),
            link,
        };
        hooking.call_all(self, rules, (Some(table), name, path), changing).await?;
        Ok(())
    }
}
