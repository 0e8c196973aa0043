//! What one caller sees through one subscription: where it is found, how a row is judged and shown.
//!
//! A view is *local* when the row's own columns and the caller decide everything: then the images of a change say what
//! came of it, nothing is remembered of the rows that were sent, and the database is not asked. Every other view is *held*:
//! the keys of its rows are kept, and rows that may have changed are read again by the engine.
//!
//! A view is made for a caller as it was read at one time. It never changes; when the caller does, another takes its place.

use std::sync::Arc;

use mainstay_engine::bind::CallerEyes;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::{Change, Engine, Image, Watch};
use mainstay_lang::eval::{Compiled, Env, Scalar};
use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::plan::{OutputKind, Select};
use sha2::{Digest, Sha256};

use crate::clause;
use crate::clock::{self, Boundary};
use crate::plans::{Plan, Plans};
use crate::registry::Entry;
use crate::request::Request;
use crate::trail::{Reach, Trail};
use crate::who::Standing;

/// What one caller sees through one subscription.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) table: TableId,
    pub(crate) watch: Watch,
    /// Who sees it.
    pub(crate) standing: Arc<Standing>,
    /// Where its rows are found; none: it has none, ever.
    pub(crate) routes: Box<[Entry]>,
    pub(crate) boundaries: Box<[Boundary]>,
    plan: Arc<Plan>,
    /// Local views that have the same see the same of every image.
    pub(crate) likeness: Likeness,
}

/// A hash of everything that decides what a local view shows.
pub(crate) type Likeness = [u8; 16];

/// A row judged and shown from its image, for any caller and any parameters.
#[derive(Debug)]
pub(crate) struct Local {
    filter: Vec<Compiled>,
    members: Vec<Member>,
    /// Columns that have to be known.
    reads: Vec<ColumnId>,
}

#[derive(Debug)]
struct Member {
    /// `"name":`
    key: Box<str>,
    column: ColumnId,
    guard: Option<Compiled>,
}

/// Why an image says nothing.
#[derive(Debug)]
pub(crate) enum Unshown {
    /// It lacks a column: it was written under another schema.
    Missing,
    /// A condition cannot be computed for it, nor could the caller's own read.
    Failed(Error),
}

impl View {
    /// The view of a request for a caller.
    ///
    /// # Errors
    /// Whatever is wrong with the request.
    pub(crate) fn new(
        engine: &Engine,
        plans: &Plans,
        standing: &Arc<Standing>,
        request: &Request,
    ) -> Result<View, Error> {
        let (name, part) = request.part()?;
        let ctx = &standing.ctx;
        let mut watch = engine.watch(&standing.planning, ctx, &name, &part)?;
        watch.params.shrink_to_fit();
        let schema = engine.schema();
        let eyes = CallerEyes::new(ctx);
        let value_of = |of: &Expr| {
            if !is_fixed(of) {
                return None;
            }
            let compiled = Compiled::new(of).ok()?;
            let env = Env { params: &watch.params, ..Env::of_row(&[], &eyes, ctx.now) };
            compiled.eval(&env).ok().map(Scalar::into_value)
        };
        let routes = clause::routes(&watch.select.filter, &value_of);
        let boundaries = clock::boundaries(schema, &watch.select, &watch.params, &eyes)?;
        let likeness = likeness(&watch, &standing.print, &value_of);
        let plan = plans.plan(schema, &mut watch);
        Ok(View {
            table: watch.select.table,
            watch,
            standing: standing.clone(),
            routes: routes.into_iter().map(|route| plans.entry(route)).collect(),
            boundaries: boundaries.into(),
            plan,
            likeness,
        })
    }

    /// How rows are judged and shown from their images; none: the view is held.
    pub(crate) fn local(&self) -> Option<&Local> {
        self.plan.local.as_ref().filter(|_| self.boundaries.is_empty())
    }

    /// Where else a change may concern rows of this view.
    pub(crate) fn trails(&self) -> &[Trail] {
        match self.local() {
            Some(_) => &[],
            None => &self.plan.trails,
        }
    }

