//! A request that writes, planned whole: its steps, and how they become an answer.
//!
//! Holds no caller and no transaction: those are the run's that carries it out.

use std::sync::Arc;

use mainstay_lang::value::Value;
use mainstay_store::{Outcome, ReadLimits};

use super::plan::Step;
use super::resolve::{Planner, writes};
use super::run::{AnswerRow, Careful, Place, Run};
use crate::bind;
use crate::ctx::Ctx;
use crate::error::{Error, Key};
use crate::limits::Limits;
use crate::part::Document;
use crate::planning::Planning;
use crate::read;
use crate::resolve::name;
use crate::response::{DocumentAnswer, EntryAnswer, Response};
use crate::within::within;

/// The documents of a request, planned.
pub(super) struct Planned {
    documents: Vec<Vec<EntryPlan>>,
    pub(super) careful: Arc<Careful>,
}

/// One entry of a document.
struct EntryPlan {
    table: String,
    parts: Vec<PartPlan>,
}

/// One part at the top of a document.
enum PartPlan {
    /// It writes, or something nested in it does.
    Write(Box<Step>),
    /// It only reads, and sees what the parts before it wrote.
    Read(read::Prepared, Vec<Value>),
}

/// What one part answers, as long as the rows that were written are not read again.
pub(super) enum PartAnswer<'p> {
    Rows(Vec<AnswerRow<'p>>),
    Read(EntryAnswer),
}

/// What the parts of all documents answer.
pub(super) type Answers<'p> = Vec<Vec<(&'p str, Vec<PartAnswer<'p>>)>>;

impl Planned {
    /// Looks up every name, reads every value.
    pub(super) fn new(planning: &Planning, ctx: &Ctx, asked: &[Document]) -> Result<Planned, Error> {
        let schema = planning.schema();
        let mut planner = Planner::new(planning, ctx);
        let mut documents = Vec::with_capacity(asked.len());
        for document in asked {
            let mut entries = Vec::with_capacity(document.entries.len());
            for entry in &document.entries {
                let mut parts = Vec::with_capacity(entry.parts.len());
                for part in &entry.parts {
                    let table = name::table(schema, &entry.table, &part.path)?;
                    parts.push(if writes(schema, table, part) {
                        PartPlan::Write(Box::new(planner.top(table, part)?))
                    } else {
                        let (prepared, params) = read::prepare(planning, ctx, &entry.table, part)?;
                        PartPlan::Read(prepared, params)
                    });
                }
                entries.push(EntryPlan { table: entry.table.clone(), parts });
            }
            documents.push(entries);
        }
        planner.finish()?;
        let careful = Arc::new(Careful::of(schema, steps(&documents)));
        Ok(Planned { documents, careful })
    }

    /// Whether the request says how many rows it writes.
    pub(super) fn is_bounded(&self, planning: &Planning) -> bool {
        steps(&self.documents).all(|step| step.is_bounded(planning.schema()))
    }

    /// The step, with its table's name, where all that the request does is to give one row, named by its key, values that it has.
    pub(super) fn change_of_one_row(&self) -> Option<(&str, &Step)> {
        let [entries] = &self.documents[..] else { return None };
        let [EntryPlan { table, parts }] = &entries[..] else { return None };
        match &parts[..] {
            [PartPlan::Write(step)] if step.changes_one_row() => Some((table, step)),
            _ => None,
        }
    }

    /// Carries out every part, in order.
    pub(super) async fn carry_out<'p, 'a: 'p>(&'p self, run: &mut Run<'a>) -> Result<Answers<'p>, Error> {
        let mut answers = Vec::with_capacity(self.documents.len());
        for entries in &self.documents {
            let mut document = Vec::with_capacity(entries.len());
            for entry in entries {
                let mut parts = Vec::with_capacity(entry.parts.len());
                for part in &entry.parts {
                    parts.push(match part {
                        PartPlan::Write(step) => {
                            let span = tracing::debug_span!("write", table = entry.table);
                            within!(span, run.step(step, Place::default())).map(PartAnswer::Rows)?
                        }
                        PartPlan::Read(prepared, params) => {
                            let span = tracing::debug_span!("read", table = entry.table);
                            let rows = Box::pin(read(run, prepared, params));
                            PartAnswer::Read(within!(span, rows)?)
                        }
                    });
                }
                document.push((entry.table.as_str(), parts));
            }
            answers.push(document);
        }
        Ok(answers)
    }

    /// Reads what the parts show.
    pub(super) async fn answer(&self, run: &mut Run<'_>, answers: Answers<'_>) -> Result<Response, Error> {
        let mut response = Response { wrote: run.rows.has_changes(), ..Response::default() };
        for document in answers {
            let mut entries = Vec::with_capacity(document.len());
            for (table, parts) in document {
                entries.push(answer(run, table, parts).await?);
            }
            response.documents.push(DocumentAnswer { entries });
        }
        Ok(response)
    }
}

/// The parts that write.
fn steps(documents: &[Vec<EntryPlan>]) -> impl Iterator<Item = &Step> {
    documents.iter().flatten().flat_map(|entry| &entry.parts).filter_map(|part| match part {
        PartPlan::Write(step) => Some(&**step),
        PartPlan::Read(..) => None,
    })
}

async fn read(run: &mut Run<'_>, prepared: &read::Prepared, params: &[Value]) -> Result<EntryAnswer, Error> {
    let Limits { rows, bytes, .. } = run.limits;
    let limits = ReadLimits { rows, bytes, deadline: run.ctx.deadline };
    let query = bind::query(&prepared.rows, run.ctx, params);
    let mut rows = run.json(&query, limits).await?;
    let next = rows.cursor.take();
    let mut answer = EntryAnswer { paged: prepared.paged, next, ..EntryAnswer::default() };
    read::append(&mut answer, rows);
    if let Some(count) = &prepared.count {
        let query = bind::query(count, run.ctx, params);
        let Outcome::Values(rows) = run.outcome(&query).await? else {
            return Err(Error::internal("a count is a value"));
        };
        let Some(Value::Int(count)) = rows.into_iter().flatten().next() else {
            return Err(Error::internal("a count is one number"));
        };
        answer.count = Some(count.unsigned_abs());
    }
    Ok(answer)
}

async fn answer(run: &mut Run<'_>, table: &str, parts: Vec<PartAnswer<'_>>) -> Result<EntryAnswer, Error> {
    let mut answer = EntryAnswer { table: table.to_owned(), ..EntryAnswer::default() };
    let is_one = parts.len() == 1;
    for part in parts {
        let part = match part {
            PartAnswer::Read(part) => part,
            PartAnswer::Rows(rows) => EntryAnswer {
                row_count: rows.len() as u64,
                rows: run.render(&rows).await?,
                ..EntryAnswer::default()
            },
        };
        if part.row_count > 0 {
            if answer.row_count > 0 {
                answer.rows.push(',');
            }
            answer.rows.push_str(&part.rows);
            answer.row_count += part.row_count;
        }
        if let Some(count) = part.count {
            *answer.count.get_or_insert(0) += count;
        }
        // Several parts share a list, so no one place is behind all of them.
        if is_one {
            answer.paged = part.paged;
            answer.next = part.next;
        }
    }
    if answer.rows.len() as u64 > run.limits.bytes {
        let words = format!("the answer has more than {} bytes", run.limits.bytes);
        return Err(Error::new(Key::Limit, words));
    }
    Ok(answer)
}
