//! A change of one row as one statement, where nothing has to be known of the row before it is written.
//!
//! Rules and checks that ask of the row and its caller alone stand in the statement as conditions, beside the version that the caller
//! has seen. Where it changes a row, all of them held, and the row that comes back is the answer. Where it changes none, or is
//! refused, the request is carried out again, step by step, and only that is told.

use std::sync::Arc;

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{ColumnId, Operation, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::plan::OutputKind;
use mainstay_store::{Kept, Query};

use super::Run;
use crate::bind;
use crate::catalog::Rule;
use crate::error::Error;
use crate::response::{DocumentAnswer, EntryAnswer, Response};
use crate::write::answer::{Shown, edited, is_plain};
use crate::write::log::who;
use crate::write::plan::{Assign, NewValue, Source, Step};
use crate::write::prepared::OutrightShape;

/// What is answered once a change is kept.
pub(in crate::write) struct Awaited {
    table: String,
    shown: Arc<Shown>,
    /// What comes back of the row, in the order of the statement.
    columns: Vec<ColumnId>,
    kept: Kept,
}

impl Awaited {
    /// The answer.
    pub(in crate::write) fn response(self) -> Result<Response, Error> {
        let row = self.kept.take().into_iter().flatten().next();
        let value = |column: ColumnId| {
            let place = self.columns.iter().position(|known| *known == column);
            let value = place.zip(row.as_ref()).and_then(|(place, row)| row.get(place));
            value.unwrap_or(&Value::Null)
        };
        let json = row.as_ref().and_then(|_| edited(&self.shown, value));
        let rows = json.ok_or_else(|| Error::internal("a change that was kept answers its row"))?;
        let entry = EntryAnswer { table: self.table, rows, row_count: 1, ..EntryAnswer::default() };
        let document = DocumentAnswer { entries: vec![entry] };
        Ok(Response { documents: vec![document], wrote: true, explain: None })
    }
}

/// The conditions under which a row is changed.
#[derive(Default)]
struct Rules {
    names: Vec<usize>,
    readable: Option<Arc<Expr>>,
    changing: Vec<Arc<Expr>>,
}

impl Run<'_> {
    /// Carries a step out that gives one row, named by its key, values that the request has; none: nothing was done, it takes more
    /// than one statement.
    pub(in crate::write) fn outright(&mut self, name: &str, step: &Step) -> Result<Option<Awaited>, Error> {
        let Some((query, columns)) = self.outright_query(step) else { return Ok(None) };
        let Some(kept) = self.tx.keep(query)? else { return Ok(None) };
        Ok(Some(Awaited { table: name.to_owned(), shown: step.shown.clone(), columns, kept }))
    }

    fn outright_query(&self, step: &Step) -> Option<(Query, Vec<ColumnId>)> {
        let Source::Find(find) = &step.source else { return None };
        let key = find.key.as_ref()?;
        let table = self.schema().table(step.table);
        let is_open = self.prepared.has_outright()
            && self.logs
            && self.inquiry.is_none()
            && self.hooking.is_none()
            && self.limits.rows > 0
            && table.stream.is_none()
            && is_plain(&step.shown);
        if !is_open {
            return None;
        }
        let given: Vec<(ColumnId, &Value)> =
            step.assigns.iter().map(|assign| self.given(step.table, assign)).collect::<Option<_>>()?;
        let rules = self.rules_of_change(step.table, &given)?;
        let (measured, bytes_left) = self.measured(step, &given)?;
        let mut shown: Vec<ColumnId> = Vec::with_capacity(step.shown.select.outputs.len());
        for output in &step.shown.select.outputs {
            let OutputKind::Column(column) = output.kind else { return None };
            if !shown.contains(&column) {
                shown.push(column);
            }
        }
        let shape = OutrightShape {
            columns: given.iter().map(|(column, _)| *column).collect(),
            shown: shown.clone(),
            measured,
            rules: rules.names,
            is_versioned: find.if_updated.is_some(),
        };
        let statement =
            self.prepared.outright(step.table, shape, rules.readable.as_ref(), &rules.changing)?;
        let mut params = Vec::with_capacity(given.len() + 6);
        params.push(key.clone());
        params.extend(given.iter().map(|(_, value)| (*value).clone()));
        params.push(Value::Text(key.to_string()));
        params.extend(who(self.ctx));
        params.push(Value::Timestamp(find.if_updated.unwrap_or(Timestamp(0))));
        params.push(Value::Int(bytes_left));
        let values = bind::values(&statement.binds, self.ctx, &params, bind::Images::default());
        Some((Query { statement, values }, shown))
    }

    /// The value of a column where the request gives it as it is.
    fn given<'s>(&self, table: TableId, assign: &'s Assign) -> Option<(ColumnId, &'s Value)> {
        let column = self.schema().table(table).column(assign.column);
        match &assign.value {
            // Of two zeros that are the same, the one that is there stays.
            NewValue::Given(value) if *self.schema().storage_type(&column.ty) != Type::Float => {
                Some((assign.column, value))
            }
            _ => None,
        }
    }

    /// The rules that a change is under; none: they ask for more than the row and its caller, or never hold.
    fn rules_of_change(&self, table: TableId, given: &[(ColumnId, &Value)]) -> Option<Rules> {
        let guard = self.guard();
        let mut rules = Rules::default();
        rules.readable = self.rule_alone(&guard.rule(table, Operation::Read), &mut rules.names)?;
        let of_table = self.rule_alone(&guard.rule(table, Operation::Update), &mut rules.names)?;
        rules.changing.extend(of_table);
        for (column, _) in given {
            let rule = guard.column_rule(table, Operation::Update, *column).unwrap_or(&Rule::Always);
            let of_column = self.rule_alone(rule, &mut rules.names)?;
            rules.changing.extend(of_column);
        }
        Some(rules)
    }

    /// What a rule asks of the row and its caller.
    fn rule_alone(&self, rule: &Rule, names: &mut Vec<usize>) -> Option<Option<Arc<Expr>>> {
        match rule {
            Rule::Never => None,
            Rule::Always => {
                names.push(0);
                Some(None)
            }
            Rule::When(condition) => {
                self.prepared.test(condition).local.as_ref()?;
                names.push(Arc::as_ptr(condition) as usize);
                Some(Some(condition.clone()))
            }
        }
    }

    /// Columns of any length that are shown as they are, and how many bytes they may have together, so that the answer is none that is
    /// too long; none: it may be too long anyway.
    fn measured(&self, step: &Step, given: &[(ColumnId, &Value)]) -> Option<(Vec<ColumnId>, i64)> {
        let table = self.schema().table(step.table);
        let (mut measured, mut bytes) = (Vec::new(), 64);
        for output in &step.shown.select.outputs {
            let OutputKind::Column(column) = output.kind else { return None };
            bytes += output.name.len() as u64 + 4;
            let most = match given.iter().find(|(given, _)| *given == column) {
                Some((_, value)) => Some(bytes_of(value)),
                None => bytes_max(self.schema().storage_type(&table.column(column).ty)),
            };
            match most {
                Some(most) => bytes += most,
                None if measured.contains(&column) => return None,
                None => measured.push(column),
            }
        }
        let left = self.limits.bytes.checked_sub(bytes)?;
        Some((measured, i64::try_from(left / BYTES_OF_ONE).unwrap_or(i64::MAX)))
    }
}

/// As many bytes of JSON come at most of one byte of a text.
const BYTES_OF_ONE: u64 = 6;

/// A number or an instant is no longer than that.
const BYTES_OF_SCALAR: u64 = 512;

/// How long the JSON of a value of a type is at most; none: it may be of any length.
fn bytes_max(ty: &Type) -> Option<u64> {
    match ty {
        Type::Text { max: Some(max) } => Some(BYTES_OF_ONE * u64::from(*max) + 2),
        Type::Text { max: None } | Type::Json | Type::List(_) | Type::Bytes | Type::Enum(_) | Type::File => {
            None
        }
        _ => Some(BYTES_OF_SCALAR),
    }
}

fn bytes_of(value: &Value) -> u64 {
    match value {
        Value::Text(text) => BYTES_OF_ONE * text.len() as u64 + 2,
        Value::Json(_) | Value::List(_) | Value::Bytes(_) => value.to_json().len() as u64,
        _ => BYTES_OF_SCALAR,
    }
}
