//! Finding the rows of a step, once, under the rules for reading.

use mainstay_lang::expr::{Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, Operation, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::Images;

use super::Run;
use super::step::{Among, Place};
use crate::catalog::Rule;
use crate::error::{Error, Key};
use crate::write::plan::{Find, Step};
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
        let mut images = match &find.key {
            Some(key) => self.find_key(step.table, key, &place.among).await?,
            None => self.find_all(step, find, &place.among).await?,
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
        path: &str,
    ) -> Result<(), Error> {
        let is_self = self.is_steady_self(table, key);
        if is_self && self.ctx.caller.sees_self.get().is_some() {
            return Ok(());
        }
        if self.find_key(table, key, &Among::All).await?.is_empty() {
            self.note_unreadable(table, key, path).await?;
            return Err(refused(path));
        }
        if is_self {
            self.ctx.caller.sees_self.get_or_init(|| ());
        }
        Ok(())
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
            && let Some(row) = self.image(table, key).await?
        {
            self.note_refusal(table, Operation::Read, None, &row, Change::default(), path).await?;
        }
        Ok(())
    }

    async fn find_key(&mut self, table: TableId, key: &Value, among: &Among) -> Result<Vec<Image>, Error> {
        let Some(image) = self.image(table, key).await? else { return Ok(Vec::new()) };
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

    async fn find_all(&mut self, step: &Step, find: &Find, among: &Among) -> Result<Vec<Image>, Error> {
        match among {
            Among::All => self.find_where(step, find, None, &[]).await,
            Among::Column(column, value) => {
                let condition = equals_param(self.schema(), step.table, *column, count_of(&find.params));
                self.find_where(step, find, Some(condition), std::slice::from_ref(value)).await
            }
            Among::Keys(keys) => {
                let mut images = Vec::new();
                for keys in keys.chunks(KEYS_MAX) {
                    let (condition, keys) = self.one_of(step.table, keys, count_of(&find.params));
                    images.extend(self.find_where(step, find, Some(condition), &keys).await?);
                }
                Ok(images)
            }
        }
    }

    async fn find_where(
        &mut self,
        step: &Step,
        find: &Find,
        condition: Option<Expr>,
        values: &[Value],
    ) -> Result<Vec<Image>, Error> {
        let mut params: Vec<Value> = find.params.iter().chain(values).cloned().collect();
        let filter = find.filter.iter().cloned().chain(condition).collect();
        // One row more than may be written tells that there are too many.
        let limit = Expr { node: Node::Param(count_of(&params)), ty: Type::Int, span: Default::default() };
        params
            .push(Value::Int(i64::try_from(self.rows.rows_max()).unwrap_or(i64::MAX - 1).saturating_add(1)));
        let images =
            Images { table: step.table, filter, limit: Some(limit), for_update: step.changes_rows() };
        let statement = self.prepared.images(&images);
        let rows = self.values(&statement, &params, Change::default()).await?;
        Ok(rows.into_iter().map(Image::from).collect())
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
