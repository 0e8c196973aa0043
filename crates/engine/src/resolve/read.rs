//! A part that reads, as plans.

use mainstay_lang::schema::TableId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{Aggregate, Select};

use super::constraint::from_request;
use super::params::{Reading, Source};
use super::{Resolver, keyword};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::expression::{column_here, expr};
use crate::part::{Field, Part};
use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::schema::ColumnId;

/// What a top-level part reads.
#[derive(Debug)]
pub struct PartPlan {
    /// The rows.
    pub read: ReadPlan,
    /// Whether the number of all rows that pass is wanted besides.
    pub count: bool,
}

/// The rows that a part answers.
#[derive(Debug)]
pub enum ReadPlan {
    /// Rows of a table.
    Rows(Box<Select>),
    /// Groups of them.
    Groups(Box<Aggregate>),
}

impl Resolver<'_> {
    /// The plan of a top-level part that only reads.
    ///
    /// # Errors
    /// Everything that can be wrong with a request without asking the database.
    pub fn read(&mut self, table: TableId, part: &Part) -> Result<PartPlan, Error> {
        keyword::check(part, keyword::TOP_LEVEL, "at the top level")?;
        keyword::check_together(part)?;
        self.nested(&part.path, |resolver| {
            if !part.aggregate.is_empty() {
                let aggregate = resolver.aggregate(table, part)?;
                return Ok(PartPlan { read: ReadPlan::Groups(Box::new(aggregate)), count: false });
            }
            let mut select = resolver.select(table, part)?;
            let (limit, rows) = resolver.page_size(part)?;
            // At most one row has a given key: nothing follows it, and there is nothing to sort.
            let is_point = part.after.is_none() && names_one_row(part);
            select.paged = !is_point;
            if is_point && part.limit.is_none() && part.offset.is_none() {
                select.order.clear();
            } else {
                select.limit = Some(limit);
                select.limit_bound = limit_bound(rows);
            }
            Ok(PartPlan { read: ReadPlan::Rows(Box::new(select)), count: part.count })
        })
    }

    /// What a part shows of the rows with these keys that the caller may read, in the order of their keys.
    ///
    /// # Errors
    /// As [`Resolver::read`].
    pub fn shown(&mut self, table: TableId, part: &Part, keys: &[Value]) -> Result<Select, Error> {
        let id = column_here(self.schema.table(table), ColumnId::ID);
        let items = keys.iter().map(|key| self.params.add(key.clone(), &id.ty)).collect();
        let among = expr(Node::In { value: Box::new(id), items }, Type::Bool);
        let mut select = self.nested(&part.path, |resolver| resolver.select(table, part))?;
        select.filter.insert(0, among);
        select.order.clear();
        Ok(select)
    }

    /// What a subscription shows of the rows that it is about, in no order.
    ///
    /// # Errors
    /// As [`Resolver::read`].
    pub(crate) fn watched(&mut self, table: TableId, part: &Part) -> Result<Select, Error> {
        self.guard.recent_check(table)?;
        let mut select = self.nested(&part.path, |resolver| resolver.select(table, part))?;
        select.order.clear();
        Ok(select)
    }

    /// Rows and all that is nested in them, without the bounds of a page.
    pub(super) fn select(&mut self, table: TableId, part: &Part) -> Result<Select, Error> {
        let filter = self.seen_filter(table, part)?;
        let outputs = self.outputs(table, part)?;
        let order = self.order(table, part)?;
        let cursor_tag = self.cursor_tag(table, part);
        let after = self.after(table, part, &order, &cursor_tag)?;
        let offset = part.offset.map(|offset| self.number(part, "offset", offset, u64::MAX));
        Ok(Select {
            table,
            filter,
            outputs,
            order,
            limit: None,
            limit_bound: None,
            offset,
            after,
            paged: false,
            cursor_tag,
        })
    }

    /// As a parameter and as a number.
    fn page_size(&mut self, part: &Part) -> Result<(Expr, u64), Error> {
        let max = self.limits.page_max;
        match part.limit {
            None => {
                let rows = self.limits.page_default;
                Ok((self.params.add_from(int_value(rows), &Type::Int, Source::Shape), rows))
            }
            Some(limit) if limit <= max => Ok((self.number(part, "limit", limit, max), limit)),
            Some(_) => {
                let words = format!("may be at most {max}; `next` leads to the rows behind");
                Err(Error::at(Key::Limit, join_path(&part.path, "limit"), "max", words))
            }
        }
    }

    /// A bound of a page as a parameter, so that pages of any size share a statement.
    pub(super) fn number(&mut self, part: &Part, word: &str, number: u64, max: u64) -> Expr {
        let source = from_request(&join_path(&part.path, word), Reading::Number(max));
        self.params.add_from(int_value(number), &Type::Int, source)
    }
}

/// The bound of a limit that stands in statements ([`Select::limit_bound`]): the next power of four. A limit beyond any page
/// has none.
pub(crate) fn limit_bound(limit: u64) -> Option<u64> {
    (1..=10).map(|exponent| 1 << (2 * exponent)).find(|bound| *bound > limit)
}

/// The database's integers are signed.
pub(crate) fn int_value(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn names_one_row(part: &Part) -> bool {
    part.fields.iter().any(|(name, field)| name == "id" && matches!(field, Field::Scalar(_)))
}
