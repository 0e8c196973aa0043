//! Parts that write, looked up and read into [`Step`]s.
//!
//! Pure: neither rows nor rules are looked at. What cannot be understood is refused at once (400); values that cannot
//! be taken are all noted (422), so the whole request is read before any of it runs. A write without a constraint of its
//! own ends here.

mod change;
mod create;
mod find;
mod list;
mod shown;

use std::sync::Arc;

use mainstay_lang::schema::{Member, Schema, Table};

use super::answer::Shown;
use super::plan::Step;
use super::rules::stream_refused;
use super::value::Problems;
use crate::catalog::Catalog;
use crate::ctx::Ctx;
use crate::document::join_path;
use crate::error::{Error, Key, Kind};
use crate::guard::{Guard, Trace};
use crate::limits::Limits;
use crate::part::{Field, Part};
use crate::plan_cache::PlanCache;
use crate::planning::Planning;
use crate::resolve::Resolver;
use crate::resolve::constraint::nested_part;
use crate::resolve::name::unknown_member;
use crate::resolve::params::Source;
use crate::shape::shape_of_written;

/// Reads the parts of one request.
pub(super) struct Planner<'a> {
    planning: &'a Planning,
    catalog: &'a Catalog,
    shown: &'a PlanCache<Arc<Shown>>,
    /// Of the part before: rows of a list are mostly alike.
    last_shown: Option<(Vec<u8>, Arc<Shown>)>,
    ctx: &'a Ctx,
    guard: Guard<'a>,
    schema: &'a Schema,
    limits: Limits,
    /// An administrator whose request is for no tenant says to which one a new row belongs.
    gives_tenant: bool,
    depth: usize,
    parts: usize,
    problems: Problems,
}

/// What a part stands for beside its table: how it may find rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// At the top, or nested under rows that were found.
    Plain,
    /// Rows for a relation, under `create`, `set` and `add`.
    Linked,
    /// Rows to be taken out of a relation.
    Removed,
}

