//! Operations that only read: every part becomes one statement, and all of them one batch of one snapshot.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_store::{JsonRows, Outcome, Query, StoreError};

use crate::bind;
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::{Error, Key};
use crate::explain::Explained;
use crate::guard::{Guard, Trace};
use crate::part::{Document, Operation, Part};
use crate::plan_cache::Plan;
use crate::planning::Planning;
use crate::resolve::{Params, PartPlan, ReadPlan, Resolver, name};
use crate::response::{DocumentAnswer, EntryAnswer, Response};
use crate::shape::shape_of;

/// Runs an operation that only reads.
pub(crate) async fn run(
    engine: &Engine,
    planning: &Planning,
    ctx: &Ctx,
    operation: &Operation,
) -> Result<Response, Error> {
    let started = Instant::now();
    let mut batch = Batch::default();
    let mut shapes = Vec::with_capacity(operation.documents.len());
    tracing::debug_span!("plan").in_scope(|| {
        for document in &operation.documents {
            shapes.push(plan_document(planning, ctx, document, &mut batch)?);
        }
        Ok::<(), Error>(())
    })?;
    let explained = operation.explain.then(|| Explained::new(&batch, started));
    let run_started = Instant::now();
    let outcomes = read_rows(engine, ctx, batch.queries).await?;
    let run = run_started.elapsed();
    let mut outcomes = outcomes.into_iter();
    let mut documents = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let answers = shape.into_iter().map(|entry| answer(entry, &mut outcomes));
        documents.push(DocumentAnswer { entries: answers.collect::<Result<_, _>>()? });
    }
    let explain = match explained {
        Some(explained) => Some(explained.tell(engine, run).await?),
        None => None,
    };
    Ok(Response { documents, wrote: false, explain })
}

/// Reads what an operation asks for: where reads may be a little old, the caller's own writes are seen all the same.
async fn read_rows(engine: &Engine, ctx: &Ctx, queries: Vec<Query>) -> Result<Vec<Outcome>, StoreError> {
    let limits = engine.read_limits(ctx);
    if engine.store.read_age_max().is_none() {
        return engine.store.read(queries, limits).await;
    }
    engine.store.read_aged(queries, limits, engine.recent.last(&ctx.caller)).await
}

/// The statements of an operation, in order.
#[derive(Default)]
pub(crate) struct Batch<'p> {
    pub(crate) queries: Vec<Query>,
    /// The part that each statement is of.
    pub(crate) paths: Vec<&'p str>,
    parts: usize,
}

/// What the outcomes of an entry's statements are.
struct EntryShape {
    table: String,
    parts: Vec<PartShape>,
}

struct PartShape {
    count: bool,
    paged: bool,
}

/// A part's statements, ready for any request of its shape.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) rows: Arc<Statement>,
    pub(crate) count: Option<Arc<Statement>>,
    pub(crate) paged: bool,
}

impl Plan for Prepared {
    fn bytes(&self) -> usize {
        self.rows.sql.len() * 2
    }
}

fn plan_document<'p>(
    planning: &Planning,
    ctx: &Ctx,
    document: &'p Document,
    batch: &mut Batch<'p>,
) -> Result<Vec<EntryShape>, Error> {
    let mut entries = Vec::with_capacity(document.entries.len());
    for entry in &document.entries {
        let mut shapes = Vec::with_capacity(entry.parts.len());
        for part in &entry.parts {
            batch.parts += 1;
            if batch.parts > planning.limits().parts {
                let words = format!("a request may have {} parts", planning.limits().parts);
                return Err(Error::at(Key::Limit, &part.path, "parts", words));
            }
            let (prepared, params) = prepare(planning, ctx, &entry.table, part)?;
            let query = |statement| bind::query(statement, ctx, &params);
            batch.queries.push(query(&prepared.rows));
            batch.queries.extend(prepared.count.as_ref().map(query));
            batch.paths.resize(batch.queries.len(), &part.path);
            shapes.push(PartShape { count: prepared.count.is_some(), paged: prepared.paged });
        }
        entries.push(EntryShape { table: entry.table.clone(), parts: shapes });
    }
    Ok(entries)
}

/// A part's statements and parameters: kept from a request of the same shape, or made.
pub(crate) fn prepare(
    planning: &Planning,
    ctx: &Ctx,
    table: &str,
    part: &Part,
) -> Result<(Prepared, Vec<Value>), Error> {
    let shape = shape_of(table, part);
    if let Some(shape) = &shape
        && let Some(kept) = planning.plans.get(ctx, shape)
    {
        return Ok(kept);
    }
    let _resolving = tracing::debug_span!("resolve", table).entered();
    metrics::counter!("mainstay_plans_made_total").increment(1);
    let trace = Trace::default();
    let guard = Guard::traced(&planning.catalog, ctx, &trace);
    let (prepared, params) = plan(planning, guard, table, part)?;
    let (values, sources) = params.into_parts();
    if let Some(shape) = &shape {
        let rules = trace.into_rules();
        planning.plans.put(ctx, (shape, part), (&prepared, &rules), (&values, &sources));
    }
    Ok((prepared, values))
}

/// Resolves a part and makes its statements.
fn plan(
    planning: &Planning,
    guard: Guard<'_>,
    table: &str,
    part: &Part,
) -> Result<(Prepared, Params), Error> {
    let schema = planning.schema();
    let table = name::table(schema, table, &part.path)?;
    guard.recent_check(table.id)?;
    let mut resolver = Resolver::new(&planning.catalog, guard, planning.limits());
    let PartPlan { read, count } = resolver.read(table.id, part)?;
    let prepared = match read {
        ReadPlan::Rows(select) => Prepared {
            rows: Arc::new(mainstay_sql::select(schema, planning.dialect, &select)),
            count: count
                .then(|| Arc::new(mainstay_sql::count(schema, planning.dialect, table.id, &select.filter))),
            paged: select.paged,
        },
        ReadPlan::Groups(aggregate) => Prepared {
            rows: Arc::new(mainstay_sql::aggregate(schema, planning.dialect, &aggregate)),
            count: None,
            paged: false,
        },
    };
    Ok((prepared, resolver.params))
}

/// Takes an entry's outcomes off the batch's.
fn answer(entry: EntryShape, outcomes: &mut impl Iterator<Item = Outcome>) -> Result<EntryAnswer, Error> {
    let mut answer = EntryAnswer { table: entry.table, ..EntryAnswer::default() };
    let is_one = entry.parts.len() == 1;
    for part in entry.parts {
        let Some(Outcome::Json(mut rows)) = outcomes.next() else {
            return Err(Error::internal("a read part answers JSON rows"));
        };
        let cursor = rows.cursor.take();
        append(&mut answer, rows);
        if part.count {
            let count = match outcomes.next() {
                Some(Outcome::Values(rows)) => rows.into_iter().flatten().next(),
                _ => None,
            };
            let Some(Value::Int(count)) = count else { return Err(Error::internal("a count is one number")) };
            *answer.count.get_or_insert(0) += count.unsigned_abs();
        }
        // Several parts share a list, so no one place is behind all of them.
        if is_one {
            answer.paged = part.paged;
            answer.next = cursor;
        }
    }
    Ok(answer)
}

/// Rows behind those that are there.
pub(crate) fn append(answer: &mut EntryAnswer, rows: JsonRows) {
    if rows.rows == 0 {
        return;
    }
    if answer.row_count == 0 {
        // As a rule there are no others, and a long text need not be copied.
        answer.rows = rows.text;
    } else {
        answer.rows.push(',');
        answer.rows.push_str(&rows.text);
    }
    answer.row_count += rows.rows;
}
