//! Telling an inquiry what refused a change, asked of the row while the transaction still stands as it did then.

use mainstay_lang::schema::{Check, ColumnId, Operation, TableId};
use mainstay_lang::value::Value;

use super::rows::Image;
use super::rules::Change;
use super::run::Run;
use crate::error::Error;
use crate::overrides::Texts;
use crate::why::{Inquiry, Probe, Why};

impl Run<'_> {
    /// The lines for an operation, of the table or of one column, do not allow it.
    pub(super) async fn note_refusal(
        &mut self,
        table: TableId,
        operation: Operation,
        column: Option<ColumnId>,
        row: &Image,
        change: Change<'_>,
        path: &str,
    ) -> Result<(), Error> {
        let Some(inquiry) = self.inquiry else { return Ok(()) };
        let of = self.schema().table(table);
        let probe = Probe::of_rules(self.schema(), self.texts(inquiry), of, operation, column);
        let name = match operation {
            Operation::Read => "read",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Link => "link",
            Operation::Unlink => "unlink",
        };
        let why = Why {
            column: column.map(|column| of.column(column).name.clone()),
            ..self.why(table, row, name, path)
        };
        self.tell((inquiry, why), (table, &probe), row, change).await
    }

    /// A check or warning fails.
    pub(super) async fn note_check(
        &mut self,
        (table, check, name): (TableId, &Check, &'static str),
        row: &Image,
        path: &str,
    ) -> Result<(), Error> {
        let Some(inquiry) = self.inquiry else { return Ok(()) };
        let mut probe = Probe::new(table);
        probe.line(self.schema(), self.texts(inquiry), check.span, Some(&check.condition));
        let why = self.why(table, row, name, path);
        self.tell((inquiry, why), (table, &probe), row, Change::default()).await
    }

    fn texts<'t>(&'t self, inquiry: &'t Inquiry) -> Texts<'t> {
        Texts { sources: &inquiry.sources, overrides: self.catalog.overrides() }
    }

    fn why(&self, table: TableId, row: &Image, operation: &'static str, path: &str) -> Why {
        Why {
            path: path.to_owned(),
            table: self.schema().table(table).name.clone(),
            row: serde_json::from_str(&row.first().unwrap_or(&Value::Null).to_json()).unwrap_or_default(),
            operation,
            column: None,
            lines: Vec::new(),
            denied: Vec::new(),
        }
    }

    async fn tell(
        &mut self,
        (inquiry, why): (&Inquiry, Why),
        (table, probe): (TableId, &Probe),
        row: &Image,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let mut answers = Vec::new();
        if !probe.exprs().is_empty() {
            let statement = self.prepared.values(table, probe.exprs());
            answers = self.values(&statement, &row[..1], change).await?.pop().unwrap_or_default();
        }
        let (lines, denied) = probe.lines(&answers);
        inquiry.note(Why { lines, denied, ..why });
        Ok(())
    }
}