    /// What the caller sees of an image of a row; `None`: nothing.
    pub(crate) fn show(&self, local: &Local, image: Option<&Image>) -> Result<Option<Box<str>>, Unshown> {
        let Some(image) = image else { return Ok(None) };
        if local.reads.iter().any(|column| image.missing.contains(column)) {
            return Err(Unshown::Missing);
        }
        let ctx = &self.standing.ctx;
        let eyes = CallerEyes::new(ctx);
        let env = Env { params: &self.watch.params, ..Env::of_row(&image.values, &eyes, ctx.now) };
        let failed = |error: mainstay_lang::eval::EvalError| {
            Unshown::Failed(Error::new(Key::Arithmetic, error.to_string()))
        };
        for condition in &local.filter {
            if condition.test(&env).map_err(failed)? != Some(true) {
                return Ok(None);
            }
        }
        let mut json = b"{".to_vec();
        for member in &local.members {
            if let Some(guard) = &member.guard
                && guard.test(&env).map_err(failed)? != Some(true)
            {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(member.key.as_bytes());
            image.values[member.column.0 as usize].write_json(&mut json);
        }
        json.push(b'}');
        Ok(Some(String::from_utf8(json).expect("JSON is text").into()))
    }

    /// The rows of this view that a change elsewhere may concern.
    pub(crate) fn reaches<'v>(
        &'v self,
        schema: &'v Schema,
        change: &'v Change,
    ) -> impl Iterator<Item = Reach> + 'v {
        self.trails().iter().filter_map(|trail| trail.reach(schema, change))
    }
}

impl Local {
    /// `None` when other rows, or columns that no image has, decide.
    pub(crate) fn new(schema: &Schema, select: &Select) -> Option<Local> {
        let table = schema.table(select.table);
        let mut reads = Vec::new();
        let mut compile = |of: &Expr| {
            note_reads(of, &mut reads);
            of.is_row_local().then(|| Compiled::new(of).ok()).flatten()
        };
        let filter = select.filter.iter().map(&mut compile).collect::<Option<Vec<_>>>()?;
        let mut members = Vec::with_capacity(select.outputs.len());
        for output in &select.outputs {
            let OutputKind::Column(column) = output.kind else { return None };
            let guard = match &output.guard {
                Some(guard) => Some(compile(guard)?),
                None => None,
            };
            members.push(Member { key: format!("\"{}\":", output.name).into(), column, guard });
        }
        reads.extend(members.iter().map(|member| member.column));
        reads.sort_unstable();
        reads.dedup();
        let is_logged = |column: &ColumnId| !table.column(*column).secret;
        reads.iter().all(is_logged).then_some(Local { filter, members, reads })
    }

    /// Whether both images of an update look the same to everybody: nothing that is read has changed.
    pub(crate) fn is_untouched(&self, before: &Image, after: &Image) -> bool {
        self.reads.iter().all(|column| before.values[column.0 as usize] == after.values[column.0 as usize])
            && before.missing.is_empty()
            && after.missing.is_empty()
    }
}

/// Columns of the row itself that an expression reads.
fn note_reads(of: &Expr, reads: &mut Vec<ColumnId>) {
    of.walk(&mut |expr| {
        if let Node::Column { row, column, .. } = &expr.node
            && row.root != Root::User
            && row.hops.is_empty()
        {
            reads.push(*column);
        }
    });
}

/// Whether an expression has one value for every row and at any time.
pub(crate) fn is_fixed(of: &Expr) -> bool {
    let mut fixed = true;
    of.walk(&mut |expr| match &expr.node {
        Node::Column { row, .. } => fixed &= row.root == Root::User,
        Node::Many(_) | Node::EventAt | Node::Clock(_) => fixed = false,
        _ => {}
    });
    fixed
}

/// The plan, and what its caller's parts are worth: callers of one team are alike where the team alone is asked for.
fn likeness(watch: &Watch, caller: &[u8; 32], value_of: &dyn Fn(&Expr) -> Option<Value>) -> Likeness {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}{:?}", watch.select, watch.params));
    let conditions = watch.select.filter.iter();
    let guards = watch.select.outputs.iter().filter_map(|output| output.guard.as_ref());
    for of in conditions.chain(guards) {
        of.walk(&mut |part| {
            let is_of_caller = match &part.node {
                Node::Caller(_) => true,
                Node::Column { row, .. } => row.root == Root::User,
                _ => false,
            };
            match value_of(part) {
                _ if !is_of_caller => {}
                Some(value) => hash.update(format!("{value:?}")),
                // Like nobody but oneself.
                None => hash.update(caller),
            }
        });
    }
    short_hash(hash)
}

fn short_hash(hash: Sha256) -> Likeness {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

#[cfg(test)]
mod tests;
