//! What `move`, `backup` and `restore` share: how far they are, shown while it happens, and what they came to.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use mainstay_store::copy::{Copied, Step};
use serde_json::{Value, json};

use crate::output::Output;

/// A progress bar on standard error, where that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// `output` decides whether people watch.
    pub(crate) fn new(output: Output) -> Progress {
        let bar = if output.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{msg:28!} {wide_bar} {human_pos}/{human_len} {elapsed}")
            .expect("the template is a constant and well-formed");
        Progress { bar: bar.with_style(style), begun: Instant::now() }
    }

    /// Shows a step.
    pub(crate) fn step(&self, step: Step<'_>) {
        let begin = |words: String, rows| {
            self.bar.reset();
            self.bar.set_length(rows);
            self.bar.set_message(words);
        };
        match step {
            Step::Table(table, rows) => begin(table.to_owned(), rows),
            Step::Verify(table, rows) => begin(format!("comparing {table}"), rows),
            Step::Rows(rows) => self.bar.inc(rows),
            Step::Finish => begin("making references and indexes".to_owned(), 0),
        }
    }

    /// Shows how much of a file was read.
    pub(crate) fn bytes(&self, done: u64, all: u64) {
        self.bar.set_message("reading the file");
        self.bar.set_length(all);
        self.bar.set_position(done);
    }

    /// Takes the bar away; the words and members about all tables together.
    pub(crate) fn end(self, copied: &[Copied]) -> Sum {
        self.bar.finish_and_clear();
        Sum { rows: copied.iter().map(|table| table.rows).sum(), seconds: self.begun.elapsed().as_secs_f64() }
    }
}

/// All tables together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
}

impl Sum {
    /// `12000 rows in 0.5 s (24000 rows/s)`
    pub(crate) fn words(self) -> String {
        let Sum { rows, seconds } = self;
        format!("{rows} rows in {seconds:.1} s ({:.0} rows/s)", rows as f64 / seconds.max(0.001))
    }
}

/// The tables of a document.
pub(crate) fn tables(copied: &[Copied]) -> Value {
    let table = |table: &Copied| json!({"table": table.table, "rows": table.rows, "checksum": table.checksum.to_string()});
    copied.iter().map(table).collect()
}
