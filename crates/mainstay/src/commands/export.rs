//! `mainstay export`: every row of a table, page by page, in key order; what it writes, `import` reads.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::ProgressBar;
use mainstay_engine::part::{Document, Entry, Get, Operation, Part};
use mainstay_lang::schema::Table;
use serde_json::json;
use serde_json::value::RawValue;

use super::query::refusal;
use crate::cli::App;
use crate::output::Output;
use crate::runtime::Runtime;

const PAGE_ROWS: u64 = 1000;

/// Writes the table into the file, or to standard output as one object a line.
pub(crate) fn run(output: Output, app: &App, table: &str, file: &Path) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let schema = runtime.engine.schema();
    let Some(table) = schema.table_named(table) else {
        let nearest = mainstay_lang::suggest::nearest(table, schema.tables.iter().map(|table| &*table.name));
        let suggestion = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        bail!("no table is called {table}{suggestion}");
    };
    let columns: Vec<&str> =
        table.columns.iter().filter(|column| !column.secret).map(|column| &*column.name).collect();
    let rows = if file == Path::new("-") {
        write_pages(&runtime, table, &mut form(io::stdout().lock(), Form::Ndjson, &columns)?)?
    } else {
        // A half-written file must not pass for an export: it gets its name when it is whole.
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(".part");
        let target = File::create(&unfinished).with_context(|| format!("writing {}", file.display()))?;
        let mut writer = form(BufWriter::new(target), Form::of(file)?, &columns)?;
        let rows = write_pages(&runtime, table, &mut writer)?;
        drop(writer);
        std::fs::rename(&unfinished, file).with_context(|| format!("writing {}", file.display()))?;
        rows
    };
    output.say(format!("{}: {rows} rows exported", table.name));
    if output.json && file != Path::new("-") {
        output.line(&json!({"exported": rows}).to_string())?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Form {
    Csv,
    Ndjson,
    Json,
}

impl Form {
    fn of(file: &Path) -> Result<Form> {
        match file.extension().and_then(|text| text.to_str()) {
            Some("csv") => Ok(Form::Csv),
            Some("ndjson" | "jsonl") => Ok(Form::Ndjson),
            Some("json") => Ok(Form::Json),
            _ => bail!("{}: the file's ending should be csv, ndjson or json", file.display()),
        }
    }
}

/// Takes rows as raw JSON objects.
trait Rows {
    fn row(&mut self, row: &RawValue) -> Result<()>;
    fn end(&mut self) -> Result<()>;
}

fn form<'a>(target: impl Write + 'a, form: Form, columns: &'a [&'a str]) -> Result<Box<dyn Rows + 'a>> {
    Ok(match form {
        Form::Ndjson => Box::new(Lines(target)),
        Form::Json => Box::new(Array { target, count: 0 }),
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(target);
            writer.write_record(columns)?;
            Box::new(CsvTable { writer, columns })
        }
    })
}

struct Lines<W>(W);

impl<W: Write> Rows for Lines<W> {
    fn row(&mut self, row: &RawValue) -> Result<()> {
        Ok(writeln!(self.0, "{row}")?)
    }

    fn end(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

struct Array<W> {
    target: W,
    count: u64,
}

impl<W: Write> Rows for Array<W> {
    fn row(&mut self, row: &RawValue) -> Result<()> {
        let before = if self.count == 0 { "[" } else { "," };
        self.count += 1;
        Ok(write!(self.target, "{before}\n{row}")?)
    }

    fn end(&mut self) -> Result<()> {
        let before = if self.count == 0 { "[" } else { "\n" };
        writeln!(self.target, "{before}]")?;
        Ok(self.target.flush()?)
    }
}

struct CsvTable<'a, W: Write> {
    writer: csv::Writer<W>,
    columns: &'a [&'a str],
}

impl<W: Write> Rows for CsvTable<'_, W> {
    fn row(&mut self, row: &RawValue) -> Result<()> {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(row.get())?;
        let cells = self.columns.iter().map(|column| match row.get(*column) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        });
        Ok(self.writer.write_record(cells)?)
    }

    fn end(&mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }
}

fn write_pages(runtime: &Runtime, table: &Table, rows: &mut Box<dyn Rows + '_>) -> Result<u64> {
    let bar = ProgressBar::new_spinner();
    let names: Vec<Get> = table
        .columns
        .iter()
        .filter(|column| !column.secret)
        .map(|column| Get::Member(column.name.clone(), Vec::new()))
        .collect();
    let mut after = None;
    let mut count = 0;
    loop {
        let part = Part {
            path: format!("/{}/0", table.name),
            get: Some(names.clone()),
            order: vec!["id".to_owned()],
            limit: Some(PAGE_ROWS),
            after,
            ..Part::default()
        };
        let entry = Entry { table: table.name.clone(), parts: vec![part] };
        let operation =
            Operation { documents: vec![Document { entries: vec![entry] }], ..Operation::default() };
        let response = runtime
            .block_on(runtime.engine.execute(&runtime.admin(), &operation))
            .map_err(|error| refusal(&error))?;
        let answer = response
            .documents
            .into_iter()
            .flat_map(|document| document.entries)
            .next()
            .ok_or_else(|| anyhow!("the engine gave no answer to a read"))?;
        let page = format!("[{}]", answer.rows);
        let page: Vec<&RawValue> = serde_json::from_str(&page)?;
        for row in page {
            rows.row(row)?;
            count += 1;
        }
        bar.set_message(format!("{count} rows"));
        bar.tick();
        after = answer.next;
        if after.is_none() {
            bar.finish_and_clear();
            rows.end()?;
            return Ok(count);
        }
    }
}
