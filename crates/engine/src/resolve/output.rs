//! What the rows of a part show: the key, what `get` names, and what the part constrains.

use mainstay_lang::schema::{Column, ColumnId, Member, Relation, Table, TableId};
use mainstay_sql::plan::{Output, OutputKind, Select};

use super::constraint::nested_part;
use super::read::limit_bound;
use super::{Resolver, keyword, name};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::part::{Get, Part};

impl Resolver<'_> {
    /// The members of a part's rows, each once.
    pub(super) fn outputs(&mut self, table: TableId, part: &Part) -> Result<Vec<Output>, Error> {
        let table = self.schema.table(table);
        let mut outputs = Outputs::default();
        outputs.put(self.column(table, table.column(ColumnId::ID)));
        for get in part.get.iter().flatten() {
            match get {
                Get::All => {
                    for column in table.columns.iter().filter(|column| !column.secret && !column.hidden) {
                        if !self.is_nested(column, part)? && !is_asked_into(part, &column.name) {
                            outputs.put(self.column(table, column));
                        }
                    }
                }
                Get::Member(name, members) => self.get(table, name, members, part, &mut outputs)?,
            }
        }
        for (name, field) in &part.fields {
            let path = join_path(&part.path, name);
            match name::member(table, name, &path)? {
                Member::Column(id) => {
                    let column = table.column(id);
                    match nested_part(column, field)? {
                        Some(nested) => outputs.put(self.one(table, column, nested)?),
                        None => outputs.put(self.column(table, column)),
                    }
                }
                Member::Relation(id) => {
                    let relation = table.relation(id);
                    match self.parts_of_many(relation, field, &path)?.as_slice() {
                        [nested] => self.many(table, relation, nested, &mut outputs)?,
                        _ => {
                            let words = format!("rows are read by one part; write those of `{name}` in one");
                            return Err(Error::at(Key::Query, path, "form", words));
                        }
                    }
                }
            }
        }
        Ok(outputs.list)
    }

    fn get(
        &mut self,
        table: &Table,
        name: &str,
        members: &[Get],
        part: &Part,
        outputs: &mut Outputs,
    ) -> Result<(), Error> {
        let path = join_path(&part.path, "get");
        let member = name::member(table, name, &path)?;
        let nested = Part { path: path.clone(), get: Some(members.to_vec()), ..Part::default() };
        match member {
            Member::Column(id) if members.is_empty() => {
                // A part of its own under the same name says more, and comes later.
                if !self.is_nested(table.column(id), part)? {
                    outputs.put(self.column(table, table.column(id)));
                }
            }
            _ if part.fields.iter().any(|(field, _)| field == name) => {
                if !members.is_empty() {
                    let words = format!("`{name}` has a part of its own, which says what to get");
                    return Err(Error::at(Key::Query, path, "get", words));
                }
            }
            Member::Column(id) if table.column(id).target().is_some() => {
                outputs.put(self.one(table, table.column(id), &nested)?);
            }
            Member::Column(_) => {
                let words = format!("`{name}` is no relation: nothing can be got of it");
                return Err(Error::at(Key::Query, path, "get", words));
            }
            Member::Relation(id) => self.many(table, table.relation(id), &nested, outputs)?,
        }
        Ok(())
    }

    fn is_nested(&self, column: &Column, part: &Part) -> Result<bool, Error> {
        match part.fields.iter().find(|(name, _)| *name == column.name) {
            Some((_, field)) => Ok(nested_part(column, field)?.is_some()),
            None => Ok(false),
        }
    }

    fn column(&self, table: &Table, column: &Column) -> Output {
        Output {
            name: column.name.clone(),
            kind: OutputKind::Column(column.id),
            guard: self.guard.output_guard(table.id, column.id),
        }
    }

    fn one(&mut self, table: &Table, column: &Column, part: &Part) -> Result<Output, Error> {
        keyword::check(part, keyword::TO_ONE, "under a relation to one row")?;
        let target = column.target().ok_or_else(|| Error::internal("a part under a plain column"))?;
        let select = self.nested(&part.path, |resolver| {
            let filter = resolver.seen_filter(target, part)?;
            let outputs = resolver.outputs(target, part)?;
            Ok(Select { filter, outputs, ..Select::of(target) })
        })?;
        Ok(Output {
            name: column.name.clone(),
            kind: OutputKind::One { column: column.id, select: Box::new(select) },
            guard: self.guard.output_guard(table.id, column.id),
        })
    }

    fn many(
        &mut self,
        table: &Table,
        relation: &Relation,
        part: &Part,
        outputs: &mut Outputs,
    ) -> Result<(), Error> {
        keyword::check(part, keyword::TO_MANY, "under a relation to many rows")?;
        keyword::check_together(part)?;
        let through = self.guard.relation_filter(table.id, relation.id);
        let kind = self.nested(&part.path, |resolver| {
            if !part.aggregate.is_empty() {
                let mut aggregate = resolver.aggregate(relation.target, part)?;
                aggregate.filter.extend(through);
                return Ok(OutputKind::Aggregate { relation: relation.id, aggregate: Box::new(aggregate) });
            }
            let mut select = resolver.select(relation.target, part)?;
            select.filter.extend(through);
            select.limit = part.limit.map(|limit| resolver.number(part, "limit", limit, u64::MAX));
            select.limit_bound = part.limit.and_then(limit_bound);
            Ok(OutputKind::Many { relation: relation.id, select: Box::new(select) })
        })?;
        let beside = match &kind {
            OutputKind::Many { select, .. } if part.count || select.limit.is_some() => Some(Output {
                name: format!("{}@", relation.name),
                kind: OutputKind::Beside {
                    relation: relation.id,
                    select: select.clone(),
                    count: part.count,
                    next: select.limit.is_some(),
                },
                guard: None,
            }),
            _ => None,
        };
        outputs.put(Output { name: relation.name.clone(), kind, guard: None });
        beside.into_iter().for_each(|beside| outputs.put(beside));
        Ok(())
    }
}

/// Whether `get` asks for more of a relation than its key.
pub(crate) fn is_asked_into(part: &Part, name: &str) -> bool {
    let asks = |get: &Get| matches!(get, Get::Member(got, members) if got == name && !members.is_empty());
    part.get.iter().flatten().any(asks)
}

/// The members of a row; the first of a name stays.
#[derive(Default)]
struct Outputs {
    list: Vec<Output>,
}

impl Outputs {
    fn put(&mut self, output: Output) {
        if !self.list.iter().any(|known| known.name == output.name) {
            self.list.push(output);
        }
    }
}
