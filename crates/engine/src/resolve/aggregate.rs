//! `aggregate` and `group`: values over rows that the caller may read.

use mainstay_lang::filter::compile_aggregate;
use mainstay_lang::schema::{Member, TableId};
use mainstay_sql::plan::{Aggregate, AggregateOrder, Computed};

use super::constraint::nested_part;
use super::order::OrderText;
use super::{Resolver, name, order, text};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::Part;

impl Resolver<'_> {
    /// The groups of a part. A value that the caller may not read counts as null in them.
    pub(super) fn aggregate(&mut self, table: TableId, part: &Part) -> Result<Aggregate, Error> {
        self.refuse_shown_relations(table, part)?;
        let filter = self.seen_filter(table, part)?;
        let mut groups = Vec::with_capacity(part.group.len());
        for (index, written) in part.group.iter().enumerate() {
            let path = format!("{}/{index}", join_path(&part.path, "group"));
            let by = self.path_value(table, written, &path)?;
            refuse_twice(written, groups.iter().map(|(name, _)| name), &path)?;
            groups.push((written.clone(), by));
        }
        let mut values = Vec::with_capacity(part.aggregate.len());
        for (name, written) in &part.aggregate {
            let path = join_path(&join_path(&part.path, "aggregate"), name);
            refuse_twice(name, groups.iter().map(|(name, _)| name), &path)?;
            let found = compile_aggregate(self.schema, table, written)
                .map_err(|found| text::error(&path, written, &found))?;
            let of = found.arg.map(|arg| self.guard.eyes(table, &arg));
            values.push((name.clone(), Computed { function: found.function, of }));
        }
        let order = group_order(part, &groups, &values)?;
        let limit = part.limit.map(|limit| self.number(part, "limit", limit, u64::MAX));
        let offset = part.offset.map(|offset| self.number(part, "offset", offset, u64::MAX));
        Ok(Aggregate { table, filter, groups, values, order, limit, offset })
    }

    /// A nested part that restricts nothing would be said in vain.
    fn refuse_shown_relations(&self, table: TableId, part: &Part) -> Result<(), Error> {
        let table = self.schema.table(table);
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            let is_vain = match name::member(table, name, &path)? {
                Member::Column(id) => {
                    nested_part(table.column(id), field)?.is_some_and(|part| !part.required)
                }
                Member::Relation(id) => {
                    self.parts_of_many(table.relation(id), field, &path)?.iter().any(|part| !part.required)
                }
            };
            if is_vain {
                let words = "beside `aggregate` a nested part only restricts, so it needs `required`";
                return Err(Error::at(Key::Query, path, "required", words));
            }
        }
        Ok(())
    }
}

fn group_order<G, V>(
    part: &Part,
    groups: &[(String, G)],
    values: &[(String, V)],
) -> Result<Vec<AggregateOrder>, Error> {
    let names = || groups.iter().map(|(name, _)| name).chain(values.iter().map(|(name, _)| name));
    let mut order = Vec::with_capacity(part.order.len());
    for (index, item) in part.order.iter().enumerate() {
        let path = format!("{}/{index}", join_path(&part.path, "order"));
        let OrderText { path: name, descending, nulls_first } = order::read(item, &path)?;
        let Some(item) = names().position(|known| known == name) else {
            let what = "neither `group` nor `aggregate` names";
            return Err(name::unknown(&path, "order", name, what, names().map(String::as_str)));
        };
        order.push(AggregateOrder { item, descending, nulls_first });
    }
    Ok(order)
}

fn refuse_twice<'n>(
    name: &str,
    mut known: impl Iterator<Item = &'n String>,
    path: &str,
) -> Result<(), Error> {
    if known.any(|known| known == name) {
        return Err(Error::at(Key::Query, path, "duplicate", format!("`{name}` stands twice")));
    }
    Ok(())
}