impl<'a> Planner<'a> {
    /// For a caller.
    pub(super) fn new(planning: &'a Planning, ctx: &'a Ctx) -> Planner<'a> {
        Planner {
            planning,
            catalog: &planning.catalog,
            shown: &planning.shown,
            last_shown: None,
            ctx,
            guard: Guard::new(&planning.catalog, ctx),
            schema: planning.schema(),
            limits: planning.limits(),
            gives_tenant: ctx.caller.admin && ctx.tenant.is_none(),
            depth: 0,
            parts: 0,
            problems: Problems::default(),
        }
    }

    /// The error that names every value that could not be taken.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.problems.into_result()
    }

    /// One part at the top of a document.
    pub(super) fn top(&mut self, table: &'a Table, part: &Part) -> Result<Step, Error> {
        if !part.create {
            self.guard.recent_check(table.id)?;
        }
        self.step(table, part, Role::Plain, None)
    }

    /// `given`: the column that the enclosing row fills.
    fn step(
        &mut self,
        table: &'a Table,
        part: &Part,
        role: Role,
        given: Option<&str>,
    ) -> Result<Step, Error> {
        if table.is_system() && (part.create || part.set.is_some() || part.delete) {
            let words = format!("rows of {} are written by the system alone", table.name);
            return Err(Error::at(Key::Forbidden, &part.path, "system", words));
        }
        if table.stream.is_some() && (part.create || part.set.is_some() || part.delete) {
            return Err(stream_refused(table, &part.path));
        }
        self.parts += 1;
        if self.parts > self.limits.parts {
            let words = format!("a request may have {} parts", self.limits.parts);
            return Err(Error::at(Key::Limit, &part.path, "parts", words));
        }
        self.depth += 1;
        if self.depth > self.limits.depth {
            let words = format!("parts may be nested {} levels deep", self.limits.depth);
            return Err(Error::at(Key::Limit, &part.path, "depth", words));
        }
        let step = if part.create { self.create(table, part, given) } else { self.find(table, part, role) };
        self.depth -= 1;
        step
    }

    /// What the answer shows of the row that a part makes, or of the rows that it finds, as it is kept for the next part like it.
    fn shown(&mut self, table: &Table, part: &Part) -> Result<Arc<Shown>, Error> {
        let schema = self.schema;
        let asked = || match part.create {
            true => shown::of_created(schema, table, part),
            false => shown::of_found(schema, table, part),
        };
        let is_nested = |name: &str, field: &Field| nested(schema, table, name, field).is_some();
        let Some(shape) = shape_of_written(&table.name, part, is_nested) else {
            return self.shown_under(self.guard, table, &asked()).map(|(shown, _)| shown);
        };
        if let Some((_, shown)) = self.last_shown.as_ref().filter(|(key, _)| *key == shape.key) {
            return Ok(shown.clone());
        }
        if let Some((shown, _)) = self.shown.get(self.ctx, &shape) {
            self.last_shown = Some((shape.key, shown.clone()));
            return Ok(shown);
        }
        let part = asked();
        let trace = Trace::default();
        let guard = Guard::traced(self.catalog, self.ctx, &trace);
        let (shown, sources) = self.shown_under(guard, table, &part)?;
        let (rules, values) = (trace.into_rules(), shown.params.as_slice());
        self.shown.put(self.ctx, (&shape, &part), (&shown, &rules), (values, &sources));
        Ok(shown)
    }

    fn shown_under(
        &self,
        guard: Guard<'_>,
        table: &Table,
        part: &Part,
    ) -> Result<(Arc<Shown>, Vec<Source>), Error> {
        let mut signature = format!("{} {:?}", table.name, part.get);
        for (name, field) in &part.fields {
            signature.push_str(&format!(" {name}:{}", field.raw()));
        }
        let mut resolver = Resolver::new(self.catalog, guard, self.limits);
        let select = resolver.shown(table.id, part, &[])?;
        let (params, sources) = resolver.params.into_parts();
        Ok((Arc::new(Shown { table: table.id, select, params, signature }), sources))
    }

    /// What a name of a table means.
    fn member(&self, table: &'a Table, name: &str, path: &str) -> Result<Member, Error> {
        table.members.get(name).copied().ok_or_else(|| unknown_member(table, name, path))
    }

    /// Keeps what is wrong with values, so that all of them are told at once; passes on everything else.
    fn collect<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.key.kind() == Kind::Invalid && !error.errors.is_empty() => {
                self.problems.extend(error.errors);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a part writes, itself or in a part nested in it.
pub(crate) fn writes(schema: &Schema, table: &Table, part: &Part) -> bool {
    let is_write = part.create
        || part.delete
        || part.set.is_some()
        || part.keywords.iter().any(|word| matches!(*word, "add" | "remove"));
    is_write || part.fields.iter().any(|(name, field)| nested_writes(schema, table, name, field))
}

/// Whether a member of a part is a relation with a part that writes.
fn nested_writes(schema: &Schema, table: &Table, name: &str, field: &Field) -> bool {
    nested(schema, table, name, field)
        .is_some_and(|(target, parts)| parts.iter().any(|part| writes(schema, target, part)))
}

/// The parts that a member of a part holds, and the table of their rows; `None` when it holds a value or operators.
fn nested<'s, 'p>(
    schema: &'s Schema,
    table: &Table,
    name: &str,
    field: &'p Field,
) -> Option<(&'s Table, Vec<&'p Part>)> {
    let items = match field {
        Field::Array(_, items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let (target, parts): (_, Vec<&Part>) = match table.members.get(name)? {
        Member::Column(id) => {
            let column = table.column(*id);
            let parts = items.iter().filter_map(|item| nested_part(column, item).ok().flatten());
            (column.target()?, parts.collect())
        }
        Member::Relation(id) => {
            let parts = items.iter().filter_map(|item| item.part().ok().flatten());
            (table.relation(*id).target, parts.collect())
        }
    };
    if parts.is_empty() { None } else { Some((schema.table(target), parts)) }
}

fn malformed(path: &str, message: impl Into<String>) -> Error {
    Error::at(Key::Query, path, "form", message)
}

/// The keywords of a part that have no place beside what it does.
fn refuse_keywords(part: &Part, beside: &str, refused: &[&str]) -> Result<(), Error> {
    match part.keywords.iter().find(|word| refused.contains(*word)) {
        Some(word) => {
            let path = join_path(&part.path, word);
            Err(malformed(&path, format!("`{word}` has no place beside `{beside}`")))
        }
        None => Ok(()),
    }
}
