//! Finding the rows of a step, once, under the rules for reading.

use mainstay_lang::expr::{Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, Operation, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use mainstay_sql::plan::Images;

use super::step::{Among, Place};
use super::{Manner, Run};
use crate::catalog::Rule;
use crate::error::{Error, Key};
use crate::write::plan::{Find, ListStep, Step};
use crate::write::prepared::equals_param;
use crate::write::rows::{Image, too_many};
use crate::write::rules::Change;

/// Keys in one statement; more are asked for in turns.
const KEYS_MAX: usize = 512;

impl Run<'_> {
    /// The rows of a step.
    pub(super) async fn find(
        &mut self,
        step: &Step,
        find: &Find,
        place: &Place,
    ) -> Result<Vec<Image>, Error> {
        let lock = self.lock_to_find(step).max(place.lock);
        let mut images = match &find.key {
            Some(key) => match self.glance_at(step.table, key).await? {
                Some(seen) => self.readable(step.table, seen).await?,
                None => self.find_key(step.table, key, &place.among, lock).await?,
            },
            None => self.find_all(step, find, &place.among, lock).await?,
        };
        if let Among::Column(column, _) = &place.among {
            images = self.seen_by(step.table, *column, images).await?;
        }
        if let Some(key) = &find.key
            && images.is_empty()
            && find.is_relation
        {
            self.note_unreadable(step.table, key, &step.path).await?;
            return Err(refused(&step.path));
        }
        if place.one && images.len() != 1 {
            let count = if images.is_empty() { "none" } else { "several" };
            let table = &self.schema().table(step.table).name;
            let message = format!("must find exactly one {table}, and finds {count}");
            return Err(Error::at(Key::NotOne, &step.path, "not_one", message));
        }
        if images.len() as u64 > self.rows.rows_max() {
            return Err(too_many(&step.path, self.rows.rows_max()));
        }
        Ok(images)
    }

    /// The rows whose column the caller may read: by one that is hidden nobody learns what hangs on a row.
    async fn seen_by(
        &mut self,
        table: TableId,
        column: ColumnId,
        images: Vec<Image>,
    ) -> Result<Vec<Image>, Error> {
        if self.guard().column_rule(table, Operation::Read, column).is_none() {
            return Ok(images);
        }
        let mut seen = Vec::with_capacity(images.len());
        for image in images {
            if self.is_column_readable(table, column, &image).await? {
                seen.push(image);
            }
        }
        Ok(seen)
    }

    /// The target of a relation must be there for the caller.
    pub(super) async fn require_readable(
        &mut self,
        table: TableId,
        key: &Value,
        lock: Lock,
        path: &str,
    ) -> Result<(), Error> {
        let is_self = lock == Lock::Hold && self.is_steady_self(table, key);
        if is_self && self.ctx.caller.sees_self.get().is_some() {
            return Ok(());
        }
        if Box::pin(self.find_key(table, key, &Among::All, lock)).await?.is_empty() {
            Box::pin(self.note_unreadable(table, key, path)).await?;
            return Err(refused(path));
        }
        if is_self {
            self.ctx.caller.sees_self.get_or_init(|| ());
        }
        Ok(())
    }

    /// Whether a reference is judged by the database that keeps it: where everybody may read the rows, one only has to be there.
    pub(super) fn may_leave(&self, from: TableId, table: TableId, key: &Value, lock: Lock) -> bool {
        self.manner == Manner::Swift
            && lock == Lock::Hold
            && !self.schema().existing
            && self.inquiry.is_none()
            && matches!(self.guard().rule(table, Operation::Read), Rule::Always)
            && self.rows.get(table, key).is_none()
            && self.hooks_of(from).is_none()
    }

    /// Whether the row is the caller's own and whether it may be read is decided by nothing but what is kept of the
    /// caller: rows that name their owner are the commonest of all, and their owner need not be looked up each time.
    fn is_steady_self(&self, table: TableId, key: &Value) -> bool {
        let caller = &self.ctx.caller;
        caller.user.as_ref() == Some(key)
            && self.schema().user_table().is_some_and(|users| users.id == table)
            && self.ctx.tenant.is_none()
            && self.rows.get(table, key).is_none()
            && match self.guard().rule(table, Operation::Read) {
                Rule::Never | Rule::Always => true,
                Rule::When(condition) => self.prepared.test(&condition).steady,
            }
    }

    /// For whoever asks why: a row that is there, but not for this caller.
    async fn note_unreadable(&mut self, table: TableId, key: &Value, path: &str) -> Result<(), Error> {
        if self.inquiry.is_some()
            && let Some(row) = self.image(table, key, None).await?
        {
            self.note_refusal(table, Operation::Read, None, &row, Change::default(), path).await?;
        }
        Ok(())
    }

    /// Those of some rows that the caller may read.
    async fn readable(&mut self, table: TableId, images: Vec<Image>) -> Result<Vec<Image>, Error> {
        let mut readable = Vec::with_capacity(images.len());
        for image in images {
            if self.is_readable(table, &image).await? {
                readable.push(image);
            }
        }
        Ok(readable)
    }

    async fn find_key(
        &mut self,
        table: TableId,
        key: &Value,
        among: &Among,
        lock: Lock,
    ) -> Result<Vec<Image>, Error> {
        let is_open = !matches!(self.guard().rule(table, Operation::Read), Rule::When(_));
        // Where everybody may read it, it only has to be there, which the reference to it sees to.
        let lock = Some(lock).filter(|lock| *lock > Lock::Hold || !is_open);
        let Some(image) = self.image(table, key, lock).await? else { return Ok(Vec::new()) };
        let is_among = match among {
            Among::All => true,
            Among::Keys(keys) => keys.contains(key),
            Among::Column(column, value) => image[column.0 as usize] == *value,
        };
        if !is_among || !self.is_readable(table, &image).await? {
            return Ok(Vec::new());
        }
        Ok(vec![image])
    }

    async fn find_all(
        &mut self,
        step: &Step,
        find: &Find,
        among: &Among,
        lock: Lock,
    ) -> Result<Vec<Image>, Error> {
        let lock = Some(lock);
        let images = match among {
            Among::All => self.find_where(step, find, None, &[], lock).await?,
            Among::Column(column, value) => {
                let condition = equals_param(self.schema(), step.table, *column, count_of(&find.params));
                self.find_where(step, find, Some(condition), std::slice::from_ref(value), lock).await?
            }
            Among::Keys(keys) => self.find_keys(step, find, keys, lock).await?,
        };
        self.still_found(step, find, images).await
    }

    async fn find_keys(
        &mut self,
        step: &Step,
        find: &Find,
        keys: &[Value],
        lock: Option<Lock>,
    ) -> Result<Vec<Image>, Error> {
        let mut images = Vec::new();
        for keys in keys.chunks(KEYS_MAX) {
            let (condition, keys) = self.one_of(step.table, keys, count_of(&find.params));
            images.extend(self.find_where(step, find, Some(condition), &keys, lock).await?);
        }
        Ok(images)
    }

    /// Those of the rows found that are still what was looked for. A database that has waited for a row looks at it again,
    /// but at no other: conditions that follow relations are asked once more, of rows that nobody changes any more.
    async fn still_found(
        &mut self,
        step: &Step,
        find: &Find,
        images: Vec<Image>,
    ) -> Result<Vec<Image>, Error> {
        let is_settled = !self.prepared.holds() || find.filter.iter().all(Expr::is_row_local);
        if is_settled || images.is_empty() {
            return Ok(images);
        }
        if let Rule::When(rule) = self.guard().rule(step.table, Operation::Read) {
            let test = self.prepared.test(&rule);
            for image in &images {
                self.hold(step.table, &test, image, Change::default()).await?;
            }
        }
        let keys: Vec<Value> = images.iter().map(|image| image[0].clone()).collect();
        self.find_keys(step, find, &keys, None).await
    }

    async fn find_where(
        &mut self,
        step: &Step,
        find: &Find,
        condition: Option<Expr>,
        values: &[Value],
        lock: Option<Lock>,
    ) -> Result<Vec<Image>, Error> {
        let mut params: Vec<Value> = find.params.iter().chain(values).cloned().collect();
        let filter = find.filter.iter().cloned().chain(condition).collect();
        // One row more than may be written tells that there are too many.
        let limit = Expr { node: Node::Param(count_of(&params)), ty: Type::Int, span: Default::default() };
        params
            .push(Value::Int(i64::try_from(self.rows.rows_max()).unwrap_or(i64::MAX - 1).saturating_add(1)));
        let statement = self.prepared.images(&Images { table: step.table, filter, limit: Some(limit), lock });
        let rows = self.values(&statement, &params, Change::default()).await?;
        let images: Vec<Image> = rows.into_iter().map(Image::from).collect();
        self.note_held(step.table, &images, lock);
        Ok(images)
    }

    /// What the rows of a step are found for.
    fn lock_to_find(&self, step: &Step) -> Lock {
        let is_watched = |list: &ListStep| {
            let relation = self.schema().table(step.table).relation(list.relation);
            self.prepared.watched.is_relation(&relation.kind, relation.target)
        };
        match step {
            _ if step.deletes => Lock::Delete,
            _ if !step.assigns.is_empty() || step.lists.iter().any(is_watched) => Lock::Write,
            _ => Lock::Hold,
        }
    }

    /// What a row is found for that a column comes to refer to.
    pub(super) fn lock_to_refer(&self, table: &Table, column: ColumnId) -> Lock {
        if self.prepared.watched.is_column(table.id, column) { Lock::Write } else { Lock::Hold }
    }

    /// `id in (…)` with parameters from a number on. The number of keys is rounded up by repeating the last one, so that
    /// few statements serve all lengths.
    pub(in crate::write) fn one_of(&self, table: TableId, keys: &[Value], first: u32) -> (Expr, Vec<Value>) {
        let ty = self.schema().key_type(table).clone();
        let expr = |node| Expr { node, ty: ty.clone(), span: Default::default() };
        let mut keys = keys.to_vec();
        if let Some(last) = keys.last().cloned() {
            keys.resize(keys.len().next_power_of_two(), last);
        }
        let items = (first..).take(keys.len()).map(|param| expr(Node::Param(param))).collect();
        let value = expr(Node::Column { row: RowPath::here(), table, column: ColumnId::ID });
        let node = Node::In { value: Box::new(value), items };
        (Expr { node, ty: Type::Bool, span: Default::default() }, keys)
    }
}

/// A row that may not be read and one that is not there are refused alike.
pub(super) fn refused(path: &str) -> Error {
    Error::at(Key::RelationRefused, path, "relation", "there is no such row to refer to")
}

fn count_of(params: &[Value]) -> u32 {
    u32::try_from(params.len()).expect("a request is smaller than 2^32 values")
}
