//! `order`: `[-]path [nulls first|last]`.

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::compile_value;
use mainstay_lang::schema::TableId;
use mainstay_sql::plan::Order;

use super::{Resolver, text};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::expression::column_here;
use crate::part::Part;

/// One item of `order`, as written.
pub(super) struct OrderText<'t> {
    /// A path, or the name of a group or value.
    pub(super) path: &'t str,
    /// Largest first.
    pub(super) descending: bool,
    /// Null before everything else.
    pub(super) nulls_first: bool,
}

impl Resolver<'_> {
    /// The order that a part asks for, or the table's own.
    pub(super) fn order(&mut self, table: TableId, part: &Part) -> Result<Vec<Order>, Error> {
        if part.order.is_empty() {
            return Ok(self.default_order(table));
        }
        let mut order = Vec::with_capacity(part.order.len());
        for (index, item) in part.order.iter().enumerate() {
            let path = format!("{}/{index}", join_path(&part.path, "order"));
            let OrderText { path: text, descending, nulls_first } = read(item, &path)?;
            let by = self.path_value(table, text, &path)?;
            order.push(Order { by, descending, nulls_first });
        }
        Ok(order)
    }

    /// A path of `order` or `group`, seen by the caller.
    pub(super) fn path_value(&self, table: TableId, written: &str, path: &str) -> Result<Expr, Error> {
        if !is_path(written) {
            let words = "must be a path such as `sender.name`";
            return Err(Error::at(Key::Query, path, "form", words));
        }
        let value =
            compile_value(self.schema, table, written).map_err(|found| text::error(path, written, &found))?;
        self.guard.eyes_unguarded(table, &value, path)
    }

    /// Columns that the caller may not read in every row sort nothing: their order would tell their values.
    fn default_order(&self, table: TableId) -> Vec<Order> {
        let table = self.schema.table(table);
        let items = table.order.iter().filter_map(|item| {
            let by = self.guard.eyes_unguarded(table.id, &column_here(table, item.column), "").ok()?;
            Some(Order { by, descending: item.descending, nulls_first: false })
        });
        items.collect()
    }
}

/// Takes an item of `order` apart.
pub(super) fn read<'t>(item: &'t str, path: &str) -> Result<OrderText<'t>, Error> {
    let words: Vec<&str> = item.split_ascii_whitespace().collect();
    let (name, nulls_first) = match words.as_slice() {
        [name] => (*name, false),
        [name, nulls, place]
            if nulls.eq_ignore_ascii_case("nulls") && place.eq_ignore_ascii_case("first") =>
        {
            (*name, true)
        }
        [name, nulls, place] if nulls.eq_ignore_ascii_case("nulls") && place.eq_ignore_ascii_case("last") => {
            (*name, false)
        }
        _ => {
            let words = "must be a path, with `-` before it for the largest first and `nulls first` behind it if wanted";
            return Err(Error::at(Key::Query, path, "form", words));
        }
    };
    match name.strip_prefix('-') {
        Some(path) => Ok(OrderText { path, descending: true, nulls_first }),
        None => Ok(OrderText { path: name, descending: false, nulls_first }),
    }
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}
