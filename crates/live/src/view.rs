//! What one caller sees through one subscription: where it is found, how a row is judged and shown.
//!
//! A view is *local* when the row's own columns and the caller decide everything: then the images of a change say what
//! came of it, nothing is remembered of the rows that were sent, and the database is not asked. Every other view is *held*:
//! the keys of its rows are kept, and rows that may have changed are read again by the engine.
//!
//! A view is made for a caller as it was read at one time. It never changes; when the caller does, another takes its place.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use mainstay_engine::bind::CallerEyes;
use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Part;
use mainstay_engine::{Change, Engine, Image, Watch};
use mainstay_lang::eval::{Compiled, Env, Scalar};
use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::plan::{OutputKind, Select};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::clause::{self, Route};
use crate::clock::{self, Boundary};
use crate::trail::{self, Reach, Trail};

/// What is asked for: a table and a part about its rows.
#[derive(Debug)]
pub struct Request {
    /// The table's name.
    pub table: String,
    /// Constraints, `where`, `get`.
    pub part: Part,
}

/// What one caller sees through one subscription.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) table: TableId,
    pub(crate) watch: Watch,
    /// Who sees it; clock and deadline are those of whoever reads.
    pub(crate) ctx: Ctx,
    /// Where its rows are found; none: it has none, ever.
    pub(crate) routes: Box<[Route]>,
    pub(crate) local: Option<Arc<Local>>,
    pub(crate) trails: Vec<Trail>,
    pub(crate) boundaries: Vec<Boundary>,
    /// A hash of everything about the caller that a rule may read.
    pub(crate) caller_hash: [u8; 8],
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

/// Plans that local views have in common: most subscriptions differ in their caller and their parameters alone, and a plan takes
/// far more memory than these do.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<HashMap<Likeness, Plan>>);

#[derive(Debug)]
struct Plan {
    select: Weak<Select>,
    local: Weak<Local>,
}

impl Plans {
    /// The plan and what is made of it, those that there are if others have the same. `None`: it is not local.
    fn share(&self, schema: &Schema, watch: &mut Watch) -> Option<Arc<Local>> {
        let print = short_hash(Sha256::new().chain_update(format!("{:?}", watch.select)));
        let mut plans = self.0.lock();
        if let Some(known) = plans.get(&print)
            && let (Some(select), Some(local)) = (known.select.upgrade(), known.local.upgrade())
        {
            watch.select = select;
            return Some(local);
        }
        let local = Arc::new(Local::new(schema, &watch.select)?);
        if plans.len() == plans.capacity() {
            // Before it grows, those that nobody has any more make room.
            plans.retain(|_, plan| plan.select.strong_count() > 0);
        }
        let plan = Plan { select: Arc::downgrade(&watch.select), local: Arc::downgrade(&local) };
        plans.insert(print, plan);
        Some(local)
    }
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
    pub(crate) fn new(engine: &Engine, plans: &Plans, ctx: Ctx, request: &Request) -> Result<View, Error> {
        let mut watch = engine.watch(&ctx, &request.table, &request.part)?;
        let schema = engine.schema();
        let caller_hash = caller_hash(&ctx);
        let (routes, boundaries, likeness) = {
            let eyes = CallerEyes::new(engine.catalog(), &ctx);
            let value_of = |of: &Expr| {
                if !is_fixed(of) {
                    return None;
                }
                let compiled = Compiled::new(of).ok()?;
                let env = Env { params: &watch.params, ..Env::of_row(&[], &eyes, ctx.now) };
                compiled.eval(&env).ok().map(Scalar::into_value)
            };
            let routes = clause::routes(&watch.select.filter, &value_of).into();
            let boundaries = clock::boundaries(schema, &watch.select, &watch.params, &eyes)?;
            (routes, boundaries, likeness(&watch, &caller_hash, &value_of))
        };
        let local = if boundaries.is_empty() { plans.share(schema, &mut watch) } else { None };
        let trails = if local.is_some() { Vec::new() } else { trail::trails(schema, &watch.select) };
        let table = watch.select.table;
        Ok(View { table, watch, ctx, routes, local, trails, boundaries, caller_hash, likeness })
    }

    /// What the caller sees of an image of a row; `None`: nothing.
    pub(crate) fn show(
        &self,
        engine: &Engine,
        local: &Local,
        image: Option<&Image>,
    ) -> Result<Option<Box<str>>, Unshown> {
        let Some(image) = image else { return Ok(None) };
        if local.reads.iter().any(|column| image.missing.contains(column)) {
            return Err(Unshown::Missing);
        }
        let eyes = CallerEyes::new(engine.catalog(), &self.ctx);
        let env = Env { params: &self.watch.params, ..Env::of_row(&image.values, &eyes, self.ctx.now) };
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
        self.trails.iter().filter_map(|trail| trail.reach(schema, change))
    }
}

impl Local {
    /// `None` when other rows, or columns that no image has, decide.
    fn new(schema: &Schema, select: &Select) -> Option<Local> {
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
fn likeness(watch: &Watch, caller_hash: &[u8; 8], value_of: &dyn Fn(&Expr) -> Option<Value>) -> Likeness {
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
                None => hash.update(caller_hash),
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

fn caller_hash(ctx: &Ctx) -> [u8; 8] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let caller = &ctx.caller;
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_json).unwrap_or_default();
    add(if caller.admin { "admin" } else { "" });
    add(&json(&caller.user));
    add(&json(&ctx.tenant));
    add(&json(&ctx.session));
    caller.permissions.iter().for_each(|permission| add(permission));
    add("");
    caller.roles.iter().for_each(|role| add(role));
    add("");
    let values = caller.row.get().map(|row| row.values.as_slice()).unwrap_or_default();
    values.iter().for_each(|value| add(&value.to_json()));
    let mut short = [0; 8];
    short.copy_from_slice(&hash.finalize()[..8]);
    short
}

#[cfg(test)]
mod tests;
